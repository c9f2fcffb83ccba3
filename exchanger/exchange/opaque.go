// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// revealed is what an opaque access token of ours stands for; any other token is what
// it is. It is verified like one that was sent.
func (x *exchange) revealed(ctx context.Context, token string) (string, *policy.Refusal) {
	if !isHandle(token, opaquePrefix) {
		return token, nil
	}
	value, _, ref := x.fetch(ctx, store.Opaque, x.keptID(token))
	switch {
	case ref != nil:
		return "", ref
	case value == nil:
		return "", kept(policy.Denied, policy.TokenExpired, "the opaque token is not known: it has expired, was revoked, or never was")
	}
	return string(value), nil
}

// as is a token as it was presented: the record has the digest of what was sent.
func as(t *policy.Token, token string) *policy.Token {
	if t == nil {
		return nil
	}
	out := *t
	out.Digest = sha256.Sum256([]byte(token))
	return &out
}

// verifier is one of the ways to verify a token.
type verifier func(ctx context.Context, svc *policy.TokenService, token string, now time.Time) (*policy.Token, *policy.Refusal)

// verified verifies a token, or what an opaque one of ours stands for.
func (x *exchange) verified(ctx context.Context, verify verifier, token string) (*policy.Token, *policy.Refusal) {
	stands, ref := x.revealed(ctx, token)
	if ref != nil {
		return nil, ref
	}
	t, ref := verify(ctx, x.call.Service, stands, x.now)
	if ref == nil && stands != token {
		t = as(t, token)
	}
	return t, ref
}
