// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

// tellOthers writes into the grant who acts for the subject, and who impersonates it.
// All policies judged the same parties; only grants could differ.
func (d *deciding) tellOthers(g *Grant, chosen []*judging) *Refusal {
	u := chosen[0].under
	for _, j := range chosen[1:] {
		if (j.under == nil) != (u == nil) || u != nil && j.under.grant != u.grant {
			return combined(ImpersonationGrant, "no ImpersonationGrant alone covers all targets")
		}
	}
	r := d.request
	g.Act, g.Sealed.Actors = r.Subject.Act, chosen[0].before
	if r.Actor != nil {
		g.Sealed.Lineage = withActor(g.Sealed.Lineage, r.Actor.lineage())
	}
	switch {
	case u == nil && r.Actor != nil:
		g.act(r.Actor.asActor(d.client.spec.ID), chosen[0].before)
	case u == nil:
	case !u.begins:
		g.Sealed.Under, g.Sealed.By = u.grant.spec.Name, &u.by
		if r.Subject.Impersonator != nil {
			g.Impersonator = u.claim()
		}
		if r.Actor != nil {
			g.act(r.Actor.asActor(d.client.spec.ID), chosen[0].before)
		}
	default:
		g.Sealed.Under, g.Sealed.By = u.grant.spec.Name, &u.by
		if u.subject != r.Subject {
			g.Subject = u.subject
			g.Sealed.Username, g.Sealed.Groups, g.Sealed.Extra = u.subject.Username, u.subject.Groups, u.subject.Extra
		}
		if u.grant.spec.Delegation {
			g.act(u.by, nil)
		} else {
			g.Impersonator = u.claim()
		}
	}
	return nil
}

// act makes an actor the current one, before those of the subject token.
func (g *Grant) act(a Actor, before []Actor) {
	all := make([]Actor, 0, len(before)+1)
	all = append(all, a)
	for _, b := range before {
		all = append(all, b.history())
	}
	g.Act, g.Sealed.Actors = a.claim(g.Act), all
}

// claim is the impersonator of a token.
func (u *under) claim() *Impersonator {
	return &Impersonator{Issuer: u.by.RawIssuer, Subject: u.by.RawSubject, ClientID: u.by.ClientID, Grant: u.grant.spec.Name}
}
