// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// external is an ExternalTarget on its way.
type external struct {
	*object
	api  *v1alpha1.ExternalTarget
	spec policy.External
}

func (w *world) translateExternals() {
	for _, e := range w.external {
		if e.absent == "" {
			w.guard(e.object, func() { w.translateExternal(e) })
		}
	}
	w.externalConflicts()
	for _, e := range w.external {
		if e.inForce() && e.spec.Kind == policy.ExternalLinkedToken {
			e.service.spec.LinkIdle = linkIdle
		}
	}
}

// linkIdle is how long a linked token may lie unused. Signing keys are published that
// much longer, since what is stored is sealed with the keys beside them.
const linkIdle = 720 * time.Hour

func (w *world) translateExternal(e *external) {
	in := &e.api.Spec
	w.serviceOf(e.object, in.TokenServiceRef)
	e.spec = policy.External{Name: e.name, Generation: e.generation, Forward: in.Forward, NoCache: in.Cache.Enabled != nil && !*in.Cache.Enabled}
	if e.service != nil {
		e.spec.TokenService = e.service.name
	}
	if len(in.Audiences) == 0 {
		e.invalid("spec.audiences", "expected at least one name: nobody can ask for it otherwise")
	}
	e.spec.Audiences = e.names("spec.audiences", in.Audiences, 32)
	e.checkAudiences()
	w.externalPolicy(e)
	e.spec.Scopes = e.upstreamScopes("spec.scopes", in.Scopes)
	if in.Token.Lifetime != "" {
		e.spec.Lifetime = e.duration("spec.token.lifetime", in.Token.Lifetime, 0, time.Minute, day)
	}
	w.externalMember(e)
}

// externalPolicy reads who may ask, in the words of an ExchangePolicy, which an
// ExternalTarget is for itself. The platform's objects may name every issuer.
func (w *world) externalPolicy(e *external) {
	in := &e.api.Spec
	as := &v1alpha1.ExchangePolicy{Spec: v1alpha1.ExchangePolicySpec{Subject: in.Subject, Actor: in.Actor, Rules: in.Rules}}
	p := &grant{object: e.object, api: as}
	if len(in.Clients) == 0 {
		e.invalid("spec.clients", "expected at least one entry: nobody may ask otherwise")
	}
	e.atMost("spec.clients", len(in.Clients), 64)
	for n := range in.Clients {
		w.externalClient(p, fmt.Sprintf("spec.clients[%d]", n), &in.Clients[n])
	}
	p.spec.Clients = sortedSet(p.spec.Clients)
	w.policySubject(p)
	w.policyActor(p)
	p.spec.Rules = w.rules(e.object, "spec.rules", policy.EnvPolicy, in.Rules, 32)
	s, out := &p.spec, &e.spec
	out.Clients, out.SubjectIssuers, out.SelfOrigins, out.SubjectClasses = s.Clients, s.SubjectIssuers, s.SelfOrigins, s.SubjectClasses
	out.SubjectAudience, out.SubjectRules, out.Actor, out.Rules = s.SubjectAudience, s.SubjectRules, s.Actor, s.Rules
}

// externalClient finds clients by name, or all of some namespaces.
func (w *world) externalClient(p *grant, field string, in *v1alpha1.ExternalTargetClient) {
	var set members
	set.add("name", in.Name != "")
	set.add("namespaceSelector", in.NamespaceSelector != nil)
	if !p.exactlyOne(field, set, "name and namespaceSelector") {
		return
	}
	as := v1alpha1.PolicyClient{Namespace: in.Namespace, Name: in.Name}
	if in.Name == "" {
		as.Selector = &v1alpha1.Selector{}
	}
	p.api.Spec.Clients = append(p.api.Spec.Clients, as) // for what only clients by name may have
	if in.Name != "" {
		p.named(field, in.Namespace, in.Name)
		if in.Namespace == "" {
			p.invalid(field+".namespace", "a client by name needs its namespace")
			return
		}
		if p.service != nil {
			w.namedClient(p, &as)
		}
		return
	}
	p.checkSelector(field+".namespaceSelector", in.NamespaceSelector)
	if p.service == nil {
		return
	}
	found := false
	for _, namespace := range w.namespaces {
		if !selects(in.NamespaceSelector, w.labelsOf(namespace)) {
			continue
		}
		for _, c := range w.clientsOf[namespace] {
			if c.inForce() && c.service == p.service {
				p.spec.Clients = append(p.spec.Clients, c.spec.ID)
				found = true
			}
		}
	}
	if !found {
		p.miss(kindClient, "by "+field)
	}
}

// checkAudiences keeps names that are somebody's: what begins with a namespace is that
// namespace's, also where it has no such client yet.
func (e *external) checkAudiences() {
	for _, a := range e.spec.Audiences {
		if owner := namespaceOf(a); owner != "" {
			e.problem(v1alpha1.ReasonNameNotDelegated, "spec.audiences", "%s belongs to namespace %s", a, owner)
		}
	}
}

// externalConflicts finds audiences that are somebody else's. Of two ExternalTargets
// that claim one, none has it.
func (w *world) externalConflicts() {
	for _, e := range w.external {
		if !e.valid() {
			continue
		}
		for _, a := range e.spec.Audiences {
			switch c := w.holders[[2]string{e.spec.TokenService, a}]; {
			case w.reserved[a] != "" && w.reserved[a] != externalName:
				e.problem(v1alpha1.ReasonConflicted, "spec.audiences", "%s is %s, which nobody else can have", a, w.reserved[a])
			case c != nil:
				e.problem(v1alpha1.ReasonConflicted, "spec.audiences", "%s is a name of an ExchangeClient", a)
			default:
				for _, s := range w.services {
					if s.valid() && isOurs(s.spec.Issuer, a) {
						e.problem(v1alpha1.ReasonConflicted, "spec.audiences", "%s is an endpoint of TokenService %s", a, s.name)
					}
				}
			}
		}
	}
	for n, a := range w.external {
		for _, b := range w.external[n+1:] {
			if a.absent != "" || b.absent != "" || serviceName(a.api.Spec.TokenServiceRef) != serviceName(b.api.Spec.TokenServiceRef) {
				continue
			}
			for _, name := range a.spec.Audiences {
				if slices.Contains(b.spec.Audiences, name) {
					both(a.object, b.object, "spec.audiences", "%s is an audience of both", name)
				}
			}
		}
	}
}

// externalName is why nobody else can have an audience of an ExternalTarget.
const externalName = "an audience of an ExternalTarget"

// upstreamScopes reads scopes in the words of another server.
func (o *object) upstreamScopes(field string, list []v1alpha1.ScopeName) []string {
	o.atMost(field, len(list), 64)
	var out []string
	for n, s := range list {
		if !isScope(string(s)) {
			o.invalid(fmt.Sprintf("%s[%d]", field, n), "expected a scope: at most 256 printable ASCII characters without spaces, quotes, backslashes or *")
			continue
		}
		out = append(out, string(s))
	}
	return sortedSet(out)
}

// scopeText reads scopes that are asked for when the client asks for none.
func (o *object) scopeText(field, text string) string {
	o.text(field, text, 0, 4096)
	for _, s := range strings.Fields(text) {
		if !isScope(s) {
			o.invalid(field, "expected scopes that are separated by spaces")
			break
		}
	}
	return strings.Join(strings.Fields(text), " ")
}

// externalMember reads the one member that says whose tokens they are.
func (w *world) externalMember(e *external) {
	in := &e.api.Spec
	var set members
	set.add("tokenExchange", in.TokenExchange != nil)
	set.add("jwtBearer", in.JWTBearer != nil)
	set.add("idJAG", in.IDJAG != nil)
	set.add("clientCredentials", in.ClientCredentials != nil)
	set.add("linkedToken", in.LinkedToken != nil)
	set.add("webhook", in.Webhook != nil)
	if !e.exactlyOne("spec", set, "tokenExchange, jwtBearer, idJAG, clientCredentials, linkedToken and webhook") {
		return
	}
	e.spec.Kind = policy.ExternalKind(set[0])
	rules, ranges := w.ranges(e.object, in.Network)
	u := &policy.Upstream{AllowedCIDRs: ranges}
	switch at := "spec." + set[0]; {
	case in.IDJAG != nil:
		w.externalIDJAG(e, at, in.IDJAG)
	case in.LinkedToken != nil:
		w.externalLinked(e, at, u, in.LinkedToken, rules)
	default:
		e.spec.Remote = u
		w.externalServer(e, at, u, rules)
	}
	if in.Forward && (in.IDJAG != nil || in.LinkedToken != nil || in.ClientCredentials != nil) {
		e.invalid("spec.forward", "%s sends no token of the caller's anywhere: take the field out", set[0])
	} else if in.Forward {
		e.warn("spec.forward: the caller's own token is sent to %s, which can use it wherever it is good", u.URL)
	}
}

// externalServer reads the members that have another server asked.
func (w *world) externalServer(e *external, at string, u *policy.Upstream, rules egress.Rules) {
	in := &e.api.Spec
	audience := func(text string) {
		e.spec.UpstreamAudience = text
		if text != "" {
			e.exactName(at+".audience", text)
		}
	}
	switch {
	case in.TokenExchange != nil:
		m := in.TokenExchange
		w.upstream(e.object, u, at+".tokenEndpoint", m.TokenEndpoint, at+".caBundle", m.CABundle, rules)
		u.Auth = w.clientAuth(e.object, at+".clientAuth", m.ClientAuth)
		audience(m.Audience)
		if e.spec.UpstreamResource = m.Resource; m.Resource != "" {
			e.exactName(at+".resource", m.Resource)
		}
		e.spec.UpstreamScope = e.scopeText(at+".scope", m.Scope)
	case in.JWTBearer != nil:
		m := in.JWTBearer
		w.upstream(e.object, u, at+".tokenEndpoint", m.TokenEndpoint, at+".caBundle", m.CABundle, rules)
		u.Auth = w.clientAuth(e.object, at+".clientAuth", m.ClientAuth)
		audience(m.Audience)
		e.spec.UpstreamScope = e.scopeText(at+".scope", m.Scope)
	case in.ClientCredentials != nil:
		m := in.ClientCredentials
		w.upstream(e.object, u, at+".tokenEndpoint", m.TokenEndpoint, at+".caBundle", m.CABundle, rules)
		audience(m.Audience)
		if m.ClientID != "" {
			e.text(at+".clientID", m.ClientID, 1, maxNameBytes)
			e.spec.Names = []policy.Alias{{ID: m.ClientID}}
		}
		e.spec.UpstreamScope = e.scopeText(at+".scope", m.Scope)
	default:
		m := in.Webhook
		w.upstream(e.object, u, at+".url", m.URL, at+".caBundle", m.CABundle, rules)
		u.Timeout = e.timeout(at+".timeout", m.Timeout)
	}
}

// externalIDJAG reads what is minted here for another domain's server. Its scopes are
// what the assertion may ask for there, and none but those of the target, where that
// has some.
func (w *world) externalIDJAG(e *external, at string, m *v1alpha1.UpstreamIDJAG) {
	e.spec.UpstreamAudience = m.Audience
	e.exactName(at+".audience", m.Audience)
	e.atMost(at+".clients", len(m.Clients), 64)
	for n, c := range m.Clients {
		field := fmt.Sprintf("%s.clients[%d]", at, n)
		e.named(field+".client", c.Client.Namespace, c.Client.Name)
		e.text(field+".clientID", c.ClientID, 1, maxNameBytes)
		ref := c.Client.Namespace + "/" + c.Client.Name
		found, ok := w.clientByRef[ref]
		if !ok || found.service != e.service {
			e.miss(kindClient, ref)
			continue
		}
		e.spec.Names = append(e.spec.Names, policy.Alias{ID: c.ClientID, Client: found.spec.ID})
	}
	slices.SortFunc(e.spec.Names, func(a, b policy.Alias) int { return compare(a.Client+" "+a.ID, b.Client+" "+b.ID) })
	own := e.upstreamScopes(at+".scopes", m.Scopes)
	switch {
	case len(own) == 0:
	case len(e.spec.Scopes) == 0:
		e.spec.Scopes = own
	default:
		e.spec.Scopes = slices.DeleteFunc(e.spec.Scopes, func(s string) bool { return !slices.Contains(own, s) })
	}
}

// externalLinked reads where tokens that users stored are renewed, if anywhere.
func (w *world) externalLinked(e *external, at string, u *policy.Upstream, m *v1alpha1.UpstreamLinkedToken, rules egress.Rules) {
	e.spec.Provider = m.Provider
	if e.text(at+".provider", m.Provider, 1, 128) && !isVisible(m.Provider, "") {
		e.invalid(at+".provider", "expected printable ASCII without spaces")
	}
	switch {
	case m.TokenEndpoint == "" && (m.ClientAuth != nil || m.CABundle != ""):
		e.invalid(at, "clientAuth and caBundle belong to tokenEndpoint")
	case m.TokenEndpoint != "" && m.ClientAuth == nil:
		e.invalid(at+".clientAuth", "tokenEndpoint needs it: a refresh token is renewed for the client that it was issued to")
	case m.TokenEndpoint != "":
		e.spec.Remote = u
		w.upstream(e.object, u, at+".tokenEndpoint", m.TokenEndpoint, at+".caBundle", m.CABundle, rules)
		u.Auth = w.clientAuth(e.object, at+".clientAuth", m.ClientAuth)
	}
}
