// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

type verifyFlags struct {
	jwks, issuer, typ, caFile string
	audience                  []string
	skew                      time.Duration
}

// verification is what came of verifying a token.
type verification struct {
	Verified bool          `json:"verified"`
	Checks   []verifyCheck `json:"checks"`
	// Claims are there when the signature is the issuer's.
	Claims map[string]any `json:"claims,omitempty"`
}

type verifyCheck struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

func newTokenVerifyCommand(now func() time.Time) *cobra.Command {
	var f verifyFlags
	format := ui.NewFormat(ui.TableFormat, ui.JSONFormat, ui.YAMLFormat)
	c := &cobra.Command{
		Use:   "verify [FILE|-]",
		Short: "Verify a token with its issuer's keys",
		Long: `Verify a token: its structure, its signature, iss, exp and nbf, and aud and typ when
they are asked for. The token is read from a file, or from standard input.

The keys are those of --jwks, a file or a URL; without it they are found by
discovery at the issuer. https is expected; http is possible to this machine.
Whether some policy would accept the token is another question: "exchequer
explain" answers it.

Exit codes: 0 every check passed; 1 a check failed; 2 wrong usage; 3 the keys
cannot be fetched now.`,
		Example: `  exchequer token verify --issuer https://login.corp.example token.jwt
  exchequer token verify --issuer https://sts.example.com --audience media/images-resource --typ at+jwt token.jwt
  exchequer token verify --jwks jwks.json --issuer https://login.corp.example < token.jwt`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := "-"
			if len(args) == 1 {
				path = args[0]
			}
			if f.issuer == "" {
				return usage("--issuer is missing: the iss that the token must have")
			}
			token, err := readToken(c.InOrStdin(), path, "token")
			if err != nil {
				return err
			}
			var v *verification
			err = ui.Progress(c.ErrOrStderr(), "fetch the issuer's keys", func() (err error) {
				v, err = f.verify(c.Context(), token, now())
				return err
			})
			if err != nil {
				return err
			}
			if format.String() != ui.TableFormat {
				err = ui.Encode(c.OutOrStdout(), format.String(), v)
			} else {
				v.print(ui.NewScreen(c.OutOrStdout(), os.Getenv))
			}
			if err == nil && !v.Verified {
				return answerNo()
			}
			return err
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.jwks, "jwks", "", "`FILE|URL` of a JWK Set with the issuer's keys; default: discovery at --issuer")
	flags.StringVar(&f.issuer, "issuer", "", "`URL` that the token must have as iss (required)")
	flags.StringArrayVar(&f.audience, "audience", nil, "`NAME` that aud must have; can be repeated, and one is enough")
	flags.StringVar(&f.typ, "typ", "", "`TYPE` that the header must have as typ")
	flags.StringVar(&f.caFile, "ca-file", "", "`FILE` with the authorities for the issuer's certificate, PEM; default: the system's")
	flags.DurationVar(&f.skew, "clock-skew", 30*time.Second, "how far clocks may differ")
	c.Flags().VarP(format, "output", "o", "format of the report")
	return c
}

// reachable is what a person at a terminal may point this program at besides the
// public Internet: this machine and private networks. Link-local addresses, where
// clouds keep their secrets, are not among them.
func reachable() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range [...]string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func (f *verifyFlags) verify(ctx context.Context, token string, now time.Time) (*verification, error) {
	v := &verification{}
	c, err := jose.Parse(token, jose.Limits{})
	if !v.check("structure", err == nil, textOf(err)) {
		return v, nil
	}
	key, err := f.key(ctx, c.KeyID())
	switch {
	case errors.Is(err, issuer.ErrKeyUnknown):
		v.check("key", false, "the issuer has no key with the token's kid "+c.KeyID())
		return v, nil
	case err != nil:
		return nil, err
	}
	v.check("key", true, c.KeyID())
	verified, err := c.Verify(key, jose.Algorithms())
	if !v.check("signature", err == nil, textOf(err)) {
		return v, nil
	}
	v.Claims = verified.Claims
	iss, _ := verified.Claims["iss"].(string)
	v.check("issuer", iss == f.issuer, fmt.Sprintf("iss is %q", iss))
	f.checkTimes(v, now)
	if len(f.audience) > 0 {
		aud := audiences(verified.Claims["aud"])
		ok := slices.ContainsFunc(f.audience, func(a string) bool { return slices.Contains(aud, a) })
		v.check("audience", ok, "aud is "+compactJSON(verified.Claims["aud"]))
	}
	if f.typ != "" {
		v.check("type", strings.EqualFold(strings.TrimPrefix(f.typ, "application/"), verified.Type), fmt.Sprintf("typ is %q", verified.Type))
	}
	v.Verified = !slices.ContainsFunc(v.Checks, func(c verifyCheck) bool { return !c.OK })
	return v, nil
}

func (f *verifyFlags) checkTimes(v *verification, now time.Time) {
	exp, ok := jose.NumericDate(v.Claims["exp"])
	if !ok {
		v.check("expiry", false, "there is no exp: it would be good for ever")
	} else {
		v.check("expiry", now.Before(exp.Add(f.skew)), "exp is "+exp.UTC().Format(time.RFC3339)+", "+relative(exp.Sub(now)))
	}
	if _, present := v.Claims["nbf"]; present {
		nbf, ok := jose.NumericDate(v.Claims["nbf"])
		detail := "nbf is no time"
		if ok {
			detail = "nbf is " + nbf.UTC().Format(time.RFC3339) + ", " + relative(nbf.Sub(now))
		}
		v.check("not before", ok && !now.Add(f.skew).Before(nbf), detail)
	}
}

func (v *verification) check(name string, ok bool, detail string) bool {
	v.Checks = append(v.Checks, verifyCheck{Check: name, OK: ok, Detail: detail})
	return ok
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func audiences(aud any) []string {
	switch a := aud.(type) {
	case string:
		return []string{a}
	case []any:
		var out []string
		for _, e := range a {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// key finds the issuer's key by its ID, the way the exchanger does.
func (f *verifyFlags) key(ctx context.Context, kid string) (*jose.PublicKey, error) {
	source := issuer.Source{Name: "verify", Digest: "verify", URL: f.issuer, AllowedCIDRs: reachable(), AllowLoopbackHTTP: true}
	rules := egress.Rules{AllowedCIDRs: source.AllowedCIDRs, Loopback: true}
	switch {
	case strings.HasPrefix(f.jwks, "https://") || strings.HasPrefix(f.jwks, "http://"):
		if _, err := rules.ParseURL(f.jwks); err != nil {
			return nil, usage("--jwks: %w", err)
		}
		source.JWKSURL = f.jwks
	case f.jwks != "":
		b, err := readObject(nil, f.jwks, "--jwks")
		if err != nil {
			return nil, err
		}
		source.Inline = b
	default:
		if _, err := rules.ParseIssuer(f.issuer); err != nil {
			return nil, usage("--issuer: %w", err)
		}
	}
	if f.caFile != "" {
		b, err := readInput(nil, f.caFile, "--ca-file")
		if err != nil {
			return nil, err
		}
		source.CABundle = b
	}
	ctx, cancel := context.WithCancel(ctx)
	manager := issuer.New(issuer.Options{Logger: slog.New(slog.DiscardHandler)})
	manager.SetSources([]issuer.Source{source})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = manager.Run(ctx) // its only error is a second Run
	}()
	defer func() {
		cancel()
		<-done
	}()
	key, err := manager.Keys(ctx, source.Name, source.Digest, kid)
	if err == nil || errors.Is(err, issuer.ErrKeyUnknown) {
		return key, err
	}
	message := err.Error()
	if s, ok := manager.Status(source.Name); ok && s.Message != "" {
		message = s.Message
	}
	if source.Inline != nil {
		return nil, usage("--jwks: %s", message)
	}
	return nil, unable("the keys of %s cannot be had: %s", f.issuer, message)
}

func (v *verification) print(s *ui.Screen) {
	if v.Verified {
		s.Line(s.Paint(ui.Good, "✓ verified"))
	} else {
		s.Line(s.Paint(ui.Bad, "✗ not verified"))
	}
	t := &ui.Table{Indent: "  "}
	for _, c := range v.Checks {
		mark := ui.Cell{Text: "✓", Style: ui.Good}
		if !c.OK {
			mark = ui.Cell{Text: "✗", Style: ui.Bad}
		}
		t.Row(mark, ui.Text(c.Check), ui.Text(c.Detail))
	}
	s.Table(t)
}
