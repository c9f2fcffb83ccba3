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

// HandoverType is the typ of what a hand-over token stands for. Nothing else accepts
// it, should it ever get out.
const HandoverType = "handover+jwt"

// shapeOf is the shape of a type of token; false for what is not minted here.
func shapeOf(t policy.TokenType) (shape, bool) {
	switch t {
	case policy.TypeAccessToken, policy.TypeJWT, policy.TypeRefreshToken:
		return shape{typ: "at+jwt", payload: appendPayload, compare: compare}, true
	case policy.TypeIDToken:
		return shape{typ: "JWT", payload: appendIDToken, compare: compareIDToken, unsealed: true}, true
	case policy.TypeHandover:
		// Nobody ever sees it: it is kept, and what leaves is a handle to it.
		return shape{typ: HandoverType, payload: appendPayload, compare: compare}, true
	case policy.TypeTransaction:
		return shape{typ: policy.TypeHeaderTransaction, payload: appendTransaction, compare: compareTransaction}, true
	case policy.TypeIDJAG:
		return shape{typ: policy.TypeHeaderIDJAG, payload: appendIDJAG, compare: compareIDJAG, unsealed: true}, true
	case policy.TypeSAML2:
	}
	return shape{}, false
}
