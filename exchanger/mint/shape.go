// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import "github.com/exchequer-dev/exchequer/exchanger/policy"

// shape is what one kind of token looks like. Its typ keeps it from being taken for
// another kind (RFC 8725 section 3.11).
type shape struct {
	typ string
	// payload writes the claims, and compare holds what was written against the
	// grant: the two share no code.
	payload func(b []byte, g *policy.Grant, t *Token, sealed string) ([]byte, error)
	compare func(payload []byte, g *policy.Grant, t *Token, sealed string) string
	// unsealed is a token for another domain, which carries none of our facts.
	unsealed bool
}

// shapeOf is the shape of a type of token; false for what is not minted here.
func shapeOf(t policy.TokenType) (shape, bool) {
	switch t {
	case policy.TypeAccessToken, policy.TypeJWT, policy.TypeRefreshToken:
		return shape{typ: "at+jwt", payload: appendPayload, compare: compare}, true
	case policy.TypeIDToken, policy.TypeSAML2, policy.TypeTransaction, policy.TypeHandover, policy.TypeIDJAG:
	}
	return shape{}, false
}
