// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// appendIDJAG writes the claims of an identity assertion authorization grant
// (draft-ietf-oauth-identity-assertion-authz-grant, section 3). It is for another
// domain's server, which learns nothing of ours but the subject.
func appendIDJAG(b []byte, g *policy.Grant, t *Token, _ string) ([]byte, error) {
	w := writer{b: append(b, '{')}
	w.text("iss", g.Issuer)
	w.text("sub", g.Subject.Subject)
	w.text("aud", g.IDJAG.Audience)
	w.text("client_id", g.IDJAG.ClientID)
	w.plain("jti", t.TokenID)
	w.number("exp", g.ExpiresAt.Unix())
	w.number("iat", g.IssuedAt.Unix())
	if len(g.Scopes) > 0 {
		w.text("scope", strings.Join(g.Scopes, " "))
	}
	switch r := g.IDJAG.Resources; len(r) {
	case 0:
	case 1:
		w.text("resource", r[0])
	default:
		w.json("resource", r)
	}
	w.about(g)
	return append(w.b, '}'), w.err
}

// compareIDJAG holds an ID-JAG's claims against the grant.
func compareIDJAG(payload []byte, g *policy.Grant, t *Token, _ string) string {
	want := map[string]any{
		"iss": g.Issuer, "sub": g.Subject.Subject, "aud": g.IDJAG.Audience, "client_id": g.IDJAG.ClientID, "jti": t.TokenID,
		"exp": g.ExpiresAt.Unix(), "iat": g.IssuedAt.Unix(),
	}
	if len(g.Scopes) > 0 {
		want["scope"] = strings.Join(g.Scopes, " ")
	}
	if r := g.IDJAG.Resources; len(r) == 1 {
		want["resource"] = r[0]
	} else if len(r) > 1 {
		want["resource"] = r
	}
	expectAbout(want, g)
	return compareAll(payload, want)
}
