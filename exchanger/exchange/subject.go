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
func (x *exchange) verifyActor(context.Context) *policy.Refusal {
	if x.params.ActorToken != "" {
		// Nobody may act for anybody yet: no policy looks at who it is.
		x.actor = &policy.Token{}
	}
	return nil
}
