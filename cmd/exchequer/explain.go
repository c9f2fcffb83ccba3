// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/audit"
)

// explainFlags are how a request, or the record of one, is given.
type explainFlags struct {
	manifests, namespace, tokenService string
	client                             string
	subjectClaims, subjectToken        string
	issuer, origin, tokenType          string
	actor, actorIssuer                 string
	requestedSubject, reason           string
	audience, resource                 []string
	scope, requestedTokenType, at      string
	proofJKT, proofX5T, receivedJKT    string
	cluster                            bool
	api                                clusterFlags
	correlationID, audit               string
	// recorded is the record whose request is decided again, nil for none.
	recorded *audit.Record
}

func newExplainCommand(now func() time.Time) *cobra.Command {
	var f explainFlags
	format := ui.NewFormat(ui.TableFormat, ui.JSONFormat, ui.YAMLFormat)
	c := &cobra.Command{
		Use:   "explain",
		Short: "Say why an exchange is allowed or refused: every check, every policy",
		Long: `Say why an exchange is allowed or refused.

explain makes the decision that the endpoint makes, by the same code, and shows
all of it: the checks that every request has to pass, then, for each target, each
policy that names the client and the target, with the first check that it failed.

The request is given with flags. Of the subject token either the claims are given
(a missing aud is the client's ID, a missing iat is the time of the request, a
missing exp five minutes later), or the token itself. A token's signature is
verified when its issuer's keys stand in the manifests; otherwise the token is
taken at its word, and the report says so: explain finds mistakes, it does not
admit anybody.

An actor token is given as the subject's is: its claims with --actor-issuer, or the
token itself. Under an ImpersonationGrant, --requested-subject says who is meant;
what a directory would say of them is not asked.

With --cluster it decides by the objects of a cluster, read with your own rights;
Secrets are not read, and nobody's decision hangs on them.

With --correlation-id it looks up what the endpoint did instead: the error of a
refused request carries that ID, and the audit record with it has the reason. With
--manifests or --cluster besides, and the subject token, the request is decided
again as it is recorded, at the time of then, and what comes out is compared with
the record.

Exit codes: 0 allowed; 1 refused, or not as it is recorded; 2 wrong usage; 3 the
cluster does not answer.`,
		Example: `  exchequer explain --manifests ./manifests --client shop/frontend --issuer corp \
    --subject-claims alice.json --audience media/images-resource --scope images
  exchequer explain --manifests ./manifests --client shop/frontend --subject-token token.jwt \
    --audience media/images-resource
  echo '{"sub": "alice", "groups": ["staff"]}' | exchequer explain --manifests ./manifests \
    --client shop/frontend --issuer corp --subject-claims - --scope images
  exchequer explain --cluster --client shop/frontend --issuer corp --subject-claims alice.json \
    --audience media/images-resource
  exchequer explain --manifests ./manifests --client helpdesk/console --issuer corp \
    --subject-claims sam.json --requested-subject corp:carla --reason "ticket 7" --audience shop/api
  exchequer explain --correlation-id 7kq2m4x9 --audit audit.log
  exchequer explain --correlation-id 7kq2m4x9 --audit audit.log --manifests ./manifests-of-then \
    --subject-token token.jwt`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := explain(c, &f, now)
			if err != nil {
				return err
			}
			if format.String() != ui.TableFormat {
				err = ui.Encode(c.OutOrStdout(), format.String(), r)
			} else {
				r.print(ui.NewScreen(c.OutOrStdout(), os.Getenv))
			}
			if err == nil && (!r.Allowed || r.Recorded != nil && !r.Recorded.Same) {
				return answerNo()
			}
			return err
		},
	}
	f.register(c)
	c.Flags().VarP(format, "output", "o", "format of the report")
	return c
}

func (f *explainFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.manifests, "manifests", "", "`DIR` of manifests to decide by, or a file")
	flags.BoolVar(&f.cluster, "cluster", false, "decide by the objects of a cluster, read with your own rights")
	f.api.register(c)
	flags.StringVar(&f.namespace, "namespace", defaultNamespace, "the operator's `NAMESPACE`")
	flags.StringVar(&f.tokenService, "token-service", "", "`NAME` of the TokenService that is asked; default: the client's")
	flags.StringVar(&f.client, "client", "", "`ID` of the asking client: namespace/name, unless it has another")
	flags.StringVar(&f.subjectClaims, "subject-claims", "", "`FILE` with the claims of the subject token, JSON or YAML; - is standard input")
	flags.StringVar(&f.subjectToken, "subject-token", "", "`FILE` with the subject token; - is standard input")
	flags.StringVar(&f.issuer, "issuer", "", "`NAME` of the subject token's TrustedIssuer, or self; with --subject-token its iss tells")
	flags.StringVar(&f.origin, "origin", "", "with --issuer self: `NAME` of the TrustedIssuer of the first token in the chain")
	flags.StringVar(&f.tokenType, "token-type", "AccessToken", "`CLASS` of the subject token: AccessToken, IDToken, JWT or TransactionToken; JWTBearer or IDJAG for the assertion of a jwt-bearer grant; with --subject-token, what it is presented as")
	flags.StringVar(&f.actor, "actor", "", "`FILE` with the actor token, or with its claims, JSON or YAML; - is standard input")
	flags.StringVar(&f.actorIssuer, "actor-issuer", "", "with claims in --actor: `NAME` of the actor token's TrustedIssuer, or self")
	flags.StringVar(&f.requestedSubject, "requested-subject", "", "`SUBJECT` to impersonate, with its issuer's prefix; the subject token is the impersonator's then")
	flags.StringVar(&f.reason, "reason", "", "`TEXT` of the reason that the request gives")
	flags.StringVar(&f.proofJKT, "proof-jkt", "", "`THUMBPRINT` (RFC 7638) of the key that the request's DPoP proof shows")
	flags.StringVar(&f.proofX5T, "proof-x5t", "", "`THUMBPRINT` (x5t#S256) of the certificate that the client shows")
	flags.StringVar(&f.receivedJKT, "received-proof-jkt", "", "`THUMBPRINT` of the key of the subject_token_proof")
	flags.StringArrayVar(&f.audience, "audience", nil, "`NAME` of an audience that is asked for; can be repeated")
	flags.StringArrayVar(&f.resource, "resource", nil, "`URI` of a resource that is asked for; can be repeated")
	flags.StringVar(&f.scope, "scope", "", "`SCOPES` that are asked for, separated by spaces")
	flags.StringVar(&f.requestedTokenType, "requested-token-type", "", "`TYPE` of token that is asked for: AccessToken or JWT, or its URN")
	flags.StringVar(&f.at, "time", "", "`TIME` of the request, RFC 3339; default: now")
	flags.StringVar(&f.correlationID, "correlation-id", "", "`ID` of a request to look up in --audit instead")
	flags.StringVar(&f.audit, "audit", "", "`FILE` of audit records; - is standard input")
}

func explain(c *cobra.Command, f *explainFlags, now func() time.Time) (*explanation, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if f.correlationID != "" && !f.replays() {
		return explainRecord(c.InOrStdin(), f)
	}
	var r *explanation
	err := ui.Progress(c.ErrOrStderr(), "read what decides", func() (err error) {
		if f.replays() {
			r, err = f.replay(c.Context(), c.InOrStdin(), now)
		} else {
			r, err = explainRequest(c.Context(), c.InOrStdin(), f, now)
		}
		return err
	})
	return r, err
}

// check finds flags that do not go together.
func (f *explainFlags) check() error {
	switch {
	case f.actorIssuer != "" && f.actor == "":
		return usage("--actor-issuer goes with --actor")
	case f.actor == "-" && (f.subjectClaims == "-" || f.subjectToken == "-"):
		return usage("standard input (-) can be only one of them")
	case (f.correlationID == "") != (f.audit == ""):
		return usage("--correlation-id and --audit belong together: the ID of a request, and the file of records to find it in")
	case f.correlationID != "" && !f.replays() && (f.client != "" || f.subjectClaims != "" || f.subjectToken != ""):
		return usage("--correlation-id looks up what happened, the other flags ask what would happen: use one of the two; " +
			"with --manifests or --cluster, what happened is decided again")
	case f.correlationID != "" && !f.replays():
		return nil
	case f.manifests == "" && !f.cluster:
		return usage("--manifests DIR is missing: what to decide by; or --cluster")
	case f.manifests != "" && f.cluster:
		return usage("--manifests and --cluster: use one of the two")
	case f.api.given() && !f.cluster:
		return usage("--kubeconfig and --context go with --cluster")
	case f.client == "" && !f.replays():
		return usage("--client is missing: who asks")
	case (f.subjectClaims == "") == (f.subjectToken == ""):
		return usage("expected exactly one of --subject-claims and --subject-token")
	case f.subjectClaims != "" && f.issuer == "":
		return usage("--issuer is missing: whose claims these are, a TrustedIssuer's name or self")
	case f.subjectToken != "" && f.origin != "":
		return usage("--origin goes with --subject-claims: a token of ours carries its origin")
	case f.replays():
		return f.checkReplay()
	}
	return nil
}
