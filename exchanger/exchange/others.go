// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
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
