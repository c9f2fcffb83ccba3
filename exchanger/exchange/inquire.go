// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// introspection and revocation are requests about a token of ours, by a client that
// authenticates as it does for an exchange; the steps before the question are the same
// for both.
func inquiring(then ...step) []step {
	return append([]step{{"form", (*exchange).inquiryForm}, {"client", (*exchange).authenticate}}, then...)
}

func (x *exchange) inquiryForm(context.Context) *policy.Refusal {
	x.record.Grant = string(x.call.Ask)
	p, ref := oauth.ParseInquiry(x.call.Body)
	if ref != nil {
		return ref
	}
	x.params = p
	return nil
}

// ownToken verifies the token that a question is about.
func (x *exchange) ownToken(ctx context.Context) (*policy.Token, *policy.Refusal) {
	t, ref := x.verified(ctx, func(_ context.Context, svc *policy.TokenService, token string, now time.Time) (*policy.Token, *policy.Refusal) {
		return x.Subjects.VerifyOwn(svc, token, now)
	}, x.params.SubjectToken)
	if ref != nil {
		return nil, ref
	}
	x.subject = t
	x.record.Subject = audit.Identity{Issuer: t.Issuer, Subject: t.Subject}
	if len(t.Actors) > 0 {
		x.record.Actor = audit.Identity{Issuer: t.Actors[0].Issuer, Subject: t.Actors[0].Subject}
	}
	if by := t.By; by != nil && t.Impersonator != nil {
		x.record.Impersonator = &audit.Impersonator{Issuer: by.RawIssuer, Subject: by.RawSubject, ClientID: by.ClientID, Grant: t.Under}
	}
	return t, nil
}

// about makes the record say which token the question was about.
func (x *exchange) about(t *policy.Token) {
	x.record.TokenID, x.record.Transaction = t.TokenID, t.Transaction
}

// revokedID is what the store knows a revoked token by.
func revokedID(service, tokenID string) string { return service + " " + tokenID }

// notRevoked asks the store whether a token of ours that the request hangs on, or one
// that it was derived from, was revoked at the revocation endpoint.
func (x *exchange) notRevoked(ctx context.Context) *policy.Refusal {
	return x.revoked(ctx, x.subject, x.actor)
}

func (x *exchange) revoked(ctx context.Context, tokens ...*policy.Token) *policy.Refusal {
	var ids []string
	for _, t := range tokens {
		if t == nil {
			continue
		}
		for _, id := range t.OwnTokenIDs() {
			ids = append(ids, revokedID(x.call.Service.Name(), id))
		}
	}
	for len(ids) > 0 {
		some := ids[:min(len(ids), store.MaxAny)]
		ids = ids[len(some):]
		found, err := x.Store.Any(ctx, store.Revoked, some)
		switch {
		case err != nil:
			return &policy.Refusal{Outcome: policy.Unable, Reason: policy.StoreUnavailable, Check: "revoked", Detail: "whether the token was revoked: " + err.Error()}
		case found:
			return &policy.Refusal{Outcome: policy.Denied, Reason: policy.TokenRevoked, Check: "revoked", Detail: "the token, or one that it was derived from, was revoked by its client"}
		}
	}
	return nil
}
