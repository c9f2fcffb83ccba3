// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// parties index who may ask for what.
type parties struct {
	byPair   map[asking][]*policy.Policy
	byTarget map[named][]*policy.Policy // those for every client
	// asked has targets by who may ask for them, those of byTarget not included.
	asked map[named][]string
	// byName has targets by each of their names.
	byName map[named]named
	// askers of a target, as they were found.
	askersMemo map[named][]string
}

type asking struct{ service, client, target string }

func (w *world) parties() *parties {
	p := &parties{byPair: map[asking][]*policy.Policy{}, byTarget: map[named][]*policy.Policy{}, asked: map[named][]string{}, byName: map[named]named{}, askersMemo: map[named][]string{}}
	for _, t := range w.targets {
		c := w.clients[t]
		for _, name := range slices.Concat([]string{c.ID}, c.Audiences, c.Resources) {
			p.byName[named{t.service, name}] = t
		}
		for _, g := range w.granting[t] {
			if g.AllClients {
				p.byTarget[t] = append(p.byTarget[t], g)
				continue
			}
			for _, c := range w.askers(g) {
				key := asking{t.service, c, t.name}
				if len(p.byPair[key]) == 0 {
					p.asked[named{t.service, c}] = append(p.asked[named{t.service, c}], t.name)
				}
				p.byPair[key] = append(p.byPair[key], g)
			}
		}
	}
	return p
}

// may are the policies by which a client may ask for a target.
func (p *parties) may(service, client, target string) []*policy.Policy {
	return slices.Concat(p.byPair[asking{service, client, target}], p.byTarget[named{service, target}])
}

// search looks backwards from a token to those who can get it.
type search struct {
	*world
	*parties
	hops, work int
	paths      []Path
	seen       map[string]bool
	queue      []*need
}

// need is a token of ours that somebody has to get hold of so that the rest of a
// chain works: it must satisfy the audience rules, for this asker, and hold the
// scope.
type need struct {
	service, origin, asker string
	rules                  []*policy.AudienceRule
	hold                   hold
	// bare says that nobody may act in it.
	bare bool
	// rest are the steps that follow, the next one first.
	rest []Step
}

// hold is a scope that a token must hold as a namespace means it. Without
// namespace it must come from the first token of the chain: a scope that a policy
// added counts in that policy's namespace only.
type hold struct{ scope, namespace string }

// key is equal for needs that the same tokens satisfy.
func (n *need) key() string {
	rules := make([]string, 0, len(n.rules))
	for _, r := range n.rules {
		rules = append(rules, fmt.Sprintf("%s %q %q", r.Match, r.AnyOf, r.AuthorizedParties))
	}
	slices.Sort(rules)
	return fmt.Sprintf("%q %q %q %q %q %v", n.origin, n.asker, slices.Compact(rules), n.hold.scope, n.hold.namespace, n.bare)
}

// request is one exchange that may be a step.
type request struct {
	service, client string
	targets         []string
	// scope is asked for; it is one of some of the targets.
	scope string
	// carry says what the token must hold for those that come after.
	carry hold
	// bare says that nobody may act in the token.
	bare bool
	rest []Step
}

// run finds every path to a token for the target with the scope.
func (s *search) run(t named, scope string) []Path {
	s.paths, s.seen, s.queue = nil, map[string]bool{}, nil
	for _, client := range s.askersOf(t) {
		s.try(&request{service: t.service, client: client, targets: []string{t.name}, scope: scope})
	}
	for len(s.queue) > 0 && s.work > 0 {
		n := s.queue[0]
		s.queue = s.queue[1:]
		s.expand(n)
	}
	for i := range s.paths {
		s.paths[i].Target, s.paths[i].Scope = t.name, scope
	}
	return s.paths
}

// detours takes out paths that go a longer way to what a shorter one gives to the
// same client, on fewer policies: a client that exchanges its own token once more.
func detours(paths []Path) []Path {
	type ends struct {
		first, last string
		subject     Subject
		target      string
		scope       string
	}
	shorter := map[ends][]*Path{}
	slices.SortStableFunc(paths, func(a, b Path) int { return a.compare(&b) })
	return slices.DeleteFunc(slices.Clone(paths), func(p Path) bool {
		key := ends{p.First().Client, p.Last().Client, p.First().Subject, p.Target, p.Scope}
		if slices.ContainsFunc(shorter[key], func(q *Path) bool { return len(q.Steps) < len(p.Steps) && p.uses(q) }) {
			return true
		}
		shorter[key] = append(shorter[key], &p)
		return false
	})
}

// uses says whether every policy on q is on p too.
func (p *Path) uses(q *Path) bool {
	for i := range q.Steps {
		for _, g := range q.Steps[i].Grants {
			if !slices.ContainsFunc(p.Steps, func(s Step) bool {
				return slices.ContainsFunc(s.Grants, func(o policy.TargetPolicy) bool { return o.Policy == g.Policy })
			}) {
				return false
			}
		}
	}
	return true
}

func (s *search) askersOf(t named) []string {
	if out, ok := s.askersMemo[t]; ok {
		return out
	}
	set := map[string]bool{}
	for _, p := range s.granting[t] {
		for _, c := range s.askers(p) {
			set[c] = true
		}
	}
	s.askersMemo[t] = slices.Sorted(maps.Keys(set))
	return s.askersMemo[t]
}

// expand finds the requests that give the token which is needed.
func (s *search) expand(n *need) {
	for _, r := range s.givers(n) {
		for _, targets := range s.addressed(n, r.client, r.name) {
			s.carry(n, r, targets)
		}
	}
}

// giver is a client that asks in a namespace.
type giver struct{ client, name string }

// givers are those who may ask for a target that makes the token what is needed:
// for AnyOf one of the names, for Client the asker itself; or the asker gets any
// token at all, because one that was issued to it is for it.
func (s *search) givers(n *need) []giver {
	set := map[giver]bool{}
	for _, r := range n.rules {
		for _, t := range s.addressees(n, r) {
			for _, c := range s.askersOf(t) {
				set[giver{c, s.clients[t].Namespace}] = true
			}
		}
	}
	if !slices.ContainsFunc(n.rules, func(r *policy.AudienceRule) bool { return r.Match != policy.AudienceClient }) {
		for _, t := range s.targetsFor(n.service, n.asker) {
			set[giver{n.asker, s.clients[named{n.service, t}].Namespace}] = true
		}
	}
	out := slices.Collect(maps.Keys(set))
	slices.SortFunc(out, func(a, b giver) int {
		return compareNamed(named{a.client, a.name}, named{b.client, b.name})
	})
	return out
}

// targetsFor are the targets that a client may ask for.
func (s *search) targetsFor(service, client string) []string {
	out := slices.Clone(s.asked[named{service, client}])
	for t := range s.byTarget {
		if t.service == service && !slices.Contains(out, t.name) {
			out = append(out, t.name)
		}
	}
	slices.Sort(out)
	return out
}

// addressees are the targets of which each alone makes a token satisfy an audience
// rule of a need, sorted.
func (s *search) addressees(n *need, r *policy.AudienceRule) []named {
	var out []named
	add := func(t named, ok bool) {
		if ok && len(s.granting[t]) > 0 && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	switch r.Match {
	case policy.AudienceClient:
		add(named{n.service, n.asker}, true)
	case policy.AudienceAnyOf:
		for _, name := range r.AnyOf {
			t, ok := s.byName[named{n.service, name}]
			add(t, ok)
		}
		slices.SortFunc(out, compareNamed)
	case policy.AudienceIssuer:
	}
	return out
}

// addressed are the sets of targets in a namespace with which a client satisfies
// every audience rule of a need. The empty set will do where the client is the
// asker.
func (s *search) addressed(n *need, client, namespace string) [][]string {
	sets := [][]string{nil}
	for _, r := range n.rules {
		if r.Match == policy.AudienceClient && client == n.asker {
			continue
		}
		if len(r.AuthorizedParties) > 0 && !slices.Contains(r.AuthorizedParties, client) {
			return nil
		}
		var next [][]string
		for _, t := range s.addressees(n, r) {
			if s.clients[t].Namespace != namespace || len(s.may(t.service, client, t.name)) == 0 {
				continue
			}
			for _, set := range sets {
				if slices.Contains(set, t.name) {
					next = append(next, set)
					continue
				}
				next = append(next, append(slices.Clone(set), t.name))
			}
		}
		sets = next
	}
	return sets
}

// carry tries the requests of a client for the targets: with the scope that the
// token must hold, or, where it must hold none, with each that gives a token.
func (s *search) carry(n *need, g giver, targets []string) {
	var scopes []string
	switch {
	case n.hold.scope != "":
		if sc := s.scopeIn(n.service, g.name, n.hold.scope); sc == nil || !sc.InToken {
			return
		}
		scopes = []string{n.hold.scope}
	default:
		scopes = []string{""}
		for _, sc := range s.scopes[named{n.service, g.name}] {
			scopes = append(scopes, shown(sc))
		}
	}
	for _, scope := range scopes {
		for _, more := range s.companions(n.service, g, targets, scope) {
			s.try(&request{service: n.service, client: g.client, targets: append(slices.Clone(targets), more...), scope: scope, carry: n.hold, bare: n.bare, rest: n.rest})
		}
	}
}

// companions are the targets to ask for along with those given, so that the
// request has a target and the scope belongs to one: none where that is so.
func (s *search) companions(service string, g giver, targets []string, scope string) [][]string {
	fits := func(id string) bool { return true }
	if scope != "" {
		sc := s.scopeIn(service, g.name, scope)
		if sc == nil {
			return nil
		}
		fits = func(id string) bool { return belongs(sc, id) }
	}
	if len(targets) > 0 && slices.ContainsFunc(targets, fits) {
		return [][]string{nil}
	}
	var out [][]string
	for _, id := range s.targetsFor(service, g.client) {
		if s.clients[named{service, id}].Namespace == g.name && fits(id) {
			out = append(out, []string{id})
		}
	}
	return out
}

// scopeIn finds what a namespace means by a scope, as a request would have it.
func (w *world) scopeIn(service, namespace, scope string) *policy.Scope {
	var parametric *policy.Scope
	base := scope
	if i := strings.LastIndexByte(scope, ':'); i > 0 {
		base = scope[:i]
	}
	for _, s := range w.scopes[named{service, namespace}] {
		switch {
		case s.Parameter == "" && s.Scope == scope:
			return s
		case s.Parameter != "" && s.Scope == base && base != scope:
			parametric = s
		}
	}
	return parametric
}
