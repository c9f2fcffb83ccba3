// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// appendTransaction writes the claims of a transaction token
// (draft-ietf-oauth-transaction-tokens). It has no nbf, azp or client_id: nobody is
// authorized by it, and req_wl says who asked.
func appendTransaction(b []byte, g *policy.Grant, t *Token, sealed string) ([]byte, error) {
	w := writer{b: append(b, '{')}
	x := g.Transaction
	w.text("iss", g.Issuer)
	w.number("iat", g.IssuedAt.Unix())
	w.audience(g.Audiences)
	w.number("exp", g.ExpiresAt.Unix())
	w.plain("jti", t.TokenID)
	w.text("txn", t.Transaction)
	w.text("sub", g.Subject.Subject)
	w.text("scope", strings.Join(g.Scopes, " "))
	w.text("req_wl", x.Workloads[len(x.Workloads)-1])
	w.json("req_wl_chain", x.Workloads)
	if x.Details != nil {
		w.value("tctx", x.Details)
	}
	if x.Context != nil {
		w.value("rctx", x.Context)
	}
	w.about(g)
	w.plain("xqr", sealed)
	return append(w.b, '}'), w.err
}

// compareTransaction holds a transaction token's claims against the grant.
func compareTransaction(payload []byte, g *policy.Grant, t *Token, sealed string) string {
	want := map[string]any{
		"iss": g.Issuer, "aud": g.Audiences[0], "iat": g.IssuedAt.Unix(), "exp": g.ExpiresAt.Unix(), "jti": t.TokenID, "txn": t.Transaction,
		"sub": g.Subject.Subject, "scope": strings.Join(g.Scopes, " "), "req_wl": g.ClientID, "req_wl_chain": g.Transaction.Workloads, "xqr": sealed,
	}
	if g.Transaction.Details != nil {
		want["tctx"] = g.Transaction.Details
	}
	if g.Transaction.Context != nil {
		want["rctx"] = g.Transaction.Context
	}
	expectAbout(want, g)
	return compareAll(payload, want)
}
