// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import "github.com/exchequer-dev/exchequer/exchanger/policy"

// appendIDToken writes the claims of an ID token (OpenID Connect Core section 2): who
// the subject is, for the targets. It gives access to nothing, so it has no scope; and
// no nonce, since nobody was asked to sign in.
func appendIDToken(b []byte, g *policy.Grant, t *Token, _ string) ([]byte, error) {
	w := writer{b: append(b, '{')}
	w.text("iss", g.Issuer)
	w.text("sub", g.Subject.Subject)
	w.audience(g.Audiences)
	w.text("azp", g.ClientID)
	w.number("exp", g.ExpiresAt.Unix())
	w.number("iat", g.IssuedAt.Unix())
	w.plain("jti", t.TokenID)
	w.about(g)
	return append(w.b, '}'), w.err
}

const (
	idTokenAlways = hasIss | hasSub | hasAud | hasAzp | hasExp | hasIat | hasJti
	idTokenNever  = hasClientID | hasNbf | hasTxn | hasScope | hasSealed
)

// compareIDToken is compare for an ID token.
func compareIDToken(payload []byte, g *policy.Grant, t *Token, sealed string) string {
	return (&comparison{grant: g, token: t, sealed: sealed, always: idTokenAlways, never: idTokenNever}).read(payload)
}
