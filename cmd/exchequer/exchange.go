// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
)

// tokenFormat prints the token alone, for scripts.
const tokenFormat = "token"

// The environment variables that may hold what flags never do.
const (
	secretVariable  = "EXCHEQUER_CLIENT_SECRET"
	subjectVariable = "EXCHEQUER_SUBJECT_TOKEN"
)

type exchangeFlags struct {
	endpoint, issuer, caFile              string
	clientID                              string
	secretFile, assertionFile, privateKey string
	alg, assertionAudience                string
	subjectFile, subjectType              string
	audience, resource                    []string
	scope, requestedType                  string
	actorFile, actorType, actor           string
	requestedSubject, reason              string
	timeout                               time.Duration
	plainHTTP                             bool
	boundFlags
	secret, assertion, subject, tokenEndpoint string
}

func newExchangeCommand(now func() time.Time) *cobra.Command {
	var f exchangeFlags
	format := ui.NewFormat(ui.TableFormat, ui.JSONFormat, ui.YAMLFormat, tokenFormat)
	c := &cobra.Command{
		Use:   "exchange",
		Short: "Exchange a token at a token endpoint",
		Long: `Exchange a token at a token endpoint (RFC 8693), as a client would.

The client authenticates with one of: a secret (HTTP Basic), an assertion that
somebody else made, such as a service-account token, a private key, with which
an assertion is signed (private_key_jwt), or a TLS certificate (--cert, --key); a
public client has none (--public). With --dpop-key the token is bound to that key,
and a token that is bound to it can be exchanged.

Secrets and tokens come from files, from
standard input (-), or from the environment (` + secretVariable + `,
` + subjectVariable + `), never from the command line.

A refusal carries a correlation ID. Whoever may read the audit records of the
service finds the reason with "exchequer explain --correlation-id".

Exit codes: 0 exchanged; 1 refused; 2 wrong usage; 3 no answer, or one that
trying again can change.`,
		Example: `  exchequer exchange --issuer https://sts.example.com --client-id shop/frontend \
    --client-secret-file secret --subject-token-file token.jwt --audience media/images-resource --scope images
  exchequer exchange --issuer https://sts.example.com --assertion-file /var/run/secrets/tokens/exchequer \
    --subject-token-file - --audience media/images-resource -o token < token.jwt
  exchequer exchange --issuer https://sts.example.com --client-id shop/frontend --cert client.crt --key client.key \
    --dpop-key dpop.pem --subject-token-file token.jwt --audience media/images-resource
  exchequer exchange --endpoint http://127.0.0.1:8080/token --client-id shop/frontend \
    --private-key client.pem --subject-token-file token.jwt --resource https://images.media.example/v1
  exchequer exchange --issuer https://sts.example.com --client-id agents/assistant --client-secret-file secret \
    --subject-token-file alice.jwt --actor-token-file agent.jwt --audience mail/api --scope mail.read
  exchequer exchange --issuer https://sts.example.com --client-id helpdesk/console --client-secret-file secret \
    --subject-token-file supporter.jwt --requested-subject corp:carla --reason "ticket 7" --audience shop/api`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.read(c.InOrStdin(), os.Getenv); err != nil {
				return err
			}
			var r *exchanged
			err := ui.Progress(c.ErrOrStderr(), "exchange the token", func() (err error) {
				r, err = f.exchange(c.Context(), now)
				return err
			})
			if err != nil {
				return err
			}
			return r.report(c.OutOrStdout(), c.ErrOrStderr(), format.String(), now())
		},
	}
	f.register(c)
	c.Flags().VarP(format, "output", "o", "format of the answer; token is the token alone")
	return c
}

func (f *exchangeFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.endpoint, "endpoint", "", "`URL` of the token endpoint")
	flags.BoolVar(&f.plainHTTP, "plain-http", false, "--endpoint may be http on another machine: only where the network itself is trusted or encrypted, as inside some clusters")
	flags.StringVar(&f.issuer, "issuer", "", "`URL` of the token service: its endpoint is found by discovery")
	flags.StringVar(&f.caFile, "ca-file", "", "`FILE` with the authorities for the server's certificate, PEM; default: the system's")
	flags.StringVar(&f.clientID, "client-id", "", "`ID` of the client; an assertion that names it makes this unnecessary")
	flags.StringVar(&f.secretFile, "client-secret-file", "", "`FILE` with the client's secret; - is standard input")
	flags.StringVar(&f.assertionFile, "assertion-file", "", "`FILE` with a client assertion; - is standard input")
	flags.StringVar(&f.privateKey, "private-key", "", "`FILE` with the client's private key, PKCS #8 in PEM, to sign an assertion with")
	flags.StringVar(&f.alg, "alg", "", "`ALG` of --private-key: "+algorithmsIn+"; default: what the key is for, RS256 for RSA")
	flags.StringVar(&f.assertionAudience, "assertion-audience", "", "`AUD` of the signed assertion; default: the issuer")
	flags.StringVar(&f.subjectFile, "subject-token-file", "", "`FILE` with the subject token; - is standard input")
	flags.StringVar(&f.subjectType, "subject-token-type", "access_token", "`TYPE` of the subject token: access_token, id_token, jwt, or a URN")
	flags.StringArrayVar(&f.audience, "audience", nil, "`NAME` of an audience that is asked for; can be repeated")
	flags.StringArrayVar(&f.resource, "resource", nil, "`URI` of a resource that is asked for; can be repeated")
	flags.StringVar(&f.scope, "scope", "", "`SCOPES` that are asked for, separated by spaces")
	flags.StringVar(&f.requestedType, "requested-token-type", "", "`TYPE` of token that is asked for: access_token, jwt, or a URN")
	flags.StringVar(&f.actorFile, "actor-token-file", "", "`FILE` with the actor token: of who acts for the subject; - is standard input")
	flags.StringVar(&f.actorType, "actor-token-type", "access_token", "`TYPE` of the actor token: access_token, id_token, jwt, or a URN")
	flags.StringVar(&f.requestedSubject, "requested-subject", "", "`SUBJECT` to impersonate under an ImpersonationGrant; the subject token is the impersonator's then")
	flags.StringVar(&f.reason, "reason", "", "`TEXT` of the reason to impersonate, for the audit record")
	flags.StringVar(&f.dpopKey, "dpop-key", "", "`FILE` with the private key of a DPoP proof, PKCS #8 in PEM: the token is bound to it")
	flags.StringVar(&f.cert, "cert", "", "`FILE` with the client's TLS certificate chain, PEM: the client's credential, where no other is given")
	flags.StringVar(&f.key, "key", "", "`FILE` with the private key of --cert, PEM")
	flags.StringVar(&f.proofFile, "subject-token-proof-file", "", "`FILE` with the DPoP proof that came with the subject token, for a policy with binding: Rebind")
	flags.StringVar(&f.handoverJKT, "handover-jkt", "", "`JKT` of the DPoP key that a hand-over token will be presented with (its RFC 7638 thumbprint)")
	flags.BoolVar(&f.public, "public", false, "the client is a public one, which has no credential")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "how long to wait for the answer")
}

// read checks the flags and reads what they point to.
func (f *exchangeFlags) read(stdin io.Reader, getenv func(string) string) error {
	if (f.endpoint == "") == (f.issuer == "") {
		return usage("expected exactly one of --endpoint URL and --issuer URL")
	}
	if err := f.readClient(stdin, getenv); err != nil {
		return err
	}
	if f.proofFile != "" {
		var err error
		if f.proof, err = readToken(stdin, f.proofFile, "--subject-token-proof-file"); err != nil {
			return err
		}
	}
	if f.actorFile != "" {
		var err error
		if f.actor, err = readToken(stdin, f.actorFile, "--actor-token-file"); err != nil {
			return err
		}
	}
	if f.subjectFile == "" {
		if f.subject = getenv(subjectVariable); f.subject == "" {
			return usage("--subject-token-file is missing, and %s is not set", subjectVariable)
		}
		return nil
	}
	var err error
	f.subject, err = readToken(stdin, f.subjectFile, "--subject-token-file")
	return err
}

func (f *exchangeFlags) readClient(stdin io.Reader, getenv func(string) string) error {
	given := 0
	for _, v := range [...]string{f.secretFile, f.assertionFile, f.privateKey} {
		if v != "" {
			given++
		}
	}
	stdins := 0
	for _, v := range [...]string{f.secretFile, f.assertionFile, f.subjectFile, f.actorFile} {
		if v == "-" {
			stdins++
		}
	}
	if err := f.checkBound(given); err != nil {
		return err
	}
	var err error
	switch {
	case given > 1:
		return usage("expected one of --client-secret-file, --assertion-file and --private-key")
	case stdins > 1:
		return usage("standard input (-) can be only one of them")
	case f.clientID == "" && f.assertionFile == "" && f.cert == "":
		return usage("--client-id is missing: who asks")
	case f.assertionFile != "":
		f.assertion, err = readToken(stdin, f.assertionFile, "--assertion-file")
	case f.privateKey != "":
	case f.withoutCredential() && f.secretFile == "":
	case f.secretFile != "":
		f.secret, err = readSecret(stdin, f.secretFile, "--client-secret-file")
	default:
		if f.secret = getenv(secretVariable); f.secret == "" {
			return usage("how does the client authenticate? expected --client-secret-file, --assertion-file, --private-key, --cert or --public, or %s", secretVariable)
		}
	}
	return err
}

// exchange finds the endpoint, and asks it.
func (f *exchangeFlags) exchange(ctx context.Context, now func() time.Time) (*exchanged, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	pair, err := f.certificate()
	if err != nil {
		return nil, err
	}
	caller, err := newCaller(f.caFile, pair...)
	if err != nil {
		return nil, err
	}
	f.tokenEndpoint = f.endpoint
	if f.issuer != "" {
		if f.tokenEndpoint, err = caller.discover(ctx, f.issuer); err != nil {
			return nil, err
		}
	}
	if err := f.checkEndpoint(); err != nil {
		return nil, usage("token endpoint: %w", err)
	}
	if f.privateKey != "" {
		if f.assertion, err = f.sign(now()); err != nil {
			return nil, err
		}
	}
	r, err := caller.ask(ctx, f, now)
	if err == nil && r.Error == "use_dpop_nonce" && r.nonce != "" && f.nonce == "" && f.dpopKey != "" {
		// RFC 9449, section 8: the same request with the nonce, once.
		f.nonce = r.nonce
		r, err = caller.ask(ctx, f, now)
	}
	return r, err
}

// audienceOfAssertion is whom a signed assertion is for: the service's issuer,
// which is what stands before /token in our endpoints.
func (f *exchangeFlags) audienceOfAssertion() (string, error) {
	switch base, ours := strings.CutSuffix(f.tokenEndpoint, "/token"); {
	case f.assertionAudience != "":
		return f.assertionAudience, nil
	case f.issuer != "":
		return f.issuer, nil
	case ours:
		return base, nil
	}
	return "", usage("--assertion-audience is missing: the endpoint does not tell whom the assertion is for")
}

// print shows the answer.
func (r *exchanged) print(s *ui.Screen, now time.Time) {
	s.Line(s.Paint(ui.Good, "✓ exchanged"))
	t := &ui.Table{Indent: "  "}
	row := func(label, text string) {
		if text != "" {
			t.Row(ui.Cell{Text: label, Style: ui.Dim}, ui.Text(text))
		}
	}
	row("issued token type", r.IssuedTokenType)
	row("token type", r.TokenType)
	if r.ExpiresIn > 0 {
		row("expires", relative(time.Duration(r.ExpiresIn)*time.Second))
	}
	row("scope", r.Scope)
	if d, err := decodeToken(r.AccessToken, now); err == nil {
		for _, k := range [...]string{"iss", "sub", "aud", "client_id"} {
			if v, ok := d.Claims[k]; ok {
				row(k, strings.Trim(compactJSON(v), `"`))
			}
		}
		row("bound to", boundTo(d.Claims))
	}
	s.Table(t)
	s.Line(s.Paint(ui.Dim, "-o token prints the token, -o json the whole answer"))
}

func (r *exchanged) report(out, errs io.Writer, format string, now time.Time) error {
	if r.Error == "" {
		switch format {
		case ui.JSONFormat, ui.YAMLFormat:
			return ui.Encode(out, format, r)
		case tokenFormat:
			_, err := fmt.Fprintln(out, r.AccessToken)
			return err
		}
		r.print(ui.NewScreen(out, os.Getenv), now)
		return nil
	}
	if format == ui.JSONFormat || format == ui.YAMLFormat {
		if err := ui.Encode(out, format, r); err != nil {
			return err
		}
	}
	r.refusal(ui.NewScreen(errs, os.Getenv))
	if r.status == statusTooMany || r.status >= statusServerError {
		return &outcome{code: exitUnable}
	}
	return answerNo()
}

func (r *exchanged) refusal(s *ui.Screen) {
	s.Line(s.Paint(ui.Bad, "✗ refused: "+r.Error), ui.Safe(fmt.Sprintf(" (HTTP %d)", r.status)))
	if r.Description != "" {
		s.Line(ui.Safe("  " + r.Description))
	}
	if r.retryAfter != "" {
		s.Line(ui.Safe("  the service asks to try again after " + r.retryAfter + " seconds"))
	}
	if r.CorrelationID != "" {
		s.Line(ui.Safe("  correlation ID " + r.CorrelationID))
		s.Line(s.Paint(ui.Dim, "  whoever reads the service's audit records learns more: exchequer explain --correlation-id "+r.CorrelationID+" --audit FILE"))
	}
}
