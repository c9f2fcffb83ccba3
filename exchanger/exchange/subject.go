// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

func (x *exchange) verifySubject(ctx context.Context) *policy.Refusal {
	if x.params.Grant == policy.GrantRefresh {
		return x.renewed(ctx)
	}
	var t *policy.Token
	var ref *policy.Refusal
	switch p := x.params; p.SubjectAs { //nolint:exhaustive // every other token says whose it is
	case policy.AsOpaque:
		t, ref = x.Subjects.VerifyOpaque(ctx, x.call.Service, p.SubjectURI, p.SubjectToken, x.now)
	case policy.AsSAML2:
		t, ref = x.verifyAssertion(ctx, p.SubjectToken, trust.Subject)
	case policy.AsHandover:
		t, ref = x.received(ctx, p.SubjectToken)
	default:
		t, ref = x.verified(ctx, x.Subjects.Verify, p.SubjectToken)
	}
	if ref != nil {
		return ref
	}
	if x.params.Grant == policy.GrantJWTBearer {
		t = x.asserted(t)
	}
	x.subject = t
	x.record.Subject = audit.Identity{Issuer: t.Issuer, Subject: t.Subject}
	return nil
}

// verifyActor verifies the actor token, as strictly as the subject's.
func (x *exchange) verifyActor(ctx context.Context) *policy.Refusal {
	// What a stranger writes is not recorded.
	x.record.RequestedSubject, x.record.StatedReason = x.params.RequestedSubject, x.params.Reason
	if x.params.ActorToken == "" {
		return x.lookUp(ctx)
	}
	verify := x.Subjects.VerifyActor
	if x.params.ActorAs == policy.AsSAML2 {
		verify = func(ctx context.Context, _ *policy.TokenService, token string, _ time.Time) (*policy.Token, *policy.Refusal) {
			return x.verifyAssertion(ctx, token, trust.Actor)
		}
	}
	if uri := x.params.ActorURI; uri != "" {
		verify = func(ctx context.Context, svc *policy.TokenService, token string, now time.Time) (*policy.Token, *policy.Refusal) {
			return x.Subjects.VerifyOpaqueActor(ctx, svc, uri, token, now)
		}
	}
	t, ref := x.verified(ctx, verify, x.params.ActorToken)
	if ref != nil {
		return ref
	}
	x.actor = t
	x.record.Actor = audit.Identity{Issuer: t.Issuer, Subject: t.Subject}
	return nil
}
