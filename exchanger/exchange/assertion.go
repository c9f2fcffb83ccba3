// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// asserted makes a verified token the assertion of the jwt-bearer grant: it is used
// up once everything else agreed (RFC 7523 section 3, rule 7).
func (x *exchange) asserted(t *policy.Token) *policy.Token {
	issuer, ok := x.call.Service.TrustedIssuer(t.Issuer)
	if !ok || t.TokenID == "" {
		return t.AsAssertion() // It is refused: of ours, or without jti.
	}
	until := t.ExpiresAt.Add(issuer.Spec().ClockSkew)
	// Not the client: an assertion that one used is used up for all. Nor the object's
	// name: another that takes its place for the same issuer must not forget.
	owner := store.Owner(x.call.Service.Name(), issuer.Spec().URL)
	x.later(func(ctx context.Context) *policy.Refusal {
		fresh, err := x.Store.Once(ctx, store.JWTBearer, owner, t.TokenID, until)
		switch {
		case errors.Is(err, store.ErrQuota):
			return once(policy.Denied, policy.RateLimited, "TrustedIssuer "+issuer.Name()+" has issued too many assertions in the last minutes")
		case err != nil:
			return once(policy.Unable, policy.StoreUnavailable, "whether the assertion was used already cannot be told now")
		case !fresh:
			return once(policy.Denied, policy.ReplayDetected, "the assertion of TrustedIssuer "+issuer.Name()+" was used already")
		case t.IssuedAt.Before(x.Store.Since()):
			return once(policy.Denied, policy.ReplayDetected, "the assertion was issued before the store for one-time state began, which does not know whether it was used already; a shared store would know")
		}
		return nil
	})
	return t.AsAssertion()
}

func once(outcome policy.Outcome, reason policy.Reason, detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: outcome, Reason: reason, Check: policy.AssertionOnce, Detail: detail}
}
