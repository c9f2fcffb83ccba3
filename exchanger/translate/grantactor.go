// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// defaultDepth is actor.maxDepth where nobody says otherwise.
const defaultDepth = 2

// policyActor reads who may act for the subject.
func (w *world) policyActor(p *grant) {
	p.spec.Actor = w.actorPolicy(actorFrame{
		object: p.object, byName: p.byName(),
		mayName: func(i *issuer) bool { return w.mayName(i, p.namespace) },
		isOwn: func(name string) bool {
			c, ok := w.holders[[2]string{p.service.name, name}]
			return ok && (c.namespace == p.namespace || contains(p.spec.Clients, c.spec.ID))
		},
	}, &p.api.Spec.Actor)
}

// actorFrame is what an object that has an actor may name.
type actorFrame struct {
	*object
	// byName says that every client is named.
	byName  bool
	mayName func(*issuer) bool
	// isOwn says whether our own tokens may have to be for a name.
	isOwn func(name string) bool
}

// actorPolicy reads spec.actor. What has no effect while it is Forbidden is refused
// rather than ignored.
func (w *world) actorPolicy(f actorFrame, a *v1alpha1.PolicyActor) policy.ActorPolicy {
	use := oneOf(f.object, "spec.actor.use", a.Use, v1alpha1.ActorForbidden, v1alpha1.ActorOptional, v1alpha1.ActorRequired)
	if a.MaxDepth < 0 || a.MaxDepth > 8 {
		f.invalid("spec.actor.maxDepth", "expected 1 to 8, found %d", a.MaxDepth)
	}
	if use == v1alpha1.ActorForbidden {
		f.noActor(a)
		return policy.ActorPolicy{}
	}
	out := policy.ActorPolicy{Use: policy.ActorUse(use), MaxDepth: int(a.MaxDepth), HonorMayAct: a.HonorMayAct == nil || *a.HonorMayAct}
	if out.MaxDepth == 0 {
		out.MaxDepth = defaultDepth
	}
	if len(a.Issuers) == 0 {
		f.warn("spec.actor.issuers is empty: nobody may act")
	}
	f.atMost("spec.actor.issuers", len(a.Issuers), 32)
	for n := range a.Issuers {
		w.actorIssuer(f, fmt.Sprintf("spec.actor.issuers[%d]", n), &a.Issuers[n], &out)
	}
	out.Issuers, out.SelfOrigins = sortedSet(out.Issuers), sortedSet(out.SelfOrigins)
	w.actorAudience(f, &a.Audience, &out)
	out.Rules = w.rules(f.object, "spec.actor.rules", policy.EnvPolicy, a.Rules, 32)
	if f.service != nil && out.MaxDepth > f.service.spec.DelegationDepth && a.MaxDepth != 0 {
		f.warn("spec.actor.maxDepth: limits.delegationDepth of TokenService %s cuts it to %d", f.service.name, f.service.spec.DelegationDepth)
	}
	return out
}

// noActor refuses what stands beside use: Forbidden as if it meant something.
func (f actorFrame) noActor(a *v1alpha1.PolicyActor) {
	switch {
	case len(a.Issuers) > 0:
		f.invalid("spec.actor.issuers", "it has no effect while use is Forbidden: take it out")
	case len(a.Rules) > 0:
		f.invalid("spec.actor.rules", "it has no effect while use is Forbidden: take it out")
	case (a.Audience.Match != "" && a.Audience.Match != v1alpha1.AudienceClient) || len(a.Audience.AnyOf) > 0 || len(a.Audience.AuthorizedParties) > 0:
		f.invalid("spec.actor.audience", "it has no effect while use is Forbidden: take it out")
	case (a.HonorMayAct != nil && !*a.HonorMayAct) || (a.MaxDepth != 0 && a.MaxDepth != defaultDepth):
		f.warn("spec.actor: honorMayAct and maxDepth have no effect while use is Forbidden")
	}
}

func (w *world) actorIssuer(f actorFrame, field string, in *v1alpha1.PolicyIssuer, out *policy.ActorPolicy) {
	var set members
	set.add("name", in.Name != "")
	set.add("self: true", in.Self)
	if !f.exactlyOne(field, set, "name and self: true") {
		return
	}
	if in.Name != "" {
		f.named(field, "", in.Name)
		if len(in.Origins) > 0 {
			f.invalid(field+".origins", "they belong to self: true")
		}
		out.Issuers = append(out.Issuers, w.namedActorIssuer(f, in.Name)...)
		return
	}
	if len(in.Origins) == 0 {
		f.invalid(field+".origins", "expected at least one TrustedIssuer: the one of the first token of the actor's chain")
	}
	f.atMost(field+".origins", len(in.Origins), 32)
	for n, o := range in.Origins {
		if !isSubdomain(o) || len(o) > v1alpha1.MaxNameLength {
			f.invalid(fmt.Sprintf("%s.origins[%d]", field, n), "expected the name of a TrustedIssuer")
		}
		out.SelfOrigins = append(out.SelfOrigins, w.namedActorIssuer(f, o)...)
	}
}

// namedActorIssuer finds a TrustedIssuer that may be named here and whose tokens may
// be actors'. Others contribute nothing, all in the same words.
func (w *world) namedActorIssuer(f actorFrame, name string) []string {
	if f.service == nil {
		return nil
	}
	i, ok := w.issuerByName[name]
	if !ok || i.service != f.service || !i.spec.ForActor || !f.mayName(i) {
		f.miss(kindIssuer, name)
		return nil
	}
	return []string{i.name}
}

// actorAudience reads whom the actor token must have been for.
func (w *world) actorAudience(f actorFrame, in *v1alpha1.AudienceRule, out *policy.ActorPolicy) {
	const field = "spec.actor.audience"
	match := oneOf(f.object, field+".match", in.Match, v1alpha1.AudienceClient, v1alpha1.AudienceIssuer, v1alpha1.AudienceAnyOf)
	out.Audience.Match = policy.AudienceMatch(match)
	if match != v1alpha1.AudienceClient && !f.byName {
		f.invalid(field+".match", "%s needs every entry of clients to be a name: it lets a client present tokens that were not made for it", match)
	}
	anyOf := f.names(field+".anyOf", in.AnyOf, 32)
	parties := f.names(field+".authorizedParties", in.AuthorizedParties, 32)
	switch {
	case match == v1alpha1.AudienceAnyOf && len(in.AnyOf) == 0:
		f.invalid(field+".anyOf", "expected at least one audience")
	case match != v1alpha1.AudienceAnyOf && len(anyOf) > 0:
		f.invalid(field+".anyOf", "it belongs to match: AnyOf")
	case match != v1alpha1.AudienceAnyOf && len(parties) > 0:
		f.invalid(field+".authorizedParties", "they belong to match: AnyOf")
	case match == v1alpha1.AudienceAnyOf && f.service != nil:
		out.Audience.AuthorizedParties = parties
		known := w.audiencesOf(out.Issuers)
		for _, a := range anyOf {
			if known[a] || len(out.SelfOrigins) > 0 && f.isOwn(a) {
				out.Audience.AnyOf = append(out.Audience.AnyOf, a)
			} else {
				f.miss("audience", a)
			}
		}
	}
}
