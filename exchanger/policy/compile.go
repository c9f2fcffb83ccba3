// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Compile turns a Spec into a Snapshot. The Spec must not be changed afterwards.
// An error means that the Spec is not what translation makes: an unknown format,
// a name twice, an expression that does not compile. Nothing of it is used then,
// so that the caller keeps the last good snapshot.
func Compile(spec *Spec, revision uint64, compiler Compiler) (*Snapshot, error) {
	if spec.Format != Format {
		return nil, fmt.Errorf("compile snapshot: format %d, this build reads %d", spec.Format, Format)
	}
	c := &compilation{
		compiler: compiler,
		snapshot: &Snapshot{revision: revision, digest: digestOf(spec), services: make(map[string]*TokenService, len(spec.Services))},
		programs: map[programKey]Program{},
	}
	c.ahead(spec)
	for _, step := range []func(*Spec) error{c.services, c.issuers, c.clients, c.scopes, c.policies, c.externals, c.grants, c.revocations, c.renewals} {
		if err := step(spec); err != nil {
			return nil, fmt.Errorf("compile snapshot: %w", err)
		}
	}
	return c.snapshot, nil
}

type programKey struct {
	env  Environment
	want ResultType
	text string
}

// compilation is the state of one Compile. Equal expressions are compiled once.
type compilation struct {
	compiler Compiler
	snapshot *Snapshot
	programs map[programKey]Program
}

func (c *compilation) program(env Environment, want ResultType, text string) (Program, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no expression, no program
	}
	key := programKey{env, want, text}
	if p, ok := c.programs[key]; ok {
		return p, nil
	}
	p, err := c.compiler.Compile(env, want, text)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", text, err)
	}
	c.programs[key] = p
	return p, nil
}

func (c *compilation) service(name, kind, object string) (*TokenService, error) {
	svc, ok := c.snapshot.services[name]
	if !ok {
		return nil, fmt.Errorf("%s %s: no token service %q", kind, object, name)
	}
	return svc, nil
}

func (c *compilation) services(spec *Spec) error {
	for i := range spec.Services {
		s := &spec.Services[i]
		if _, dup := c.snapshot.services[s.Name]; dup {
			return fmt.Errorf("token service %s: twice", s.Name)
		}
		svc := &TokenService{
			spec:       s,
			clients:    map[string]*AskingClient{},
			issuers:    map[string]*TrustedIssuer{},
			byURL:      map[string][]*TrustedIssuer{},
			byEntity:   map[string]*TrustedIssuer{},
			byAcct:     map[accountKey][]*AskingClient{},
			byAudience: map[string]*target{},
			byResource: map[string]*target{},
			byPair:     map[pair][]*grantPolicy{},
			allClients: map[string][]*grantPolicy{},
			scopes:     map[scopeKey]*grantScope{},
			scopeOwner: map[string][]string{},
			credAud:    map[string]bool{},
		}
		for _, a := range s.AssertionAudiences {
			svc.credAud[a] = true
		}
		for _, o := range s.ScopeOwners {
			if strings.HasSuffix(o.Scope, "*") {
				svc.scopeStars = append(svc.scopeStars, o)
			} else {
				svc.scopeOwner[o.Scope] = append(svc.scopeOwner[o.Scope], o.Namespace)
			}
		}
		c.snapshot.services[s.Name] = svc
		c.snapshot.names = append(c.snapshot.names, s.Name)
	}
	slices.Sort(c.snapshot.names)
	return nil
}

func (c *compilation) clients(spec *Spec) error {
	for i := range spec.Clients {
		s := &spec.Clients[i]
		svc, err := c.service(s.TokenService, "client", s.ID)
		if err != nil {
			return err
		}
		if _, dup := svc.clients[s.ID]; dup {
			return fmt.Errorf("client %s: twice", s.ID)
		}
		client := &AskingClient{spec: s, party: &Party{ID: s.ID, Namespace: s.Namespace, Name: s.Name, Labels: s.Labels}}
		svc.clients[s.ID] = client
		if s.Suspended {
			continue
		}
		for _, d := range s.SecretDigests {
			raw, err := hex.DecodeString(d)
			if err != nil || len(raw) != sha256.Size {
				return fmt.Errorf("client %s: a secret digest is not the hex of a SHA-256", s.ID)
			}
			client.secrets = append(client.secrets, [sha256.Size]byte(raw))
		}
		svc.identities.add(client)
		for _, a := range s.ServiceAccounts {
			key := accountKey{a.Issuer, a.Namespace, a.Name}
			if !slices.Contains(svc.byAcct[key], client) {
				svc.byAcct[key] = append(svc.byAcct[key], client)
			}
		}
		if err := c.addTarget(svc, client); err != nil {
			return err
		}
	}
	return nil
}

func (c *compilation) addTarget(svc *TokenService, client *AskingClient) error {
	tg := &target{client: client.spec, party: client.party}
	if client.spec.SAML != nil {
		var err error
		if tg.attributes, err = c.claims(EnvPolicy, client.spec.SAML.Attributes); err != nil {
			return fmt.Errorf("client %s: saml: %w", client.spec.ID, err)
		}
	}
	return svc.addTarget(tg, client)
}

// names are those by which a client can be asked for as a target.
func (c *Client) names() []string {
	names := append([]string{c.ID}, c.Audiences...)
	if c.SAML != nil {
		names = append(names, c.SAML.EntityID)
	}
	return names
}

func (t *TokenService) addTarget(tg *target, c *AskingClient) error {
	for _, a := range c.spec.names() {
		if other, dup := t.byAudience[a]; dup && other.client != c.spec {
			return fmt.Errorf("client %s: audience %q is client %s's already", c.spec.ID, a, other.client.ID)
		}
		t.byAudience[a] = tg
	}
	for _, r := range c.spec.Resources {
		if other, dup := t.byResource[r]; dup && other.client != c.spec {
			return fmt.Errorf("client %s: resource %q is client %s's already", c.spec.ID, r, other.client.ID)
		}
		t.byResource[r] = tg
	}
	return nil
}

func (c *compilation) rules(env Environment, in []Rule) ([]compiledRule, error) {
	out := make([]compiledRule, 0, len(in))
	for _, r := range in {
		p, err := c.program(env, WantBool, r.Expression)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, fmt.Errorf("a rule without expression")
		}
		out = append(out, compiledRule{program: p, message: r.Message, text: r.Expression})
	}
	return out, nil
}

func (c *compilation) claims(env Environment, in []Claim) ([]compiledClaim, error) {
	out := make([]compiledClaim, 0, len(in))
	for _, cl := range in {
		p, err := c.program(env, WantAny, cl.Expression)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, fmt.Errorf("claim %s: without expression", cl.Name)
		}
		out = append(out, compiledClaim{name: cl.Name, program: p})
	}
	return out, nil
}

func (c *compilation) scopes(spec *Spec) error {
	for i := range spec.Scopes {
		s := &spec.Scopes[i]
		svc, err := c.service(s.TokenService, "scope", s.Namespace+"/"+s.Name)
		if err != nil {
			return err
		}
		key := scopeKey{s.Namespace, s.Scope}
		if _, dup := svc.scopes[key]; dup {
			return fmt.Errorf("scope %s in namespace %s: twice", s.Scope, s.Namespace)
		}
		g := &grantScope{spec: s}
		if g.parameter, err = c.program(EnvScope, WantBool, s.Parameter); err != nil {
			return fmt.Errorf("scope %s/%s: %w", s.Namespace, s.Name, err)
		}
		if g.rules, err = c.rules(EnvScope, s.Rules); err != nil {
			return fmt.Errorf("scope %s/%s: %w", s.Namespace, s.Name, err)
		}
		if g.claims, err = c.claims(EnvScope, s.Claims); err != nil {
			return fmt.Errorf("scope %s/%s: %w", s.Namespace, s.Name, err)
		}
		svc.scopes[key] = g
	}
	return nil
}

func (c *compilation) policies(spec *Spec) error {
	for i := range spec.Policies {
		p := &spec.Policies[i]
		ref := p.Namespace + "/" + p.Name
		svc, err := c.service(p.TokenService, "policy", ref)
		if err != nil {
			return err
		}
		g := &grantPolicy{spec: p, ref: ref}
		if g.subjectRules, err = c.rules(EnvPolicy, p.SubjectRules); err != nil {
			return fmt.Errorf("policy %s: %w", ref, err)
		}
		if g.rules, err = c.rules(EnvPolicy, p.Rules); err != nil {
			return fmt.Errorf("policy %s: %w", ref, err)
		}
		if g.actorRules, err = c.rules(EnvPolicy, p.Actor.Rules); err != nil {
			return fmt.Errorf("policy %s: %w", ref, err)
		}
		if g.claims, err = c.claims(EnvPolicy, p.Claims); err != nil {
			return fmt.Errorf("policy %s: %w", ref, err)
		}
		svc.addPolicy(g)
	}
	for _, svc := range c.snapshot.services {
		for _, list := range svc.byPair {
			slices.SortFunc(list, byRef)
		}
		for _, list := range svc.allClients {
			slices.SortFunc(list, byRef)
		}
	}
	return nil
}

func byRef(a, b *grantPolicy) int { return strings.Compare(a.ref, b.ref) }

// addPolicy indexes a policy by what a request knows first: target and client.
// A target outside the policy's own namespace is not indexed at all: nobody
// grants access to somebody else's target.
func (t *TokenService) addPolicy(g *grantPolicy) {
	for _, tg := range g.spec.Targets {
		if c, ok := t.clients[tg]; !ok || c.spec.Namespace != g.spec.Namespace {
			continue
		}
		if g.spec.AllClients {
			t.allClients[tg] = append(t.allClients[tg], g)
			continue
		}
		for _, cl := range g.spec.Clients {
			key := pair{tg, cl}
			t.byPair[key] = append(t.byPair[key], g)
		}
	}
}
