// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Introspect answers what a token of this token service is good for (RFC 7662), to the
// clients that it concerns: those in its aud, and the one that it was issued to. To
// everybody else, and about every other token, the answer is that it is not active, and
// the record says why.
func (e *Exchanger) Introspect(ctx context.Context, call *oauth.Call) oauth.Answer {
	return e.answer(ctx, call, inquiring(
		step{"token", (*exchange).inspect},
		step{"consume", (*exchange).consume},
	), (*exchange).introspected)
}

// inspect finds out whether the token is active for the caller. That it is not is an
// answer like any other; that nobody can tell is a refusal.
func (x *exchange) inspect(ctx context.Context) *policy.Refusal {
	if x.client.Public {
		return &policy.Refusal{Outcome: policy.Denied, Reason: policy.ClientCredentials, Check: "client", Detail: "a public client introspects nothing: it has shown no credential"}
	}
	x.inactive = x.activeFor(ctx, x.client.ID)
	if x.inactive != nil && x.inactive.Outcome == policy.Unable {
		return x.inactive
	}
	return nil
}

func (x *exchange) activeFor(ctx context.Context, client string) *policy.Refusal {
	t, ref := x.ownToken(ctx)
	if ref != nil {
		return ref
	}
	x.about(t)
	if t.Class == policy.ClassTransaction {
		// Who asks here takes what is active for an access token.
		return &policy.Refusal{Outcome: policy.Denied, Reason: policy.TokenClass, Check: "class", Detail: "a transaction token gives access to nothing"}
	}
	if !x.call.Service.MayInspect(t, client) {
		return &policy.Refusal{Outcome: policy.Denied, Reason: policy.SubjectAudience, Check: "audience", Detail: "the token is neither for the asking client nor issued to it"}
	}
	if ref := x.call.Service.Standing(t, x.now); ref != nil {
		ref.Check = "standing"
		return ref
	}
	return x.revoked(ctx, t)
}

func (x *exchange) introspected() oauth.Answer {
	if x.inactive != nil {
		return oauth.Answer{Document: oauth.Inactive()}
	}
	return oauth.Answer{Document: oauth.Active(x.subject)}
}
