// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"slices"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// try asks, for every choice of one policy for each target, which subject tokens
// make the request one that is granted: those of issuers end a path, our own are
// needed then.
func (s *search) try(r *request) {
	var scope *policy.Scope
	if r.scope != "" {
		scope = s.scopeIn(r.service, s.clients[named{r.service, r.targets[0]}].Namespace, r.scope)
	}
	choices := [][]*policy.Policy{nil}
	for _, id := range r.targets {
		var next [][]*policy.Policy
		for _, p := range s.may(r.service, r.client, id) {
			if !gives(p, id, scope) {
				continue
			}
			for _, c := range choices {
				next = append(next, append(slices.Clone(c), p))
			}
		}
		choices = next
	}
	for _, c := range choices {
		if s.work--; s.work <= 0 {
			return
		}
		s.judge(r, scope, c)
	}
}

// gives says whether a policy plays its part: it grants the scope where that is
// one of its target's, and needs no scope where none of its own is asked for.
func gives(p *policy.Policy, target string, scope *policy.Scope) bool {
	switch {
	case scope == nil:
		return scopeless(p)
	case belongs(scope, target):
		return slices.Contains(p.Scopes, scope.Scope)
	}
	return true
}

func (s *search) judge(r *request, scope *policy.Scope, chosen []*policy.Policy) {
	// Somebody acts for all targets of a request, or for none, and stays in the token.
	if slices.ContainsFunc(chosen, requiresActor) && (r.bare || slices.ContainsFunc(chosen, forbidsActor)) {
		return
	}
	h := held(r, scope, chosen)
	step := Step{Client: r.client, Scope: r.scope}
	for i, p := range chosen {
		step.Grants = append(step.Grants, policy.TargetPolicy{Target: r.targets[i], Policy: ref(p)})
		for _, c := range s.conditions(p, scopeName(scope)) {
			if !slices.Contains(step.Conditions, c) {
				step.Conditions = append(step.Conditions, c)
			}
		}
	}
	origin := ""
	if len(r.rest) > 0 {
		origin = r.rest[0].Subject.Origin
	}
	for _, subject := range s.common(chosen) {
		if !s.presents(r.service, r.client, subject.Class) {
			continue
		}
		step.Subject = subject
		switch {
		case subject.Issuer == policy.SelfIssuer:
			if origin == "" || origin == subject.Origin {
				s.enqueue(r, step, h, chosen)
			}
		case (origin == "" || origin == subject.Issuer) && (h.scope == "" || s.canHold(r.service, subject)):
			s.paths = append(s.paths, Path{Steps: append([]Step{step}, r.rest...)})
		}
	}
}

func scopeName(s *policy.Scope) string {
	if s == nil {
		return ""
	}
	return shown(s)
}

// held is the scope that the subject token must hold for a request: because a
// policy narrows, or because those that come after want what no policy added.
func held(r *request, scope *policy.Scope, chosen []*policy.Policy) hold {
	if scope == nil {
		return hold{}
	}
	if r.carry.scope != "" && r.carry.namespace != scope.Namespace {
		return hold{scope: r.scope}
	}
	for i, p := range chosen {
		if belongs(scope, r.targets[i]) && !p.AddScopes {
			return hold{r.scope, scope.Namespace}
		}
	}
	return hold{}
}

// common are the classes of subject tokens that every policy takes, and of which
// one token can satisfy all their audience rules.
func (s *search) common(chosen []*policy.Policy) []Subject {
	kinds := types(chosen[0])
	for _, p := range chosen[1:] {
		kinds = slices.DeleteFunc(kinds, func(t policy.TokenType) bool { return !slices.Contains(p.TokenTypes, t) })
	}
	if len(kinds) == 0 {
		return nil // A request asks for one type of token.
	}
	out := s.subjects(chosen[0])
	for _, p := range chosen[1:] {
		others := s.subjects(p)
		out = slices.DeleteFunc(out, func(x Subject) bool { return !slices.Contains(others, x) })
	}
	// A token has one authorized party.
	var authorized []string
	for _, p := range chosen {
		a := p.SubjectAudience.AuthorizedParties
		switch {
		case p.SubjectAudience.Match != policy.AudienceAnyOf || len(a) == 0:
			continue
		case authorized == nil:
			authorized = slices.Clone(a)
		default:
			authorized = slices.DeleteFunc(authorized, func(x string) bool { return !slices.Contains(a, x) })
		}
		if len(authorized) == 0 {
			return nil
		}
	}
	return out
}

// enqueue notes that a token of ours is needed, unless it was noted already: the
// search goes breadth first, so that what was noted first has the shorter rest.
func (s *search) enqueue(r *request, step Step, h hold, chosen []*policy.Policy) {
	if len(r.rest)+1 >= s.hops {
		return
	}
	n := &need{service: r.service, origin: step.Subject.Origin, asker: r.client, hold: h, rest: append([]Step{step}, r.rest...)}
	n.bare = r.bare || slices.ContainsFunc(chosen, forbidsActor)
	for _, p := range chosen {
		n.rules = append(n.rules, &p.SubjectAudience)
	}
	if key := n.key(); !s.seen[key] {
		s.seen[key] = true
		s.queue = append(s.queue, n)
	}
}
