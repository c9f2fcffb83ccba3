// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

// The actor token is judged by the same functions as the subject token (RFC 8693
// section 2.1): it is as easily stolen, and worth as much.

func (d *deciding) actorIssuerTrusted() *Refusal {
	if d.request.Actor == nil {
		return nil
	}
	var ref *Refusal
	d.actorIssuer, ref = d.trusted(d.request.Actor.Origin, d.originURL(d.request.Actor), forActor)
	return ref
}

func (d *deciding) actorClass() *Refusal {
	if d.request.Actor == nil {
		return nil
	}
	return presentedAs(d.request.Actor.Class, d.request.ActorAs)
}

func (d *deciding) actorTime() *Refusal {
	if d.request.Actor == nil {
		return nil
	}
	return d.inTime(d.request.Actor, d.actorIssuer)
}

func (d *deciding) actorNotRevoked() *Refusal {
	if d.request.Actor == nil {
		return nil
	}
	return d.notRevoked(d.request.Actor, d.actorIssuer)
}

func (d *deciding) actorNoCredential() *Refusal {
	if d.request.Actor == nil {
		return nil
	}
	return d.noCredential(d.request.Actor, d.actorIssuer)
}

func (d *deciding) actorAddressed() *Refusal {
	if d.request.Actor == nil {
		return nil
	}
	return saysWhomFor(d.request.Actor, ActorAudience)
}

// actorBare refuses an actor who is somebody else, or in whose name somebody else
// acts: acting is not transitive.
func (d *deciding) actorBare() *Refusal {
	if d.request.Actor == nil || d.request.Actor.bare() {
		return nil
	}
	return deny(ActorDepth, "the actor token has act or impersonator itself")
}

// bare says whether a token speaks for its own subject alone.
func (t *Token) bare() bool { return t.Act == nil && t.bareOfGrant() }

// bareOfGrant says whether a token was not made under an ImpersonationGrant.
func (t *Token) bareOfGrant() bool { return t.Impersonator == nil && t.Under == "" }
