// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"net/http"
	"net/url"
)

// Introspect asks what a token is (RFC 7662). Nothing of an answer is read unless
// active is the boolean true; every other answer is [*Refused].
func (c *Client) Introspect(ctx context.Context, s *Server, token string) (map[string]any, error) {
	var claims map[string]any
	q := &question{form: url.Values{"token": {token}}, refusals: []int{http.StatusUnauthorized, http.StatusForbidden}}
	err := c.ask(ctx, s, q, func(a *answer) error {
		if a.status != http.StatusOK {
			// RFC 7662, section 2.3: it is about us. An unknown token is `active: false`.
			return failed(ResultCredentials, "it does not take our credentials")
		}
		if active, ok := a.body["active"].(bool); !ok || !active {
			return &Refused{}
		}
		claims = a.body
		delete(claims, "active")
		return nil
	})
	return claims, err
}

// UserInfo asks who the subject of an access token is (OpenID Connect Core 1.0,
// section 5.3).
func (c *Client) UserInfo(ctx context.Context, s *Server, token string) (map[string]any, error) {
	if !visible(token, false) || token == "" {
		return nil, &Refused{Code: "invalid_token"} // it cannot stand in a header
	}
	var claims map[string]any
	q := &question{bearer: token, refusals: []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}}
	err := c.ask(ctx, s, q, func(a *answer) error {
		if a.status != http.StatusOK {
			return &Refused{Code: "invalid_token"}
		}
		claims = a.body
		return nil
	})
	return claims, err
}

// Redeem redeems a refresh token at the server that issued it (RFC 6749 section 6).
func (c *Client) Redeem(ctx context.Context, s *Server, refreshToken string) (*Token, error) {
	return c.Token(ctx, s, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}})
}
