// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bytes"
	"context"
	"crypto/rand"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/mint"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// handedOver is what stands in the store in place of a hand-over token that was used,
// so that a second use is told from a token that never was.
var handedOver = []byte("used ") //nolint:gochecknoglobals // a constant

// received reads a hand-over token, which is used up when everything else agreed.
func (x *exchange) received(ctx context.Context, token string) (*policy.Token, *policy.Refusal) {
	if !isHandle(token, handoverPrefix) {
		return nil, kept(policy.Denied, policy.TokenMalformed, "the token is no hand-over token of this token service")
	}
	id := x.keptID(token)
	value, sealed, ref := x.fetch(ctx, store.HandOver, id)
	switch {
	case ref != nil:
		return nil, ref
	case value == nil:
		return nil, kept(policy.Denied, policy.TokenExpired, "the hand-over token is not known: it has expired, or never was")
	case bytes.HasPrefix(value, handedOver):
		return nil, usedHandover()
	}
	t, ref := x.Subjects.VerifyKept(x.call.Service, string(value), mint.HandoverType)
	if ref != nil {
		return nil, ref
	}
	t = t.AsHandover()
	x.later(func(ctx context.Context) *policy.Refusal { return x.useHandover(ctx, id, sealed, t) })
	return as(t, token), nil
}

// ownHandover is the hand-over token that a question is about. It is not used up.
func (x *exchange) ownHandover(ctx context.Context) (*policy.Token, *policy.Refusal) {
	before := len(x.uses) // the client's own credential, which is used up as ever
	t, ref := x.received(ctx, x.params.SubjectToken)
	x.uses = x.uses[:before]
	if ref != nil {
		return nil, ref
	}
	x.subject = t
	x.record.Subject = audit.Identity{Issuer: t.Issuer, Subject: t.Subject}
	return t, nil
}

func (x *exchange) useHandover(ctx context.Context, id string, sealed []byte, t *policy.Token) *policy.Refusal {
	// No two marks are the same: only one of those who put them sees it done.
	used, ref := x.seal(store.HandOver, id, append(bytes.Clone(handedOver), rand.Text()...))
	if ref != nil {
		return ref
	}
	swapped, err := x.Store.Swap(ctx, store.HandOver, id, sealed, used, t.ExpiresAt)
	switch {
	case err != nil:
		return x.unkept(err)
	case !swapped:
		return usedHandover()
	case t.IssuedAt.Before(x.Store.Since()):
		return kept(policy.Denied, policy.HandoverUsed, "the hand-over token was issued before the store for one-time state began anew, which does not know whether it was used already")
	}
	return nil
}

func usedHandover() *policy.Refusal {
	return kept(policy.Denied, policy.HandoverUsed, "the hand-over token was used already")
}
