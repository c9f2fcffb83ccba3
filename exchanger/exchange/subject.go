// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func (x *exchange) verifySubject(ctx context.Context) *policy.Refusal {
	t, ref := x.Subjects.Verify(ctx, x.call.Service, x.params.SubjectToken, x.now)
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
	if x.params.ActorToken == "" {
		return nil
	}
	t, ref := x.Subjects.VerifyActor(ctx, x.call.Service, x.params.ActorToken, x.now)
	if ref != nil {
		return ref
	}
	x.actor = t
	x.record.Actor = audit.Identity{Issuer: t.Issuer, Subject: t.Subject}
	return nil
}
