// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// actorAllowed holds the request and the token against actor.use: no party of a
// chain may be dropped silently (RFC 8693 section 4.1). Where use is Forbidden and
// impersonation is allowed, an actor token is an impersonator's.
func (j *judging) actorAllowed() *Refusal {
	r, rule := j.request, &j.policy.spec.Actor
	switch {
	case rule.Use == ActorsForbidden && r.Actor != nil && !j.policy.spec.Impersonation:
		return deny(ActorForbidden, "actor.use is Forbidden, and an actor_token was sent")
	case rule.Use == ActorsForbidden && r.Subject.Act != nil:
		return deny(ActorForbidden, "actor.use is Forbidden, and the subject token has act")
	case r.Actor != nil && j.external().forgetsActors():
		return deny(ActorForbidden, "forward sends the subject token alone to the other server, which would not know who acts: no actor_token goes with it")
	case rule.Use == ActorsRequired && r.Actor == nil && r.Subject.Act == nil:
		return deny(ActorRequired, "actor.use is Required, and there is neither an actor_token nor act in the subject token")
	}
	var ref *Refusal
	j.before, ref = r.Subject.chain()
	return ref
}

// acting says whether the actor token is of a party that acts for the subject, and
// not of an impersonator.
func (j *judging) acting() bool {
	return j.request.Actor != nil && j.policy.spec.Actor.Use != ActorsForbidden
}

// actorIssuerNamed wants the issuer of the actor token, and that of the current actor
// of the subject token, among actor.issuers.
func (j *judging) actorIssuerNamed() *Refusal {
	if len(j.before) > 0 {
		if ref := j.namesActor(&j.before[0]); ref != nil {
			return ref
		}
	}
	if !j.acting() {
		return nil
	}
	a := j.request.Actor.asActor("")
	return j.namesActor(&a)
}

func (j *judging) namesActor(a *Actor) *Refusal {
	rule := &j.policy.spec.Actor
	switch a.Issuer {
	case "":
		return j.namesForeignActor(a)
	case SelfIssuer:
		if !slices.Contains(rule.SelfOrigins, a.Origin) {
			return deny(ActorIssuer, "actor.issuers has no {self: true} with origin "+a.Origin)
		}
	default:
		if !slices.Contains(rule.Issuers, a.Issuer) {
			return deny(ActorIssuer, "actor.issuers does not name "+a.Issuer)
		}
	}
	url := a.RawIssuer
	if a.Issuer == SelfIssuer {
		url = a.OriginURL
	}
	_, ref := j.trusted(a.Origin, url, forActor)
	return ref
}

// namesForeignActor judges an actor that a foreign token tells of, and that nobody
// verified here: its issuer, or where it came through tokens of ours the first one's,
// vouches for it, and must be named as one that may; so must the issuer that it names.
func (j *judging) namesForeignActor(a *Actor) *Refusal {
	issuers := j.policy.spec.Actor.Issuers
	voucher := j.deciding.issuer.spec
	switch {
	case !slices.Contains(issuers, voucher.Name):
		return deny(ActorIssuer, "actor.issuers does not name "+voucher.Name+", which tells of the actor")
	case !voucher.ForActor:
		return deny(ActorIssuer, "use of TrustedIssuer "+voucher.Name+" does not include Actor")
	}
	for _, name := range issuers {
		if i, ok := j.service.issuers[name]; ok && i.spec.URL == a.RawIssuer && i.spec.ForActor && !i.spec.Suspended {
			return nil
		}
	}
	return deny(ActorIssuer, "actor.issuers has no TrustedIssuer with the iss that act names")
}

// actorMeantForClient asks whom the actor token was for, by actor.audience. That of
// an impersonator must always be for the asking client. Of an actor inside the
// subject token there is none any more: who put it there asked.
func (j *judging) actorMeantForClient() *Refusal {
	if j.request.Actor == nil {
		return nil
	}
	rule := &j.policy.spec.Actor.Audience
	if !j.acting() {
		rule = &AudienceRule{Match: AudienceClient}
	}
	return j.addressed(j.request.Actor, j.actorIssuer, rule, "actor.audience", ActorAudience)
}

// actorRulesHold asks the rules of the actor token, and of the current actor of the
// subject token. A may_act that names the actor stands in for them where the policy
// says so; it does for nothing else.
func (j *judging) actorRulesHold() *Refusal {
	if len(j.before) > 0 {
		if ref := j.actorHolds(&j.before[0], j.before[0].facts()); ref != nil {
			return ref
		}
	}
	if !j.acting() {
		return nil
	}
	a := j.request.Actor.asActor("")
	return j.actorHolds(&a, j.request.Actor)
}

func (j *judging) actorHolds(a *Actor, facts *Token) *Refusal {
	if j.policy.spec.Actor.HonorMayAct && mayActSays(j.request.Subject.MayAct, a) {
		return nil
	}
	seen := j.facts
	seen.Actor = facts
	for i := range j.policy.actorRules {
		if ref := holds(&j.policy.actorRules[i], &seen, ActorRule, "actor.rules"); ref != nil {
			return ref
		}
	}
	return nil
}

// actorChainBounded refuses chains that are too long, and those in which somebody
// acts twice or for himself. It is a limit, and no access control: who acted before
// decides nothing (RFC 8693 section 4.1).
func (j *judging) actorChainBounded() *Refusal {
	if j.request.Actor == nil && len(j.before) == 0 {
		return nil
	}
	all := make([]Actor, 0, len(j.before)+2)
	all = append(all, j.request.Subject.asActor(""))
	if j.request.Actor != nil {
		all = append(all, j.request.Actor.asActor(""))
	}
	all = append(all, j.before...)
	for i := range all {
		for n := range all[:i] {
			if all[i].same(&all[n]) {
				return deny(ActorLoop, "an actor is the subject, or is in the chain already")
			}
		}
	}
	deepest := j.service.spec.DelegationDepth
	if j.policy.spec.Actor.Use != ActorsForbidden && j.policy.spec.Actor.MaxDepth > 0 {
		deepest = min(deepest, j.policy.spec.Actor.MaxDepth)
	}
	if len(all)-1 > deepest {
		return deny(ActorDepth, "act would name more actors than actor.maxDepth and limits.delegationDepth of TokenService "+j.service.spec.Name+" allow")
	}
	return nil
}

// mayActHolds holds may_act against who would act: the actor token's identity as it
// came, or, where there is none, the current actor of the subject token, which counts
// as presented, or the asking client. It always restricts. Members that this build
// does not know refuse.
func (j *judging) mayActHolds() *Refusal {
	may := j.request.Subject.MayAct
	if may == nil {
		return nil
	}
	named := false
	for member, v := range may {
		s, ok := v.(string)
		if !ok {
			return deny(MayAct, "may_act has a member that is not a string")
		}
		switch member {
		case "iss":
		case "sub":
			if ref := j.mayActNames(may, s); ref != nil {
				return ref
			}
			named = true
		case "client_id":
			_, isSub := may["sub"]
			iss, has := may["iss"].(string)
			elsewhere := !isSub && has && !j.clientIs(iss, s) // iss says whose client_id it is
			if elsewhere || s != j.client.spec.ID && j.deciding.issuer.aliases[s] != j.client.spec.ID {
				return deny(MayAct, "may_act names another client")
			}
			named = true
		default:
			return deny(MayAct, "may_act has a member that is not iss, sub or client_id")
		}
	}
	if !named {
		return deny(MayAct, "may_act names nobody")
	}
	return nil
}

func (j *judging) mayActNames(may map[string]any, sub string) *Refusal {
	if j.request.Actor != nil {
		a := j.request.Actor.asActor("")
		if !mayActSays(may, &a) {
			return deny(MayAct, "may_act names somebody else than the actor token does")
		}
		return nil
	}
	if len(j.before) > 0 && mayActSays(may, &j.before[0]) {
		return nil
	}
	if iss, has := may["iss"].(string); !has || !j.clientIs(iss, sub) {
		return deny(MayAct, "may_act names somebody else than the asking client")
	}
	return nil
}

// mayActSays says whether may_act names an actor by iss and sub, as they came.
func mayActSays(may map[string]any, a *Actor) bool {
	sub, hasSub := may["sub"].(string)
	iss, hasIss := may["iss"].(string)
	return hasSub && hasIss && sub == a.RawSubject && iss == a.RawIssuer
}

// clientIs says whether (iss, sub) is the asking client: the identity of its
// credential, its ID at this token service, or what the first issuer calls it.
func (j *judging) clientIs(iss, sub string) bool {
	auth, id := j.request.Client, j.client.spec.ID
	switch {
	case auth.Subject != "" && auth.Issuer == iss && auth.Subject == sub:
		return true
	case iss == j.service.spec.Issuer:
		return sub == id
	case iss == j.deciding.issuer.spec.URL:
		return sub == id || j.deciding.issuer.aliases[sub] == id
	}
	return false
}
