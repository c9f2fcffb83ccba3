// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func (w *world) translatePolicies() {
	for _, p := range w.policies {
		if p.absent != "" {
			continue
		}
		w.serviceOf(p.object, p.api.Spec.TokenServiceRef)
		w.guard(p.object, func() { w.translatePolicy(p) })
	}
}

func (w *world) translatePolicy(p *grant) {
	spec := &p.api.Spec
	p.spec = policy.Policy{Namespace: p.namespace, Name: p.name}
	if p.service != nil {
		p.spec.TokenService = p.service.name
	}
	p.audit = oneOf(p.object, "spec.mode", spec.Mode, v1alpha1.PolicyModeEnforce, v1alpha1.PolicyModeAudit) == v1alpha1.PolicyModeAudit
	p.spec.AuditOnly = p.audit
	w.policyClients(p)
	w.policySubject(p)
	w.policyActor(p)
	p.spec.Impersonation = oneOf(p.object, "spec.impersonation", spec.Impersonation, v1alpha1.ImpersonationForbidden, v1alpha1.ImpersonationAllowed) == v1alpha1.ImpersonationAllowed
	w.policyTarget(p)
	w.pairs(p)
	w.policyToken(p)
	p.spec.Rules = w.rules(p.object, "spec.rules", policy.EnvPolicy, spec.Rules, 32)
	p.checkExamples()
}

// policyClients expands who may ask into client IDs.
func (w *world) policyClients(p *grant) {
	list := p.api.Spec.Clients
	if len(list) == 0 {
		p.invalid("spec.clients", "expected at least one entry: nobody may ask otherwise")
	}
	p.atMost("spec.clients", len(list), 64)
	for n := range list {
		w.policyClient(p, fmt.Sprintf("spec.clients[%d]", n), &list[n])
	}
	p.spec.Clients = sortedSet(p.spec.Clients)
	if p.spec.AllClients {
		p.spec.Clients = nil
	}
	if len(p.spec.Clients) == 0 {
		p.spec.Clients = nil
	}
}

func (w *world) policyClient(p *grant, field string, in *v1alpha1.PolicyClient) {
	var set members
	set.add("name", in.Name != "")
	set.add("selector", in.Selector != nil)
	set.add("all: true", in.All)
	if !p.exactlyOne(field, set, "name, selector and all: true") {
		return
	}
	if in.Name != "" {
		p.named(field, in.Namespace, in.Name)
	}
	switch {
	case in.Namespace != "" && in.Name == "":
		p.invalid(field+".namespace", "it belongs to name; use namespaceSelector beside selector")
	case in.NamespaceSelector != nil && in.Selector == nil:
		p.invalid(field+".namespaceSelector", "it belongs to selector")
	case in.Public && in.Name == "":
		p.invalid(field+".public", "public clients are admitted by name only")
	case in.All:
		p.spec.AllClients = true
		p.warn("%s: all: true admits every client of the TokenService, now and later", field)
	case in.Selector != nil:
		w.selectedClients(p, field, in)
	case p.service == nil:
		// Without a TokenService nobody is known, and that is said already.
	default:
		w.namedClient(p, in)
	}
}

func (w *world) namedClient(p *grant, in *v1alpha1.PolicyClient) {
	namespace := in.Namespace
	if namespace == "" {
		namespace = p.namespace
	}
	c, ok := w.clientByRef[namespace+"/"+in.Name]
	if !ok || c.service != p.service {
		p.miss(kindClient, namespace+"/"+in.Name)
		return
	}
	p.spec.Clients = append(p.spec.Clients, c.spec.ID)
	switch {
	case in.Public:
		p.spec.PublicClients = sortedSet(append(p.spec.PublicClients, c.spec.ID))
	case c.spec.Public:
		p.warn("clients: %s is a public client, which is admitted with public: true only", c.spec.ID)
	}
}

func (w *world) selectedClients(p *grant, field string, in *v1alpha1.PolicyClient) {
	p.checkSelector(field+".selector", in.Selector)
	if in.NamespaceSelector != nil {
		p.checkSelector(field+".namespaceSelector", in.NamespaceSelector)
	}
	if p.service == nil {
		return
	}
	found := false
	namespaces := []string{p.namespace}
	if in.NamespaceSelector != nil {
		if !w.looksAt(p, field, len(w.namespaces)) {
			return
		}
		namespaces = slices.DeleteFunc(slices.Clone(w.namespaces), func(n string) bool { return !selects(in.NamespaceSelector, w.labelsOf(n)) })
	}
	var inside []*client
	for _, n := range namespaces {
		inside = append(inside, w.clientsOf[n]...)
	}
	if !w.looksAt(p, field, len(inside)) {
		return
	}
	for _, c := range inside {
		if c.inForce() && c.service == p.service && selects(in.Selector, c.api.Labels) {
			p.spec.Clients = append(p.spec.Clients, c.spec.ID)
			found = true
		}
	}
	if !found {
		p.miss(kindClient, "by "+field)
	}
}

// byName says whether every entry of clients is a name.
func (p *grant) byName() bool {
	return !slices.ContainsFunc(p.api.Spec.Clients, func(c v1alpha1.PolicyClient) bool { return c.Name == "" })
}

// policyToken reads what the token may be.
func (w *world) policyToken(p *grant) {
	t := &p.api.Spec.Token
	served := []v1alpha1.IssuedTokenType{
		v1alpha1.IssuedAccessToken, v1alpha1.IssuedJWT, v1alpha1.IssuedIDToken, v1alpha1.IssuedSAML2, v1alpha1.IssuedTransactionToken, v1alpha1.IssuedHandover,
	}
	for _, v := range manyOf(p.object, "spec.token.types", t.Types, served[:1], served, served) {
		p.spec.TokenTypes = append(p.spec.TokenTypes, policy.TokenType(v))
	}
	p.spec.Lifetime = p.shorterThanMax("spec.token.lifetime", t.Lifetime)
	p.spec.Claims = w.claims(p.object, "spec.token.claims", policy.EnvPolicy, t.Claims)
	if b := oneOf(p.object, "spec.token.binding", t.Binding, v1alpha1.BindingPreserve, v1alpha1.BindingRebind, v1alpha1.BindingRequire); b != v1alpha1.BindingPreserve {
		p.spec.Binding = policy.Binding(b)
	}
	if r := oneOf(p.object, "spec.token.refresh", t.Refresh, v1alpha1.RefreshNone, v1alpha1.RefreshBounded, v1alpha1.RefreshOffline); r != v1alpha1.RefreshNone {
		p.spec.Refresh = policy.Refresh(r)
		if !slices.Contains(p.spec.TokenTypes, policy.TypeAccessToken) {
			p.invalid("spec.token.refresh", "expected AccessToken in token.types, which refresh tokens go with")
		}
	}
}
