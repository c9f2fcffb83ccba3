// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Token is a token endpoint's answer (RFC 6749 section 5.1, RFC 8693 section 2.2.1).
// Printing one prints no token.
type Token struct {
	AccessToken     string
	IssuedTokenType string
	TokenType       string
	// Scope is what was granted; ScopeGiven tells none from not said.
	Scope      string
	ScopeGiven bool
	// ExpiresIn is in seconds; 0 where the server does not say.
	ExpiresIn    int64
	RefreshToken string
	IDToken      string
}

// String keeps tokens out of whatever is printed.
func (Token) String() string { return "[redacted]" }

// GoString keeps tokens out of whatever is printed.
func (Token) GoString() string { return "[redacted]" }

// Token asks a token endpoint. Client authentication is added to the form, which is
// the Client's from now on.
func (c *Client) Token(ctx context.Context, s *Server, form url.Values) (*Token, error) {
	q := &question{form: form, refusals: []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}}
	var t *Token
	err := c.ask(ctx, s, q, func(a *answer) (err error) {
		if a.status != http.StatusOK {
			return refusal(a)
		}
		t, err = readToken(a.body)
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// refusal reads an error answer. That our own credentials are not good there is our
// trouble, and no verdict about what was asked.
func refusal(a *answer) error {
	code, _ := a.body["error"].(string)
	switch {
	case code == "invalid_client" || (code == "" && a.status == http.StatusUnauthorized):
		return failed(ResultCredentials, "it does not take our credentials")
	case code == "":
		return failed(ResultMalformed, "its refusal has no error code")
	case code == "temporarily_unavailable" || code == "server_error" || code == "slow_down":
		return failed(ResultStatus, "it says that it cannot answer now")
	case !slices.Contains(Codes(), code):
		code = ""
	}
	return &Refused{Code: code}
}

func readToken(body map[string]any) (*Token, error) {
	t := &Token{}
	malformed := failed(ResultMalformed, "its answer is not what a token endpoint gives")
	for _, m := range [...]struct {
		name string
		to   *string
	}{
		{"access_token", &t.AccessToken},
		{"issued_token_type", &t.IssuedTokenType},
		{"token_type", &t.TokenType},
		{"scope", &t.Scope},
		{"refresh_token", &t.RefreshToken},
		{"id_token", &t.IDToken},
	} {
		v, there := body[m.name]
		if !there || v == nil {
			continue
		}
		s, ok := v.(string)
		if !ok || !visible(s, m.name == "scope") {
			return nil, malformed
		}
		*m.to = s
		t.ScopeGiven = t.ScopeGiven || m.name == "scope"
	}
	if t.AccessToken == "" || t.TokenType == "" {
		return nil, malformed
	}
	if !strings.EqualFold(t.TokenType, "Bearer") && t.TokenType != "N_A" {
		// Bound to a key, and not one of the caller's.
		return nil, failed(ResultMalformed, "its token is of a token_type that cannot be handed on")
	}
	switch n := body["expires_in"].(type) {
	case nil:
	case int64:
		if n < 0 || n > math.MaxInt32 {
			return nil, malformed
		}
		t.ExpiresIn = n
		if n == 0 {
			return nil, failed(ResultMalformed, "its token has expired already")
		}
	default:
		return nil, malformed
	}
	return t, nil
}

// visible says whether s is printable ASCII, which every token is (RFC 6749
// appendix A); spaces only where they separate.
func visible(s string, spaces bool) bool {
	for i := range len(s) {
		if s[i] > 0x7e || s[i] < ' ' || (s[i] == ' ' && !spaces) {
			return false
		}
	}
	return true
}
