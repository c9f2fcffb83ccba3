// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// revokedSlack is how long a revoked token is remembered beyond its end: clocks of
// replicas differ by a minute at most.
const revokedSlack = time.Minute

// Revoke ends a token of this token service, and everything that was derived from it,
// at the wish of the client that it was issued to (RFC 7009). A token that is not
// known, or that has ended, needs no revoking: the answer is the same.
func (e *Exchanger) Revoke(ctx context.Context, call *oauth.Call) oauth.Answer {
	return e.answer(ctx, call, inquiring(
		step{"token", (*exchange).revocable},
		step{"consume", (*exchange).consume},
		step{"revoke", (*exchange).revoke},
	), func(*exchange) oauth.Answer { return oauth.Answer{Document: []byte{}} })
}

// revocable finds the token. What is none of ours is left alone (RFC 7009 section 2.2);
// what is another client's is refused (section 2.1).
func (x *exchange) revocable(ctx context.Context) *policy.Refusal {
	if strings.HasPrefix(x.params.SubjectToken, refreshPrefix) {
		return x.revocableFamily(ctx)
	}
	find := x.ownToken
	if isHandle(x.params.SubjectToken, handoverPrefix) {
		find = x.ownHandover
	}
	t, ref := find(ctx)
	switch {
	case ref != nil && ref.Outcome == policy.Unable:
		return ref
	case ref != nil:
		x.inactive = ref
		return nil //nolint:nilerr // what is not ours needs no revoking; the record says what it was
	}
	x.about(t)
	switch {
	case t.ClientID != x.client.ID:
		return &policy.Refusal{Outcome: policy.Denied, Reason: policy.ClientGrant, Check: "issuedTo", Detail: "the token was issued to another client"}
	case !x.now.Before(t.ExpiresAt.Add(revokedSlack)):
		x.inactive = &policy.Refusal{Outcome: policy.Denied, Reason: policy.TokenExpired, Check: "token", Detail: "exp has passed: there is nothing left to revoke"}
	case t.TokenID == "":
		return &policy.Refusal{Outcome: policy.Denied, Reason: policy.TokenMalformed, Check: "token", Detail: "the token has no jti to be revoked by"}
	}
	return nil
}

// revoke remembers the token as revoked for as long as anything that was derived from
// it can live. What is derived never outlives it, but for what refresh tokens renew.
func (x *exchange) revoke(ctx context.Context) *policy.Refusal {
	if x.inactive != nil {
		return nil //nolint:nilerr // there is nothing to revoke
	}
	if x.family != nil {
		if err := x.endFamily(ctx, x.family); err != nil {
			return &policy.Refusal{Outcome: policy.Unable, Reason: policy.StoreUnavailable, Check: "revoke", Detail: "the refresh token is NOT revoked: " + err.Error()}
		}
		return nil
	}
	s := x.call.Service
	until := x.subject.ExpiresAt.Add(revokedSlack)
	if renewed := x.now.Add(s.LongestRenewal()); renewed.After(until) {
		until = renewed
	}
	err := x.Store.Put(ctx, store.Revoked, store.Owner(s.Name(), x.client.ID), revokedID(s.Name(), x.subject.TokenID), []byte{1}, until)
	switch {
	case errors.Is(err, store.ErrQuota):
		return &policy.Refusal{Outcome: policy.Denied, Reason: policy.RateLimited, Check: "revoke", Detail: err.Error()}
	case err != nil:
		return &policy.Refusal{Outcome: policy.Unable, Reason: policy.StoreUnavailable, Check: "revoke", Detail: "the token is NOT revoked: " + err.Error()}
	}
	return nil
}
