// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google/externalaccount"
)

const typeAccess = "urn:ietf:params:oauth:token-type:access_token"

// supplier gives the library the token that a workload has.
type supplier struct{ token string }

func (s supplier) SubjectToken(context.Context, externalaccount.SupplierOptions) (string, error) {
	return s.token, nil
}

// exchanged is a token that golang.org/x/oauth2 exchanged.
func (w *world) exchanged(t *testing.T, subjectToken, audience string, scopes ...string) *oauth2.Token {
	t.Helper()
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, w.client)
	source, err := externalaccount.NewTokenSource(ctx, externalaccount.Config{
		Audience: audience, SubjectTokenType: typeAccess, TokenURL: w.issuer + "/token", ClientID: app, ClientSecret: appSecret,
		Scopes: scopes, SubjectTokenSupplier: supplier{subjectToken},
	})
	must(t, err)
	token, err := source.Token()
	must(t, err)
	return token
}

func TestGoExchangesAndGoVerifies(t *testing.T) {
	t.Parallel()
	w := serve(t)
	token := w.exchanged(t, w.user(t, nil), api, userScope)
	if token.TokenType != "Bearer" || !token.Valid() {
		t.Errorf("type %q, expires %v", token.TokenType, token.Expiry)
	}
	ctx := oidc.ClientContext(t.Context(), w.client)
	provider, err := oidc.NewProvider(ctx, w.issuer)
	must(t, err)
	t.Run("go-oidc takes it for its audience", func(t *testing.T) {
		verified, err := provider.Verifier(&oidc.Config{ClientID: api}).Verify(ctx, token.AccessToken)
		must(t, err)
		var claims struct {
			Scope    string `json:"scope"`
			ClientID string `json:"client_id"`
		}
		must(t, verified.Claims(&claims))
		if verified.Subject != "corp:alice" || verified.Issuer != w.issuer || claims.Scope != userScope || claims.ClientID != app {
			t.Errorf("%+v %+v", verified, claims)
		}
	})
	t.Run("go-oidc takes an ID token of ours", func(t *testing.T) {
		id := w.node(t, ask{
			Library: "oauth4webapi", Client: app, Secret: appSecret, Grant: grantExchange,
			Parameters: map[string]string{"subject_token": w.user(t, nil), "subject_token_type": typeAccess, "audience": api, "requested_token_type": typeID},
		})
		verified, err := provider.Verifier(&oidc.Config{ClientID: api}).Verify(ctx, id.Answer.AccessToken)
		must(t, err)
		if verified.Subject != "corp:alice" || id.Answer.TokenType != "n_a" {
			t.Errorf("%+v %+v", verified, id)
		}
	})
	t.Run("go-oidc does not take it for another", func(t *testing.T) {
		if _, err := provider.Verifier(&oidc.Config{ClientID: cluster}).Verify(ctx, token.AccessToken); err == nil {
			t.Error("it was accepted")
		}
	})
	t.Run("the library tells what is refused", func(t *testing.T) {
		source, err := externalaccount.NewTokenSource(context.WithValue(t.Context(), oauth2.HTTPClient, w.client), externalaccount.Config{
			Audience: api, SubjectTokenType: typeAccess, TokenURL: w.issuer + "/token", ClientID: app, ClientSecret: appSecret,
			Scopes: []string{"admin"}, SubjectTokenSupplier: supplier{w.user(t, nil)},
		})
		must(t, err)
		if token, err := source.Token(); err == nil {
			t.Errorf("it got %v", token.TokenType)
		}
	})
}
