// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"

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
	var t *policy.Token
	var ref *policy.Refusal
	switch p := x.params; p.ActorAs { //nolint:exhaustive // every other token says whose it is
	case policy.AsOpaque:
		// As it came: what an opaque token of ours stands for is no other server's business.
		t, ref = x.Subjects.VerifyOpaqueActor(ctx, x.call.Service, p.ActorURI, p.ActorToken, x.now)
	case policy.AsSAML2:
		t, ref = x.verifyAssertion(ctx, p.ActorToken, trust.Actor)
	default:
		t, ref = x.verified(ctx, x.Subjects.VerifyActor, p.ActorToken)
	}
	if ref != nil {
		return ref
	}
	x.actor = t
	x.record.Actor = audit.Identity{Issuer: t.Issuer, Subject: t.Subject}
	return nil
}
