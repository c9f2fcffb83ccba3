// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"
	"strconv"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Token types of RFC 6749, RFC 9449 and RFC 8693 section 2.2.1.
const (
	TokenTypeBearer = "Bearer"
	TokenTypeDPoP   = "DPoP"
	// TokenTypeNA is for a token that is no access token.
	TokenTypeNA = "N_A"
)

// TokenTypeFor is the token_type of a type of token: what is no access token is N_A
// (RFC 8693 section 2.2.1).
func TokenTypeFor(t policy.TokenType) string {
	switch t {
	case policy.TypeAccessToken, policy.TypeJWT, policy.TypeRefreshToken:
		return TokenTypeBearer
	case policy.TypeIDToken, policy.TypeSAML2, policy.TypeTransaction, policy.TypeHandover, policy.TypeIDJAG:
	}
	return TokenTypeNA
}

// Response is a successful answer (RFC 8693 section 2.2.1).
type Response struct {
	AccessToken     string
	IssuedTokenType string
	TokenType       string
	// ExpiresIn is the token's remaining life in seconds; 0, of another server's token
	// of which nobody knows it, is left out.
	ExpiresIn int64
	// Scope is what the token has; empty is left out.
	Scope string
	// RefreshToken is left out where there is none.
	RefreshToken string
}

// AppendJSON appends the answer's body to dst.
func (r *Response) AppendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `{"access_token":`...), r.AccessToken)
	dst = appendString(append(dst, `,"issued_token_type":`...), r.IssuedTokenType)
	dst = appendString(append(dst, `,"token_type":`...), r.TokenType)
	if r.ExpiresIn > 0 {
		dst = strconv.AppendInt(append(dst, `,"expires_in":`...), r.ExpiresIn, 10)
	}
	if r.Scope != "" {
		dst = appendString(append(dst, `,"scope":`...), r.Scope)
	}
	if r.RefreshToken != "" {
		dst = appendString(append(dst, `,"refresh_token":`...), r.RefreshToken)
	}
	return append(dst, '}')
}

// appendString appends s as a JSON string. What we answer with is plain ASCII by
// construction; anything else takes the standard library's way.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(dst, `""`...)
			}
			return append(dst, quoted...)
		}
	}
	dst = append(append(dst, '"'), s...)
	return append(dst, '"')
}
