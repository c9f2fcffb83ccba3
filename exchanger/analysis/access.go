// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"cmp"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Access is one thing that somebody may get: a client that presents a token of
// a class may have a token for the target with the scope, on the conditions of
// some policy.
type Access struct {
	TokenService string  `json:"tokenService"`
	Client       string  `json:"client"`
	Subject      Subject `json:"subject"`
	Target       string  `json:"target"`
	// Scope is empty for a token without scope, and ends in ":*" for a scope that
	// takes a value.
	Scope string `json:"scope"`
}

func (a Access) compare(b Access) int {
	return cmp.Or(
		strings.Compare(a.TokenService, b.TokenService), strings.Compare(a.Target, b.Target), strings.Compare(a.Client, b.Client),
		strings.Compare(a.Subject.Issuer, b.Subject.Issuer), strings.Compare(a.Subject.Origin, b.Subject.Origin),
		strings.Compare(string(a.Subject.Class), string(b.Subject.Class)), strings.Compare(a.Scope, b.Scope),
	)
}

// Granted is an access with what makes it so.
type Granted struct {
	Access
	// Policies each allow it alone; sorted.
	Policies []string `json:"policies"`
	// Conditions must hold by every one of them, or by one of them where there are
	// several: rules in their authors' words.
	Conditions []string `json:"conditions,omitempty"`
}

// AccessOf lists what a Spec allows, sorted.
func AccessOf(spec *policy.Spec) []Granted {
	w := newWorld(spec)
	var out []Granted
	for _, t := range w.targets {
		out = append(out, w.accessTo(t)...)
	}
	slices.SortFunc(out, func(a, b Granted) int { return a.compare(b.Access) })
	return out
}

// accessTo lists who may get tokens for one target, sorted.
func (w *world) accessTo(t named) []Granted {
	ways := map[Access][]*policy.Policy{}
	for _, p := range w.granting[t] {
		askers := w.askers(p)
		for _, s := range w.subjects(p) {
			for _, scope := range w.grants(p, t.name, s) {
				for _, client := range askers {
					if !w.presents(t.service, client, s.Class) {
						continue
					}
					a := Access{TokenService: t.service, Client: client, Subject: s, Target: t.name, Scope: scope}
					ways[a] = append(ways[a], p)
				}
			}
		}
	}
	out := make([]Granted, 0, len(ways))
	for a, policies := range ways {
		out = append(out, w.granted(a, policies))
	}
	slices.SortFunc(out, func(a, b Granted) int { return a.compare(b.Access) })
	return out
}

func (w *world) granted(a Access, policies []*policy.Policy) Granted {
	g := Granted{Access: a, Policies: make([]string, 0, len(policies))}
	for _, p := range policies {
		g.Policies = append(g.Policies, ref(p))
		for _, c := range w.conditions(p, a.Scope) {
			if !slices.Contains(g.Conditions, c) {
				g.Conditions = append(g.Conditions, c)
			}
		}
	}
	slices.Sort(g.Policies)
	return g
}

func ref(p *policy.Policy) string { return p.Namespace + "/" + p.Name }

// conditions are the rules that a grant of the scope by the policy depends on.
func (w *world) conditions(p *policy.Policy, scope string) []string {
	var out []string
	for _, list := range [...][]policy.Rule{p.SubjectRules, p.Rules} {
		for _, r := range list {
			out = append(out, said(r))
		}
	}
	out = append(out, actorConditions(p)...)
	for _, s := range w.scopes[named{p.TokenService, p.Namespace}] {
		if shown(s) != scope {
			continue
		}
		if s.Parameter != "" {
			out = append(out, s.Parameter)
		}
		for _, r := range s.Rules {
			out = append(out, said(r))
		}
	}
	return out
}

// said is a rule in its author's words, where there are any.
func said(r policy.Rule) string {
	if r.Message != "" {
		return r.Message
	}
	return r.Expression
}
