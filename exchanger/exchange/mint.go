// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func (x *exchange) mint(ctx context.Context) *policy.Refusal {
	if g, ok := x.decision.Grant(); ok && goesOutside(g) {
		return x.external(ctx, g)
	}
	if g, ok := x.decision.Grant(); ok && g.SAML != nil {
		return x.mintAssertion()
	}
	current, _ := x.Keys.Current(x.call.Service.Name())
	t, ref := x.minter.Mint(ctx, &x.decision, current, x.Now)
	if ref != nil {
		return ref
	}
	x.token = t
	x.record.KeyID, x.record.TokenID, x.record.Transaction = t.KeyID, t.TokenID, t.Transaction
	return nil
}

func (x *exchange) response() *oauth.Response {
	if x.foreign != nil {
		return x.foreignResponse()
	}
	g, _ := x.decision.Grant()
	return &oauth.Response{
		AccessToken:     x.token.Value,
		IssuedTokenType: oauth.TokenTypeURN(g.TokenType),
		TokenType:       presentation(g),
		ExpiresIn:       x.token.ExpiresIn,
		Scope:           scopeOf(g),
		RefreshToken:    x.refreshToken,
	}
}

// scopeOf is the scope of the token; empty for those that have none.
func scopeOf(g *policy.Grant) string {
	if g.TokenType == policy.TypeIDToken {
		return ""
	}
	return strings.Join(g.Scopes, " ")
}
