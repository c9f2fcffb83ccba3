// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// verifyAssertion verifies a SAML 2.0 assertion that is the subject, or the actor.
func (x *exchange) verifyAssertion(ctx context.Context, token string, use trust.Use) (*policy.Token, *policy.Refusal) {
	a, ref := x.Subjects.VerifyAssertion(ctx, x.call.Service, token, x.now, use)
	if ref != nil {
		return nil, ref
	}
	if a.Once {
		x.later(func(ctx context.Context) *policy.Refusal { return x.useUp(ctx, a) })
	}
	return a.Token, nil
}

// useUp keeps an assertion with OneTimeUse from being used again (saml-core-2.0-os,
// 2.5.1.5). It is told by its issuer and its ID, which its issuer uses once, and not
// by its bytes: the same assertion can be written in many ways.
func (x *exchange) useUp(ctx context.Context, a *subject.Assertion) *policy.Refusal {
	refuse := func(outcome policy.Outcome, reason policy.Reason, detail string) *policy.Refusal {
		return &policy.Refusal{Outcome: outcome, Reason: reason, Check: policy.SubjectOnce, Detail: detail}
	}
	name := "TrustedIssuer " + a.Token.Issuer
	fresh, err := x.Store.Once(ctx, store.SAMLAssertion, store.Owner(x.call.Service.Name(), a.Issuer), a.TokenID, a.Until)
	switch {
	case errors.Is(err, store.ErrQuota):
		return refuse(policy.Denied, policy.RateLimited, name+" has issued too many assertions with OneTimeUse in the last minutes")
	case err != nil:
		return refuse(policy.Unable, policy.StoreUnavailable, "whether the assertion, which has OneTimeUse, was used already cannot be told now")
	case !fresh:
		return refuse(policy.Denied, policy.ReplayDetected, "the assertion of "+name+" has OneTimeUse and was used already")
	case a.IssuedAt.Before(x.Store.Since()):
		return refuse(policy.Denied, policy.ReplayDetected, "the assertion has OneTimeUse and was issued before the store for one-time state began, which does not know whether it was used already; a shared store would know")
	}
	return nil
}

// mintAssertion makes the assertion that was decided.
func (x *exchange) mintAssertion() *policy.Refusal {
	current, _ := x.Keys.Current(x.call.Service.Name())
	t, ref := x.minter.Assertion(&x.decision, current, x.Now)
	if ref != nil {
		return ref
	}
	x.token = t
	x.record.KeyID, x.record.TokenID, x.record.Transaction = t.KeyID, t.TokenID, t.Transaction
	return nil
}
