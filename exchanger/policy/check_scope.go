// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// grantsScopes finds the scopes of this target that the policy grants: those
// asked for, else the policy's defaults; within the policy, and within what the
// subject holds unless the policy adds.
func (j *judging) grantsScopes() *Refusal {
	if j.target.external != nil {
		return j.externalScopes()
	}
	if !j.request.ScopesGiven {
		j.defaultScopes()
		return nil
	}
	for i := range j.asked {
		s := &j.asked[i]
		if !s.scope.belongsTo(j.target.client.ID) {
			continue
		}
		ref := j.mayGrant(s)
		switch {
		case ref == nil:
			j.granted = append(j.granted, *s)
		case j.policy.spec.NarrowExcess:
			j.narrowed = true
		default:
			return ref
		}
	}
	return nil
}

func (j *judging) mayGrant(s *askedScope) *Refusal {
	p := j.policy.spec
	if !slices.Contains(p.Scopes, s.scope.spec.Scope) {
		return deny(ScopeNotGranted, "target.scopes does not have "+s.scope.spec.Scope)
	}
	if !j.under.grantsScope(s.scope.spec.Scope) {
		return deny(ScopeNotGranted, "ImpersonationGrant "+j.under.grant.spec.Name+" does not have scope "+s.scope.spec.Scope)
	}
	if !j.mayAdd() && !j.request.Subject.holds(s.text, j.target.client.Namespace) {
		return deny(ScopeNotHeld, "scopeMode is Narrow, and the subject token does not hold "+s.text)
	}
	return nil
}

// defaultScopes are what a request without scope gets: the policy's list, else
// what the subject holds. What does not fit is left out; nobody asked for it.
func (j *judging) defaultScopes() {
	p := j.policy.spec
	list := j.request.Subject.Scopes
	switch {
	case p.DefaultScopesSet:
		list = p.DefaultScopes
	case j.mayAdd():
		return
	}
	for _, text := range list {
		s, ok := j.service.scopeIn(j.target.client.Namespace, text)
		if !ok || !s.scope.belongsTo(j.target.client.ID) || j.mayGrant(&s) != nil || j.grantsOtherValue(&s) {
			continue
		}
		j.granted = append(j.granted, s)
	}
}

// grantsOtherValue says whether a parametric scope is granted already with
// another value: one request has one.
func (j *judging) grantsOtherValue(s *askedScope) bool {
	return slices.ContainsFunc(j.granted, func(g askedScope) bool { return g.scope == s.scope })
}

// scopeRulesHold asks the scopes' own rules. A default scope whose rule is false
// is left out; one that was asked for refuses, or narrows where the policy says
// so. An error always refuses.
func (j *judging) scopeRulesHold() *Refusal {
	kept := j.granted[:0]
	for i := range j.granted {
		s := j.granted[i]
		ref := j.scopeHolds(&s)
		switch {
		case ref == nil:
			kept = append(kept, s)
		case ref.Outcome == Denied && (!j.request.ScopesGiven || j.policy.spec.NarrowExcess):
			j.narrowed = j.narrowed || j.request.ScopesGiven
		default:
			return ref
		}
	}
	j.granted = kept
	if len(kept) > 0 || j.scopeless() || (j.request.ScopesGiven && !j.asksForScope()) {
		return nil
	}
	if !j.request.ScopesGiven && j.policy.spec.AddScopes && !j.policy.spec.DefaultScopesSet {
		return deny(ScopeNotGranted, "no scope was asked for, and with scopeMode Grant there is no default: ask for one, or set target.defaultScopes")
	}
	return deny(ScopeNotGranted, "no scope is left, and neither target.scopes nor defaultScopes is []")
}

func (j *judging) scopeHolds(s *askedScope) *Refusal {
	if s.scope.parameter == nil && len(s.scope.rules) == 0 {
		return nil
	}
	facts := j.facts
	facts.Parameter = s.parameter
	if s.scope.parameter != nil {
		r := compiledRule{program: s.scope.parameter, text: s.scope.spec.Parameter}
		if ref := holds(&r, &facts, ScopeRule, "ClientScope "+s.scope.spec.Name+" parameter"); ref != nil {
			return ref
		}
	}
	for i := range s.scope.rules {
		if ref := holds(&s.scope.rules[i], &facts, ScopeRule, "ClientScope "+s.scope.spec.Name+" rules"); ref != nil {
			return ref
		}
	}
	return nil
}

// scopeless says whether the policy allows a token without scope: only where its
// target.scopes, or its defaultScopes, is the empty list.
func (j *judging) scopeless() bool {
	p := j.policy.spec
	return len(p.Scopes) == 0 || (p.DefaultScopesSet && len(p.DefaultScopes) == 0)
}

// asksForScope says whether a requested scope belongs to this target at all: of
// several targets, one may be asked for without a scope of its own.
func (j *judging) asksForScope() bool {
	return slices.ContainsFunc(j.asked, func(s askedScope) bool { return s.scope.belongsTo(j.target.client.ID) })
}
