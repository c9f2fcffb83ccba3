// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"cmp"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Graph is what refers to what in a Spec.
type Graph struct {
	Nodes []Node `json:"nodes"`
	Edges []Edge `json:"edges"`
}

// Node is one object.
type Node struct {
	// ID is "Kind/namespace/name".
	ID   string `json:"id"`
	Kind string `json:"kind"`
	// Name is what requests and manifests call it: a client ID, a scope.
	Name         string `json:"name"`
	Namespace    string `json:"namespace,omitempty"`
	TokenService string `json:"tokenService,omitempty"`
	// Off says why it allows nothing: suspended, or audit only.
	Off string `json:"off,omitempty"`
	// Names are a target's other names.
	Names []string `json:"names,omitempty"`
	// Conditions are a policy's rules, in their authors' words.
	Conditions []string `json:"conditions,omitempty"`
	// EveryClient says that a policy names no clients, but means all.
	EveryClient bool `json:"everyClient,omitempty"`
}

// The kinds of an Edge.
const (
	// EdgeSubject leads from an issuer to a policy that takes its tokens.
	EdgeSubject = "subject"
	// EdgeOrigin leads from an issuer to a policy that takes tokens of ours which
	// began with one of the issuer's.
	EdgeOrigin = "origin"
	// EdgeAsks leads from a client to a policy that lets it ask.
	EdgeAsks = "asks"
	// EdgeGrants leads from a policy to a target.
	EdgeGrants = "grants"
	// EdgeActor leads from an issuer to a policy that takes its tokens for actors.
	EdgeActor = "actor"
	// EdgeScope leads from a scope to a target that it belongs to.
	EdgeScope = "scope"
)

// Edge leads from one node to another.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
	Kind string `json:"kind"`
	// Scopes are what a policy grants at most for the target.
	Scopes []string `json:"scopes,omitempty"`
}

// GraphOf draws a Spec up as nodes and edges, sorted. namespace, unless it is
// empty, keeps the policies of one namespace and what they refer to.
func GraphOf(spec *policy.Spec, namespace string) *Graph {
	b := &graphing{world: newWorld(spec), nodes: map[string]Node{}, edges: []Edge{}}
	for i := range spec.Policies {
		if p := &spec.Policies[i]; namespace == "" || p.Namespace == namespace {
			b.policy(p)
		}
	}
	for i := range spec.Scopes {
		if s := &spec.Scopes[i]; namespace == "" || s.Namespace == namespace {
			b.scope(s)
		}
	}
	for i := range spec.Grants {
		b.grant(&spec.Grants[i], namespace)
	}
	if namespace == "" {
		for i := range spec.Issuers {
			b.issuer(&spec.Issuers[i])
		}
		for i := range spec.Clients {
			b.client(&spec.Clients[i])
		}
	}
	g := &Graph{Nodes: []Node{}, Edges: b.edges}
	for _, n := range b.nodes {
		g.Nodes = append(g.Nodes, n)
	}
	slices.SortFunc(g.Nodes, func(a, b Node) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(g.Edges, func(a, b Edge) int {
		return cmp.Or(strings.Compare(a.From, b.From), strings.Compare(a.To, b.To), strings.Compare(a.Kind, b.Kind))
	})
	return g
}

// graphing is a Graph in the making.
type graphing struct {
	*world
	nodes map[string]Node
	edges []Edge
}

func (b *graphing) edge(from, to, kind string, scopes ...string) {
	b.edges = append(b.edges, Edge{From: from, To: to, Kind: kind, Scopes: scopes})
}

func (b *graphing) issuer(i *policy.Issuer) string {
	n := Node{ID: kindIssuer + "/" + i.Name, Kind: kindIssuer, Name: i.Name, TokenService: i.TokenService, Off: off(i.Suspended)}
	b.nodes[n.ID] = n
	return n.ID
}

func (b *graphing) client(c *policy.Client) string {
	n := Node{
		ID: kindClient + "/" + c.Namespace + "/" + c.Name, Kind: kindClient, Name: c.ID, Namespace: c.Namespace, TokenService: c.TokenService,
		Off: off(c.Suspended), Names: slices.Concat(c.Audiences, c.Resources),
	}
	b.nodes[n.ID] = n
	return n.ID
}

func off(suspended bool) string {
	if suspended {
		return "suspended"
	}
	return ""
}

func (b *graphing) scope(s *policy.Scope) {
	n := Node{ID: kindScope + "/" + s.Namespace + "/" + s.Name, Kind: kindScope, Name: shown(s), Namespace: s.Namespace, TokenService: s.TokenService}
	for _, r := range s.Rules {
		n.Conditions = append(n.Conditions, said(r))
	}
	b.nodes[n.ID] = n
	for _, id := range s.Targets {
		if c, ok := b.clients[named{s.TokenService, id}]; ok {
			b.edge(n.ID, b.client(c), EdgeScope)
		}
	}
}

func (b *graphing) policy(p *policy.Policy) {
	n := Node{
		ID: kindPolicy + "/" + p.Namespace + "/" + p.Name, Kind: kindPolicy, Name: ref(p), Namespace: p.Namespace, TokenService: p.TokenService,
		EveryClient: p.AllClients,
	}
	if p.AuditOnly {
		n.Off = "audit only"
	}
	for _, list := range [...][]policy.Rule{p.SubjectRules, p.Rules} {
		for _, r := range list {
			n.Conditions = append(n.Conditions, said(r))
		}
	}
	n.Conditions = append(n.Conditions, actorConditions(p)...)
	b.nodes[n.ID] = n
	for kind, names := range map[string][]string{EdgeSubject: p.SubjectIssuers, EdgeOrigin: p.SelfOrigins, EdgeActor: p.Actor.Issuers} {
		for _, name := range names {
			if i, ok := b.issuers[named{p.TokenService, name}]; ok {
				b.edge(b.issuer(i), n.ID, kind)
			}
		}
	}
	for _, id := range p.Clients {
		if c, ok := b.clients[named{p.TokenService, id}]; ok {
			b.edge(b.client(c), n.ID, EdgeAsks)
		}
	}
	for _, id := range p.Targets {
		c, ok := b.clients[named{p.TokenService, id}]
		if !ok {
			continue
		}
		var scopes []string
		for _, s := range b.scopes[named{p.TokenService, p.Namespace}] {
			if slices.Contains(p.Scopes, s.Scope) && belongs(s, id) {
				scopes = append(scopes, shown(s))
			}
		}
		b.edge(n.ID, b.client(c), EdgeGrants, scopes...)
	}
}

// grant draws an ImpersonationGrant between the clients and the targets that it
// names; of one namespace alone, where it names one of its targets.
func (b *graphing) grant(g *policy.ImpersonationGrantSpec, namespace string) {
	n := Node{ID: kindGrant + "/" + g.Name, Kind: kindGrant, Name: g.Name, TokenService: g.TokenService}
	m := impersonation(g, "")
	n.Conditions = slices.Concat([]string{strings.Join(m.By, ", ") + " as " + strings.Join(m.Who, ", ")}, m.Conditions)
	for _, id := range g.Targets {
		if c, ok := b.clients[named{g.TokenService, id}]; ok && (namespace == "" || c.Namespace == namespace) {
			b.nodes[n.ID] = n
			b.edge(n.ID, b.client(c), EdgeGrants, g.Scopes...)
		}
	}
	if _, drawn := b.nodes[n.ID]; !drawn {
		return
	}
	for _, id := range g.Clients {
		if c, ok := b.clients[named{g.TokenService, id}]; ok {
			b.edge(b.client(c), n.ID, EdgeAsks)
		}
	}
}
