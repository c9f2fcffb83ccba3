// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// requiresActor says whether a policy grants nothing unless somebody acts, and
// forbidsActor whether it takes no token in which somebody does.
func requiresActor(p *policy.Policy) bool { return p.Actor.Use == policy.ActorsRequired }

func forbidsActor(p *policy.Policy) bool { return p.Actor.Use == policy.ActorsForbidden }

// actable says whether anybody can act at a policy that wants an actor.
func (w *world) actable(p *policy.Policy) bool {
	if !requiresActor(p) {
		return true
	}
	return slices.ContainsFunc(slices.Concat(p.Actor.Issuers, p.Actor.SelfOrigins), func(name string) bool {
		i, ok := w.issuers[named{p.TokenService, name}]
		return ok && !i.Suspended && i.ForActor
	})
}

// actorConditions are what a policy wants of whoever must act.
func actorConditions(p *policy.Policy) []string {
	if !requiresActor(p) {
		return nil
	}
	from := slices.Clone(p.Actor.Issuers)
	for _, o := range p.Actor.SelfOrigins {
		from = append(from, "self (first from "+o+")")
	}
	out := []string{"an actor of " + strings.Join(from, " or ")}
	for _, r := range p.Actor.Rules {
		out = append(out, "actor: "+said(r))
	}
	return out
}

// Impersonation is how somebody may get a token for a target as somebody else: under
// an ImpersonationGrant, through a client, by a policy that lets it be.
type Impersonation struct {
	Grant    string   `json:"grant"`
	Client   string   `json:"client"`
	Policies []string `json:"policies"`
	// By are the people and groups who may, Who those whom they may be.
	By  []string `json:"by"`
	Who []string `json:"who"`
	// Scopes are the most that it gives; none is a token without scope.
	Scopes []string `json:"scopes"`
	// Delegation says that act names who it is.
	Delegation bool   `json:"delegation,omitempty"`
	NotAfter   string `json:"notAfter"`
	// Conditions are the grant's expressions, and the groups that it excludes.
	Conditions []string `json:"conditions,omitempty"`
}

// impersonations lists the ways to be somebody else towards a target, by name of the
// grant and client.
func (w *world) impersonations(t named) []Impersonation {
	out := []Impersonation{}
	for i := range w.spec.Grants {
		g := &w.spec.Grants[i]
		if g.TokenService != t.service || !slices.Contains(g.Targets, t.name) {
			continue
		}
		for _, client := range g.Clients {
			c, ok := w.clients[named{t.service, client}]
			if !ok || c.Public || !asks(c) || !c.TokenExchange {
				continue
			}
			m := impersonation(g, client)
			for _, p := range w.granting[t] {
				if p.Impersonation && (p.AllClients || slices.Contains(p.Clients, client)) {
					m.Policies = append(m.Policies, ref(p))
				}
			}
			if len(m.Policies) > 0 {
				slices.Sort(m.Policies)
				out = append(out, m)
			}
		}
	}
	return out
}

func impersonation(g *policy.ImpersonationGrantSpec, client string) Impersonation {
	m := Impersonation{
		Grant: g.Name, Client: client, By: slices.Concat(g.Groups, g.Subjects), Who: slices.Concat(g.SubjectGroups, g.SubjectSubjects),
		Scopes: append([]string{}, g.Scopes...), Delegation: g.Delegation, NotAfter: g.NotAfter.UTC().Format("2006-01-02T15:04:05Z"),
	}
	for _, e := range []string{g.Expression, g.SubjectExpression} {
		if e != "" {
			m.Conditions = append(m.Conditions, e)
		}
	}
	if len(g.ExcludeGroups) > 0 {
		m.Conditions = append(m.Conditions, "not "+strings.Join(g.ExcludeGroups, ", "))
	}
	if g.ReasonRequired {
		m.Conditions = append(m.Conditions, "a reason")
	}
	return m
}
