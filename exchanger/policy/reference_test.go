// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"time"
)

// reference decides over the Spec itself: no index, no compiled form, one loop in
// another. It is slow and meant to be obviously right; it answers allowed or not,
// and what is granted. Expressions are the words true, false and error alone.
type reference struct {
	spec *Spec
	req  *Request
	// grant is the ImpersonationGrant that may be used.
	grant *ImpersonationGrantSpec
}

type referenceGrant struct {
	scopes   []string
	audience []string
	expires  time.Time
	policies []string
	// grant is the ImpersonationGrant that the token is made under.
	grant string
	// narrowed says that less is given than was asked for.
	narrowed bool
}

// decide tries every ImpersonationGrant for itself, by name: the first that gives
// everything, else the first that gives less.
func (ref reference) decide() (referenceGrant, bool) {
	var tries []*ImpersonationGrantSpec
	for i := range ref.spec.Grants {
		if slices.Contains(ref.spec.Grants[i].Clients, ref.req.Client.ID) && (ref.req.Actor != nil || ref.req.RequestedSubject != "") {
			tries = append(tries, &ref.spec.Grants[i])
		}
	}
	if len(tries) == 0 {
		tries = append(tries, nil)
	}
	slices.SortFunc(tries, func(a, b *ImpersonationGrantSpec) int { return strings.Compare(a.Name, b.Name) })
	var less referenceGrant
	found := false
	for _, g := range tries {
		ref.grant = g
		got, ok := ref.under()
		switch {
		case ok && !got.narrowed:
			return got, true
		case ok && !found:
			less, found = got, true
		}
	}
	return less, found
}

func (ref reference) under() (referenceGrant, bool) {
	none := referenceGrant{}
	r := ref.req
	client := find(ref.spec.Clients, func(c Client) bool { return c.ID == r.Client.ID && c.TokenService == r.TokenService && !c.Suspended })
	service := find(ref.spec.Services, func(s Service) bool { return s.Name == r.TokenService })
	if client == nil || service == nil || !client.TokenExchange || r.Subject == nil {
		return none, false
	}
	issuer := find(ref.spec.Issuers, func(i Issuer) bool { return i.Name == r.Subject.Origin && i.TokenService == r.TokenService })
	if issuer == nil || issuer.Suspended || !issuer.ForSubject || !ref.stands(r.Subject, r.SubjectAs, issuer, service) || !ref.actorStands(service) {
		return none, false
	}
	targets, names, ok := ref.targets(client, service)
	if !ok || !ref.scopesBelong(targets) {
		return none, false
	}
	var chosen []*Policy
	var granted [][]string
	var all []others
	narrowed := false
	for _, t := range targets {
		p, scopes, o, less := ref.firstPolicy(client, issuer, service, t, targets)
		narrowed = narrowed || less
		if p == nil {
			return none, false
		}
		chosen, granted, all = append(chosen, p), append(granted, scopes), append(all, o)
	}
	out, ok := ref.join(service, targets, names, chosen, granted, all)
	out.narrowed = narrowed
	return out, ok
}

func find[T any](list []T, match func(T) bool) *T {
	for i := range list {
		if match(list[i]) {
			return &list[i]
		}
	}
	return nil
}

func (ref reference) stands(t *Token, as PresentedAs, issuer *Issuer, service *Service) bool {
	r := ref.req
	own := t.Issuer == SelfIssuer
	asAccess := as != AsIDToken && (t.Class == ClassAccessToken || t.Class == ClassJWT)
	asID := as == AsIDToken && t.Class == ClassIDToken
	if !asAccess && !asID {
		return false
	}
	if !r.Now.Before(t.ExpiresAt.Add(issuer.ClockSkew)) || t.NotBefore.After(r.Now.Add(issuer.ClockSkew)) || t.IssuedAt.After(r.Now.Add(issuer.ClockSkew)) {
		return false
	}
	if t.ExpiresAt.Before(t.IssuedAt) || t.NotBefore.After(t.ExpiresAt) {
		return false
	}
	if !own && t.IssuedAt.Before(r.Now.Add(-issuer.MaxTokenAge)) {
		return false
	}
	first := t.IssuedAt
	if own {
		first = t.OriginIssuedAt
		if t.IssuedAt.Before(service.RevokeIssuedBefore) {
			return false
		}
		if to := find(ref.spec.Clients, func(c Client) bool { return c.ID == t.ClientID }); to != nil && t.IssuedAt.Before(to.RevokeIssuedBefore) {
			return false
		}
	}
	if first.Before(issuer.RevokeIssuedBefore) {
		return false
	}
	return len(t.Audiences) > 0 || t.ClientID != ""
}

func (ref reference) targets(client *Client, service *Service) (targets []*Client, names []string, ok bool) {
	add := func(c *Client, name string) {
		if !slices.Contains(targets, c) {
			targets = append(targets, c)
		}
		names = append(names, name)
	}
	for _, a := range ref.req.Audiences {
		c := find(ref.spec.Clients, func(c Client) bool { return !c.Suspended && (c.ID == a || slices.Contains(c.Audiences, a)) })
		if c == nil {
			return nil, nil, false
		}
		add(c, a)
	}
	for _, a := range ref.req.Resources {
		c := find(ref.spec.Clients, func(c Client) bool { return !c.Suspended && slices.Contains(c.Resources, a) })
		if c == nil {
			return nil, nil, false
		}
		add(c, a)
	}
	switch {
	case len(targets) > 0:
	case len(ref.req.Scopes) == 0:
		add(client, client.ID)
	default:
		for _, s := range ref.req.Scopes {
			for _, o := range service.ScopeOwners {
				sc := find(ref.spec.Scopes, func(x Scope) bool { return x.Namespace == o.Namespace && x.Scope == s })
				if o.Scope != s || sc == nil {
					continue
				}
				for i := range ref.spec.Clients {
					c := &ref.spec.Clients[i]
					if !c.Suspended && c.Namespace == o.Namespace && slices.Contains(sc.Targets, c.ID) && !slices.Contains(names, c.ID) {
						add(c, c.ID)
					}
				}
			}
		}
	}
	for _, t := range targets {
		if t.Namespace != targets[0].Namespace {
			return nil, nil, false
		}
	}
	return targets, names, len(targets) > 0
}

func (ref reference) scopeOf(namespace, text string) *Scope {
	return find(ref.spec.Scopes, func(s Scope) bool { return s.Namespace == namespace && s.Scope == text })
}

func belongs(s *Scope, c *Client) bool { return s.AllTargets || slices.Contains(s.Targets, c.ID) }

func (ref reference) scopesBelong(targets []*Client) bool {
	for _, text := range ref.req.Scopes {
		s := ref.scopeOf(targets[0].Namespace, text)
		if s == nil || !slices.ContainsFunc(targets, func(t *Client) bool { return belongs(s, t) }) {
			return false
		}
	}
	return true
}

// firstPolicy returns the first by name that grants everything, else the first
// that grants less.
func (ref reference) firstPolicy(client *Client, issuer *Issuer, service *Service, t *Client, targets []*Client) (*Policy, []string, others, bool) {
	byName := make([]*Policy, 0, len(ref.spec.Policies))
	for i := range ref.spec.Policies {
		byName = append(byName, &ref.spec.Policies[i])
	}
	slices.SortFunc(byName, func(a, b *Policy) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	var less *Policy
	var lessScopes []string
	var lessOthers others
	for _, p := range byName {
		scopes, o, narrowed, ok := ref.allows(p, client, issuer, service, t, targets)
		if ok && !narrowed {
			return p, scopes, o, false
		}
		if ok && less == nil {
			less, lessScopes, lessOthers = p, scopes, o
		}
	}
	return less, lessScopes, lessOthers, true
}

func (ref reference) allows(p *Policy, client *Client, issuer *Issuer, service *Service, t *Client, targets []*Client) (scopes []string, o others, narrowed, ok bool) {
	r, s := ref.req, ref.req.Subject
	if p.AuditOnly || p.Namespace != t.Namespace || !slices.Contains(p.Targets, t.ID) || (!p.AllClients && !slices.Contains(p.Clients, client.ID)) {
		return nil, o, false, false
	}
	names := slices.Contains(p.SubjectIssuers, s.Issuer)
	if s.Issuer == SelfIssuer {
		names = slices.Contains(p.SelfOrigins, s.Origin)
	}
	if !names || !slices.Contains(p.SubjectClasses, s.Class) || !ref.addressed(p, client, issuer) || !slices.Contains(p.TokenTypes, r.TokenType) {
		return nil, o, false, false
	}
	if o, ok = ref.others(p, client, service, targets); !ok || s.Confirmed {
		return nil, o, false, false
	}
	for _, rule := range slices.Concat(p.SubjectRules, p.Rules) {
		if rule.Expression != "true" {
			return nil, o, false, false
		}
	}
	for _, c := range p.Claims {
		if c.Expression == "error" {
			return nil, o, false, false
		}
	}
	scopes, narrowed, ok = ref.policyScopes(p, t, o.grant)
	left := min(o.left, or(p.Lifetime, service.DefaultLifetime), or(t.Lifetime, service.DefaultLifetime), service.MaxLifetime, s.ExpiresAt.Sub(r.Now))
	return scopes, o, narrowed, ok && left >= 10*time.Second
}

func (ref reference) addressed(p *Policy, client *Client, issuer *Issuer) bool {
	s := ref.req.Subject
	switch p.SubjectAudience.Match {
	case AudienceClient:
		mine := []string{client.ID}
		if s.Issuer == SelfIssuer {
			mine = slices.Concat(mine, client.Audiences, client.Resources)
		} else {
			for _, a := range issuer.ClientAliases {
				if a.Client == client.ID {
					mine = append(mine, a.ID)
				}
			}
			if slices.Contains(mine, s.ClientID) {
				return true
			}
		}
		return s.ClientID == client.ID || slices.ContainsFunc(s.Audiences, func(a string) bool { return slices.Contains(mine, a) })
	case AudienceIssuer:
		return s.Issuer != SelfIssuer && slices.ContainsFunc(s.Audiences, func(a string) bool { return slices.Contains(issuer.Audiences, a) })
	case AudienceAnyOf:
		return slices.ContainsFunc(s.Audiences, func(a string) bool { return slices.Contains(p.SubjectAudience.AnyOf, a) })
	}
	return false
}

func (ref reference) policyScopes(p *Policy, t *Client, g *ImpersonationGrantSpec) (scopes []string, narrowed, ok bool) {
	r := ref.req
	asked := r.Scopes
	if !r.ScopesGiven {
		switch {
		case p.DefaultScopesSet:
			asked = p.DefaultScopes
		case p.AddScopes:
			asked = nil
		default:
			asked = r.Subject.Scopes
		}
	}
	askedHere := 0
	for _, text := range asked {
		sc := ref.scopeOf(t.Namespace, text)
		if sc == nil || !belongs(sc, t) {
			continue
		}
		askedHere++
		fits := slices.Contains(p.Scopes, text) && (p.AddScopes || slices.Contains(r.Subject.Scopes, text)) && (g == nil || slices.Contains(g.Scopes, text))
		for _, rule := range sc.Rules {
			if rule.Expression == "error" && fits {
				return nil, false, false
			}
			fits = fits && rule.Expression == "true"
		}
		switch {
		case fits:
			scopes = append(scopes, text)
		case r.ScopesGiven && !p.NarrowExcess:
			return nil, false, false
		case r.ScopesGiven:
			narrowed = true
		}
	}
	none := len(p.Scopes) == 0 || (p.DefaultScopesSet && len(p.DefaultScopes) == 0)
	return scopes, narrowed, len(scopes) > 0 || none || (r.ScopesGiven && askedHere == 0)
}

func (ref reference) join(service *Service, targets []*Client, names []string, chosen []*Policy, granted [][]string, parts []others) (referenceGrant, bool) {
	r := ref.req
	all := r.Scopes
	if !r.ScopesGiven {
		all = nil
		for _, g := range granted {
			for _, s := range g {
				if !slices.Contains(all, s) {
					all = append(all, s)
				}
			}
		}
	}
	out := referenceGrant{audience: names, expires: r.Now.Add(service.MaxLifetime)}
	rejects := slices.ContainsFunc(chosen, func(p *Policy) bool { return !p.NarrowExcess })
	for _, s := range all {
		sc := ref.scopeOf(targets[0].Namespace, s)
		everywhere := true
		for i, t := range targets {
			everywhere = everywhere && (!belongs(sc, t) || slices.Contains(granted[i], s))
		}
		if everywhere {
			out.scopes = append(out.scopes, s)
		} else if r.ScopesGiven && rejects {
			return referenceGrant{}, false
		}
	}
	none := true
	for i, p := range chosen {
		if parts[i].grant != parts[0].grant {
			return referenceGrant{}, false
		}
		out.grant = ""
		if parts[i].grant != nil {
			out.grant = parts[i].grant.Name
		}
		none = none && (len(p.Scopes) == 0 || (p.DefaultScopesSet && len(p.DefaultScopes) == 0))
		out.policies = append(out.policies, p.Namespace+"/"+p.Name)
		for _, left := range []time.Duration{or(p.Lifetime, service.DefaultLifetime), or(targets[i].Lifetime, service.DefaultLifetime), r.Subject.ExpiresAt.Sub(r.Now), parts[i].left} {
			if end := r.Now.Add(left); end.Before(out.expires) {
				out.expires = end
			}
		}
	}
	if len(out.scopes) == 0 && !none {
		return referenceGrant{}, false
	}
	// Claims: two values for one name refuse. Here a value is its expression.
	values := map[string]string{}
	for _, p := range chosen {
		for _, c := range p.Claims {
			if old, ok := values[c.Name]; ok && old != c.Expression {
				return referenceGrant{}, false
			}
			values[c.Name] = c.Expression
		}
	}
	return out, true
}
