// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"cmp"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// MostHops is the longest chain of exchanges that is looked for. A chain does not
// delegate (nobody acts for somebody else on it), so that the limit of delegation
// does not end it; but each hop is another workload that somebody wrote, and the
// default of delegationDepth, 4 hand-overs between 5 parties, is what people
// expect to exist. Twice that is where a report would be read by nobody.
const MostHops = 8

// mostWork bounds a search, in requests that were looked at: each takes some 2 µs,
// so that is 4 s, and the search of a world of 10,000 policies takes a tenth.
const mostWork = 2_000_000

// Question asks who can get a token for a target.
type Question struct {
	// TokenService may be empty when there is only one.
	TokenService string
	// Target is any name of a target: a client ID, an audience or a resource.
	Target string
	// Scope is the scope that the token shall have; empty: any, or none.
	Scope string
	// Hops is the longest chain that counts; 0 means MostHops.
	Hops int
}

// Step is one exchange of a chain.
type Step struct {
	Client  string  `json:"client"`
	Subject Subject `json:"subject"`
	// Grants are the targets that are asked for together, with the policy that
	// allows each.
	Grants []policy.TargetPolicy `json:"grants"`
	Scope  string                `json:"scope,omitempty"`
	// Conditions are the rules that must be true.
	Conditions []string `json:"conditions,omitempty"`
}

// Path is a chain of exchanges: the first step presents a token of an issuer, each
// of the others the token of the step before it, and the last one gets the token
// that was asked about.
type Path struct {
	Target string `json:"target"`
	// Scope is empty for a token without scope.
	Scope string `json:"scope"`
	Steps []Step `json:"steps"`
}

// First and Last are who starts with a token of an issuer, and who gets the token.
func (p *Path) First() *Step { return &p.Steps[0] }

// Last is the step that gets the token that was asked about.
func (p *Path) Last() *Step { return &p.Steps[len(p.Steps)-1] }

func (p *Path) compare(o *Path) int {
	return cmp.Or(
		cmp.Compare(len(p.Steps), len(o.Steps)), strings.Compare(p.Target, o.Target), strings.Compare(p.Scope, o.Scope),
		slices.CompareFunc(p.Steps, o.Steps, func(a, b Step) int {
			return cmp.Or(strings.Compare(a.Client, b.Client), strings.Compare(a.Subject.String(), b.Subject.String()), strings.Compare(a.Scope, b.Scope),
				slices.CompareFunc(a.Grants, b.Grants, func(x, y policy.TargetPolicy) int {
					return cmp.Or(strings.Compare(x.Target, y.Target), strings.Compare(x.Policy, y.Policy))
				}))
		}),
	)
}

// Answer is what a search found.
type Answer struct {
	TokenService string `json:"tokenService"`
	Target       string `json:"target"`
	Paths        []Path `json:"paths"`
	// Impersonations are the ways to have such a token as somebody else. The paths are
	// about whose token is presented.
	Impersonations []Impersonation `json:"impersonations,omitempty"`
	// Cut says that there was more than a search looks at: what is listed exists,
	// what is not listed may exist.
	Cut bool `json:"cut,omitempty"`
}

// WhoCan finds who can get a token, directly and through chains of exchanges: one
// path for each first client, class of token and way. Sorted, the shortest first.
// The second result is false when no target has that name.
func WhoCan(spec *policy.Spec, q Question) (Answer, bool) {
	a, ok := whoCan(spec, q)
	a.Paths = detours(a.Paths)
	return a, ok
}

// whoCan finds also what goes a longer way than it must.
func whoCan(spec *policy.Spec, q Question) (Answer, bool) {
	w := newWorld(spec)
	target, ok := w.targetNamed(q.TokenService, q.Target)
	if !ok {
		return Answer{}, false
	}
	s := &search{world: w, hops: q.Hops, work: mostWork, parties: w.parties()}
	if s.hops <= 0 || s.hops > MostHops {
		s.hops = MostHops
	}
	a := Answer{TokenService: target.service, Target: target.name, Paths: []Path{}}
	for _, scope := range w.askable(target) {
		if q.Scope == "" || q.Scope == scope || instance(q.Scope, scope) {
			a.Paths = append(a.Paths, s.run(target, scope)...)
		}
	}
	for _, m := range w.impersonations(target) {
		if q.Scope == "" || slices.Contains(m.Scopes, q.Scope) || slices.ContainsFunc(m.Scopes, func(s string) bool { return instance(q.Scope, s+":*") }) {
			a.Impersonations = append(a.Impersonations, m)
		}
	}
	slices.SortFunc(a.Paths, func(x, y Path) int { return x.compare(&y) })
	a.Cut = s.work <= 0
	return a, true
}

// targetNamed finds a target by any of its names.
func (w *world) targetNamed(service, name string) (named, bool) {
	for i := range w.spec.Clients {
		c := &w.spec.Clients[i]
		if c.Suspended || (service != "" && c.TokenService != service) {
			continue
		}
		if c.ID == name || slices.Contains(c.Audiences, name) || slices.Contains(c.Resources, name) {
			return named{c.TokenService, c.ID}, true
		}
	}
	return named{}, false
}

// askable are the scopes of a target that some policy lists, and "" where some
// policy grants tokens without.
func (w *world) askable(t named) []string {
	var out []string
	for _, p := range w.granting[t] {
		if scopeless(p) {
			out = append(out, "")
		}
		for _, s := range w.scopes[named{p.TokenService, p.Namespace}] {
			if slices.Contains(p.Scopes, s.Scope) && belongs(s, t.name) {
				out = append(out, shown(s))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// instance says whether scope is a value of the parametric scope shown as "x:*".
func instance(scope, parametric string) bool {
	base, ok := strings.CutSuffix(parametric, "*")
	return ok && strings.HasSuffix(base, ":") && strings.HasPrefix(scope, base) && len(scope) > len(base)
}
