// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// others notes who the token is about, who acts in it, and who impersonates.
func (x *exchange) others(g *policy.Grant) {
	r := &x.record
	if g.Subject != x.subject {
		r.Subject = audit.Identity{Issuer: g.Subject.Issuer, Subject: g.Subject.Subject}
	}
	if len(g.Sealed.Actors) > 0 {
		r.Actor = identityOf(&g.Sealed.Actors[0])
	}
	if by := g.Sealed.By; by != nil {
		r.Impersonator = &audit.Impersonator{Issuer: by.RawIssuer, Subject: by.RawSubject, ClientID: by.ClientID, Grant: g.Sealed.Under}
	}
}

// identityOf is an actor as the record knows it: as it was verified here, or, where a
// foreign token told of it, as that said.
func identityOf(a *policy.Actor) audit.Identity {
	if a.Issuer == "" {
		return audit.Identity{Issuer: a.RawIssuer, Subject: a.RawSubject}
	}
	return audit.Identity{Issuer: a.Issuer, Subject: a.Subject}
}

// lookUp asks the directory of the issuer to which the requested subject belongs. It
// is asked about nobody else than those of whom no ImpersonationGrant knows enough,
// and for nobody who could make no use of the answer.
func (x *exchange) lookUp(ctx context.Context) (ref *policy.Refusal) {
	wanted := x.params.RequestedSubject
	if wanted == "" || !x.call.Service.WantsDirectory(x.client.ID, x.subject, wanted, x.now) {
		return nil
	}
	x.directory, ref = x.Subjects.Lookup(ctx, x.call.Service, wanted, x.now)
	return ref
}
