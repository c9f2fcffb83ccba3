// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// world is a Spec with the indexes that questions about it need.
type world struct {
	spec     *policy.Spec
	services map[string]*policy.Service
	clients  map[named]*policy.Client
	// all are the clients of a service that may ask for something.
	all     map[string][]string
	issuers map[named]*policy.Issuer
	scopes  map[named][]*policy.Scope
	// granting are the policies that can grant tokens for a target.
	granting map[named][]*policy.Policy
	// targets are the keys of granting, in the order of the Spec's clients.
	targets []named
}

// named is an object within a token service: a client's ID, an issuer's name, a
// namespace.
type named struct{ service, name string }

func newWorld(spec *policy.Spec) *world {
	w := &world{
		spec: spec, services: map[string]*policy.Service{}, clients: map[named]*policy.Client{}, all: map[string][]string{},
		issuers: map[named]*policy.Issuer{}, scopes: map[named][]*policy.Scope{}, granting: map[named][]*policy.Policy{},
	}
	for i := range spec.Services {
		w.services[spec.Services[i].Name] = &spec.Services[i]
	}
	for i := range spec.Clients {
		c := &spec.Clients[i]
		w.clients[named{c.TokenService, c.ID}] = c
		if asks(c) {
			w.all[c.TokenService] = append(w.all[c.TokenService], c.ID)
		}
	}
	for i := range spec.Issuers {
		is := &spec.Issuers[i]
		w.issuers[named{is.TokenService, is.Name}] = is
	}
	for i := range spec.Scopes {
		s := &spec.Scopes[i]
		key := named{s.TokenService, s.Namespace}
		w.scopes[key] = append(w.scopes[key], s)
	}
	for i := range spec.Policies {
		w.index(&spec.Policies[i])
	}
	for i := range spec.Clients {
		key := named{spec.Clients[i].TokenService, spec.Clients[i].ID}
		if len(w.granting[key]) > 0 {
			w.targets = append(w.targets, key)
		}
	}
	return w
}

// asks says whether a client may ask for tokens at all.
func asks(c *policy.Client) bool { return !c.Suspended && (c.TokenExchange || c.JWTBearer) }

// presents says whether a client may present tokens of a class: assertions under the
// grant that is for them, everything else in an exchange.
func (w *world) presents(service, client string, class policy.Class) bool {
	c, ok := w.clients[named{service, client}]
	switch {
	case !ok:
		return false
	case class.IsAssertion():
		return c.JWTBearer && !c.Public
	}
	return c.TokenExchange
}

// index enters a policy under the targets for which it can grant something.
func (w *world) index(p *policy.Policy) {
	service, ok := w.services[p.TokenService]
	if !ok || p.AuditOnly || len(types(p)) == 0 || !w.actable(p) {
		return
	}
	for i, id := range p.Targets {
		key := named{p.TokenService, id}
		c, ok := w.clients[key]
		if !ok || c.Suspended || c.Namespace != p.Namespace || slices.Contains(p.Targets[:i], id) || lifetime(service, c, p) < leastLifetime {
			continue
		}
		w.granting[key] = append(w.granting[key], p)
	}
}

// leastLifetime is the shortest lifetime that is granted at all.
const leastLifetime = 10 * time.Second

func lifetime(s *policy.Service, target *policy.Client, p *policy.Policy) time.Duration {
	left := s.MaxLifetime
	for _, d := range [...]time.Duration{target.Lifetime, p.Lifetime} {
		if d <= 0 {
			d = s.DefaultLifetime
		}
		left = min(left, d)
	}
	return left
}

// types are the types of token that a policy grants and that are served.
func types(p *policy.Policy) []policy.TokenType {
	var out []policy.TokenType
	for _, t := range [...]policy.TokenType{policy.TypeAccessToken, policy.TypeJWT} {
		if slices.Contains(p.TokenTypes, t) {
			out = append(out, t)
		}
	}
	return out
}

// askers are the clients to which a policy can grant something.
func (w *world) askers(p *policy.Policy) []string {
	if p.AllClients {
		return w.all[p.TokenService]
	}
	var out []string
	for _, id := range p.Clients {
		if c, ok := w.clients[named{p.TokenService, id}]; ok && asks(c) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// Subject is a class of subject tokens.
type Subject struct {
	// Issuer is the TrustedIssuer whose token it is, or "self".
	Issuer string `json:"issuer"`
	// Origin is, for a token of our own, the TrustedIssuer that the first token of
	// its chain came from.
	Origin string       `json:"origin,omitempty"`
	Class  policy.Class `json:"class"`
}

// String says it for people.
func (s Subject) String() string {
	if s.Issuer == policy.SelfIssuer {
		return "self (first from " + s.Origin + ")"
	}
	return s.Issuer + " " + string(s.Class)
}

// subjects are the classes of tokens that a policy takes.
func (w *world) subjects(p *policy.Policy) []Subject {
	var out []Subject
	add := func(s Subject) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, name := range p.SubjectIssuers {
		i := w.trusted(p.TokenService, name)
		if i == nil {
			continue
		}
		for _, class := range p.SubjectClasses {
			if slices.Contains(i.Classes, class.Presented()) && w.addressable(p, i, class) {
				add(Subject{Issuer: name, Class: class})
			}
		}
	}
	// What we issue are access tokens, and Issuer is a rule for foreign tokens only.
	if !slices.Contains(p.SubjectClasses, policy.ClassAccessToken) || p.SubjectAudience.Match == policy.AudienceIssuer || !satisfiable(p, nil) {
		return out
	}
	for _, name := range p.SelfOrigins {
		if w.trusted(p.TokenService, name) != nil {
			add(Subject{Issuer: policy.SelfIssuer, Origin: name, Class: policy.ClassAccessToken})
		}
	}
	return out
}

// trusted returns an issuer whose tokens can be subjects.
func (w *world) trusted(service, name string) *policy.Issuer {
	i, ok := w.issuers[named{service, name}]
	if !ok || i.Suspended || !i.ForSubject {
		return nil
	}
	return i
}

// addressable says whether some token of the issuer of that class passes a policy's
// audience rule. An assertion is for one audience, which means this token service.
func (w *world) addressable(p *policy.Policy, i *policy.Issuer, class policy.Class) bool {
	if !class.IsAssertion() {
		return satisfiable(p, i)
	}
	switch p.SubjectAudience.Match {
	case policy.AudienceClient, policy.AudienceIssuer:
		return true
	case policy.AudienceAnyOf:
		self := w.services[p.TokenService].Issuer
		return slices.ContainsFunc(p.SubjectAudience.AnyOf, func(a string) bool {
			return a == self || class == policy.ClassJWTBearer && slices.Contains(i.Audiences, a)
		})
	}
	return false
}

// satisfiable says whether some token of the issuer, nil for our own, passes a
// policy's audience rule.
func satisfiable(p *policy.Policy, i *policy.Issuer) bool {
	switch p.SubjectAudience.Match {
	case policy.AudienceClient:
		return true
	case policy.AudienceIssuer:
		return i != nil && len(i.Audiences) > 0
	case policy.AudienceAnyOf:
		return len(p.SubjectAudience.AnyOf) > 0
	}
	return false
}

// grants are the scopes that a policy can grant to a subject for a target:
// parametric ones end in ":*", and "" is a token without scope.
func (w *world) grants(p *policy.Policy, target string, s Subject) []string {
	var out []string
	if scopeless(p) {
		out = append(out, "")
	}
	for _, scope := range w.scopes[named{p.TokenService, p.Namespace}] {
		if slices.Contains(p.Scopes, scope.Scope) && belongs(scope, target) && (p.AddScopes || w.canHold(p.TokenService, s)) {
			out = append(out, shown(scope))
		}
	}
	return out
}

// shown is a scope as people may ask for it.
func shown(s *policy.Scope) string {
	if s.Parameter != "" {
		return s.Scope + ":*"
	}
	return s.Scope
}

func belongs(s *policy.Scope, target string) bool {
	return s.AllTargets || slices.Contains(s.Targets, target)
}

// scopeless says whether a policy grants tokens without scope.
func scopeless(p *policy.Policy) bool {
	return len(p.Scopes) == 0 || (p.DefaultScopesSet && len(p.DefaultScopes) == 0)
}

// canHold says whether a token of the subject can hold scopes: one of an issuer
// without a mapping for them holds none.
func (w *world) canHold(service string, s Subject) bool {
	if s.Issuer == policy.SelfIssuer {
		return true // An earlier exchange may have granted it.
	}
	i := w.issuers[named{service, s.Issuer}]
	return i != nil && i.Mappings.Scopes != policy.Value{}
}

func compareNamed(a, b named) int {
	return cmp.Or(strings.Compare(a.service, b.service), strings.Compare(a.name, b.name))
}
