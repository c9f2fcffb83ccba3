// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import "github.com/exchequer-dev/exchequer/exchanger/policy"

// shapeFor is the shape of what a grant has minted: of the token itself, or of the
// assertion that another server gets for it.
func shapeFor(g *policy.Grant) (shape, bool) {
	switch {
	case g.External == nil || g.External.Kind == policy.ExternalIDJAG:
		return shapeOf(g.TokenType)
	case g.Assertion == nil:
		return shape{}, false
	}
	return shape{typ: g.Assertion.Type, payload: appendExternal, compare: compareExternal, unsealed: true}, true
}

// appendExternal writes the claims of an assertion for another server (RFC 7523
// section 3): whom it is about, who acts, and who asked here. Scopes are asked for
// beside it.
func appendExternal(b []byte, g *policy.Grant, t *Token, _ string) ([]byte, error) {
	w := writer{b: append(b, '{')}
	w.text("iss", g.Issuer)
	w.text("sub", g.Assertion.Subject)
	w.text("aud", g.Assertion.Audience)
	w.text("client_id", g.ClientID)
	w.number("exp", g.ExpiresAt.Unix())
	w.number("iat", g.IssuedAt.Unix())
	w.number("nbf", g.IssuedAt.Unix())
	w.plain("jti", t.TokenID)
	w.text("txn", t.Transaction)
	if !aboutClient(g) {
		w.about(g)
	}
	return append(w.b, '}'), w.err
}

// aboutClient says whether an assertion is about the asking client, as a federated
// client's is: nothing that was said of the subject has a place in it.
func aboutClient(g *policy.Grant) bool { return g.External.Kind == policy.ExternalClientCredentials }

// compareExternal holds an assertion's claims against the grant.
func compareExternal(payload []byte, g *policy.Grant, t *Token, _ string) string {
	want := map[string]any{
		"iss": g.Issuer, "sub": g.Assertion.Subject, "aud": g.Assertion.Audience, "client_id": g.ClientID,
		"exp": g.ExpiresAt.Unix(), "iat": g.IssuedAt.Unix(), "nbf": g.IssuedAt.Unix(), "jti": t.TokenID, "txn": t.Transaction,
	}
	if g.External.Kind != policy.ExternalClientCredentials {
		expectAbout(want, g)
	}
	return compareAll(payload, want)
}
