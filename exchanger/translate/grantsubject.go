// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func (w *world) policySubject(p *grant) {
	s := &p.api.Spec.Subject
	if len(s.Issuers) == 0 {
		p.invalid("spec.subject.issuers", "expected at least one entry: nobody's tokens may be exchanged otherwise")
	}
	p.atMost("spec.subject.issuers", len(s.Issuers), 32)
	for n := range s.Issuers {
		w.policyIssuer(p, fmt.Sprintf("spec.subject.issuers[%d]", n), &s.Issuers[n])
	}
	p.spec.SubjectIssuers, p.spec.SelfOrigins = sortedSet(p.spec.SubjectIssuers), sortedSet(p.spec.SelfOrigins)
	usual := []v1alpha1.TokenClass{v1alpha1.TokenClassAccessToken, v1alpha1.TokenClassIDToken, v1alpha1.TokenClassJWT}
	served := append(slices.Clone(usual), v1alpha1.TokenClassJWTBearer, v1alpha1.TokenClassIDJAG, v1alpha1.TokenClassOpaque, v1alpha1.TokenClassRefreshToken, v1alpha1.TokenClassHandover,
		v1alpha1.TokenClassSAML2, v1alpha1.TokenClassTransaction)
	for _, c := range manyOf(p.object, "spec.subject.tokenTypes", s.TokenTypes, usual, served, served) {
		p.spec.SubjectClasses = append(p.spec.SubjectClasses, policy.Class(c))
	}
	w.policyAudience(p, &s.Audience)
	p.spec.SubjectRules = w.rules(p.object, "spec.subject.rules", policy.EnvPolicy, s.Rules, 32)
}

func (w *world) policyIssuer(p *grant, field string, in *v1alpha1.PolicyIssuer) {
	var set members
	set.add("name", in.Name != "")
	set.add("self: true", in.Self)
	if !p.exactlyOne(field, set, "name and self: true") {
		return
	}
	if in.Name != "" {
		p.named(field, "", in.Name)
		if len(in.Origins) > 0 {
			p.invalid(field+".origins", "they belong to self: true")
		}
		if i := w.namedIssuer(p, in.Name); i != nil {
			p.spec.SubjectIssuers = append(p.spec.SubjectIssuers, i.name)
		}
		return
	}
	if len(in.Origins) == 0 {
		p.invalid(field+".origins", "expected at least one TrustedIssuer: the one of the first subject token of the chain")
	}
	p.atMost(field+".origins", len(in.Origins), 32)
	for n, o := range in.Origins {
		if !isSubdomain(o) || len(o) > v1alpha1.MaxNameLength {
			p.invalid(fmt.Sprintf("%s.origins[%d]", field, n), "expected the name of a TrustedIssuer")
		}
		if i := w.namedIssuer(p, o); i != nil {
			p.spec.SelfOrigins = append(p.spec.SelfOrigins, i.name)
		}
	}
}

// namedIssuer finds a TrustedIssuer that the policy's namespace may name and
// whose tokens may be subjects. Others contribute nothing, all in the same words.
func (w *world) namedIssuer(p *grant, name string) *issuer {
	if p.service == nil {
		return nil
	}
	i, ok := w.issuerByName[name]
	if !ok || i.service != p.service || !i.spec.ForSubject || !w.mayName(i, p.namespace) {
		p.miss(kindIssuer, name)
		return nil
	}
	return i
}

func (w *world) mayName(i *issuer, namespace string) bool {
	if namespace == "" {
		return true // The platform's own objects may.
	}
	if set := i.api.Spec.AllowedNamespaces; set != nil {
		return w.holds(set, namespace)
	}
	return w.admits(i.service, namespace)
}

// policyAudience reads whom the subject token must have been for. There is no
// value that switches the check off (F133).
func (w *world) policyAudience(p *grant, in *v1alpha1.AudienceRule) {
	const field = "spec.subject.audience"
	match := oneOf(p.object, field+".match", in.Match, v1alpha1.AudienceClient, v1alpha1.AudienceIssuer, v1alpha1.AudienceAnyOf)
	p.spec.SubjectAudience.Match = policy.AudienceMatch(match)
	switch {
	case match == v1alpha1.AudienceClient || p.byName():
	case p.api.Spec.Token.Binding == v1alpha1.BindingRequire:
		p.spec.BoundSubject = true
	case p.kind == kindTarget:
		p.invalid(field+".match", "%s needs every entry of clients to be a name: it lets a client exchange tokens that were not made for it", match)
	default:
		p.invalid(field+".match", "%s needs every entry of clients to be a name, or token.binding: Require: it lets a client exchange tokens that were not made for it", match)
	}
	anyOf := p.names(field+".anyOf", in.AnyOf, 32)
	parties := p.names(field+".authorizedParties", in.AuthorizedParties, 32)
	// They narrow anyOf further: none, absent or [], narrow nothing. Names are taken
	// as they are written, so that no other object can empty the list.
	switch {
	case match == v1alpha1.AudienceAnyOf && len(in.AnyOf) == 0:
		p.invalid(field+".anyOf", "expected at least one audience")
	case match != v1alpha1.AudienceAnyOf && len(anyOf) > 0:
		p.invalid(field+".anyOf", "it belongs to match: AnyOf")
	case match != v1alpha1.AudienceAnyOf && len(parties) > 0:
		p.invalid(field+".authorizedParties", "they belong to match: AnyOf")
	case match == v1alpha1.AudienceAnyOf && p.service != nil:
		p.spec.SubjectAudience.AnyOf = w.knownAudiences(p, anyOf)
		p.spec.SubjectAudience.AuthorizedParties = parties
	}
}

// knownAudiences keeps the audiences that the policy's issuers or clients have.
// One that nobody has contributes nothing and is unmatched: were it refused, the
// policy would come into force when somebody's deletion gives it an excuse.
func (w *world) knownAudiences(p *grant, list []string) []string {
	known := w.audiencesOf(p.spec.SubjectIssuers)
	var out []string
	for _, a := range list {
		if known[a] || w.isOwnAudience(p, a) {
			out = append(out, a)
		} else {
			p.miss("audience", a)
		}
	}
	return out
}

// audiencesOf are the audiences and client IDs of issuers that a policy names.
func (w *world) audiencesOf(issuers []string) map[string]bool {
	known := map[string]bool{}
	for _, name := range issuers {
		i := w.issuerByName[name]
		for _, a := range i.spec.Audiences {
			known[a] = true
		}
		for _, c := range i.api.Spec.Clients {
			known[c.ID] = true
		}
	}
	return known
}

// isOwnAudience says whether a policy that admits our own tokens may want them to
// be for a name: one of its namespace's clients or of the listed ones.
func (w *world) isOwnAudience(p *grant, name string) bool {
	if len(p.spec.SelfOrigins) == 0 {
		return false
	}
	c, ok := w.holders[[2]string{p.service.name, name}]
	return ok && (c.namespace == p.namespace || contains(p.spec.Clients, c.spec.ID))
}

// policyTarget resolves what may be asked for.
func (w *world) policyTarget(p *grant) {
	t := &p.api.Spec.Target
	if len(t.Clients) == 0 {
		p.invalid("spec.target.clients", "expected at least one entry: nothing may be asked for otherwise")
	}
	p.atMost("spec.target.clients", len(t.Clients), 64)
	for n, c := range t.Clients {
		at := fmt.Sprintf("spec.target.clients[%d]", n)
		p.named(at, c.Namespace, c.Name)
		if c.Namespace != "" && c.Namespace != p.namespace {
			p.unresolved(v1alpha1.ReasonRefNotPermitted, at+".namespace", "only targets of the policy's own namespace can be granted: their owner decides who gets tokens for them")
			continue
		}
		if p.service == nil {
			continue
		}
		if id, ok := w.ownTarget(p.object, c.Name); ok {
			p.spec.Targets = append(p.spec.Targets, id)
		} else {
			p.unresolved(v1alpha1.ReasonRefNotFound, at, "%s", w.notInForce(kindClient, p.namespace, c.Name))
		}
	}
	p.spec.Targets = sortedSet(p.spec.Targets)
	p.atMost("spec.target.scopes", len(t.Scopes), 64)
	for n, s := range t.Scopes {
		w.policyScope(p, fmt.Sprintf("spec.target.scopes[%d]", n), string(s))
	}
	p.spec.Scopes = sortedSet(p.spec.Scopes)
	w.defaultScopes(p)
	p.spec.AddScopes = oneOf(p.object, "spec.target.scopeMode", t.ScopeMode, v1alpha1.ScopeModeNarrow, v1alpha1.ScopeModeGrant) == v1alpha1.ScopeModeGrant
	p.spec.NarrowExcess = oneOf(p.object, "spec.target.excess", t.Excess, v1alpha1.ScopeExcessReject, v1alpha1.ScopeExcessNarrow) == v1alpha1.ScopeExcessNarrow
}

func (w *world) policyScope(p *grant, field, name string) {
	if !isScope(name) {
		p.invalid(field, "expected a scope: at most 256 printable ASCII characters without spaces, quotes, backslashes or *")
		return
	}
	if p.service == nil {
		return
	}
	s := w.scopeIn(p, name)
	p.hangsOn(kindScope, p.namespace, name, s.objectOf())
	if s == nil || !s.inForce() {
		p.unresolved(v1alpha1.ReasonRefNotFound, field, "there is no ClientScope for scope %q in this namespace that is in force", name)
		return
	}
	if len(p.spec.Targets) > 0 && !s.spec.AllTargets && !slices.ContainsFunc(s.spec.Targets, func(id string) bool { return contains(p.spec.Targets, id) }) {
		p.warn("%s: scope %s belongs to none of target.clients, so that it is never granted here", field, name)
	}
	p.spec.Scopes = append(p.spec.Scopes, name)
}

func (w *world) scopeIn(p *grant, name string) *scope {
	if p.service == nil {
		return nil
	}
	return w.scopeByName[scopeKey{p.service.name, p.namespace, name}]
}

// defaultScopes must be among scopes; of a parametric scope, with a value.
func (w *world) defaultScopes(p *grant) {
	list := p.api.Spec.Target.DefaultScopes
	if list == nil {
		return
	}
	p.spec.DefaultScopesSet = true
	p.atMost("spec.target.defaultScopes", len(list), 64)
	for n, d := range list {
		at := fmt.Sprintf("spec.target.defaultScopes[%d]", n)
		name := string(d)
		if slices.Contains(p.api.Spec.Target.Scopes, d) {
			if s := w.scopeIn(p, name); s != nil && s.spec.Parameter != "" {
				p.invalid(at, "scope %s is parametric: expected it with a value, %s:<value>", name, name)
			}
		} else {
			base := name[:max(0, strings.LastIndexByte(name, ':'))]
			s := w.scopeIn(p, base)
			switch {
			case base == "" || !slices.Contains(p.api.Spec.Target.Scopes, v1alpha1.ScopeName(base)):
				p.invalid(at, "%s is not among target.scopes", name)
			case s != nil && s.spec.Parameter == "":
				p.invalid(at, "scope %s has no parameter, so that %s is another scope, which is not among target.scopes", base, name)
			}
		}
		p.spec.DefaultScopes = append(p.spec.DefaultScopes, name)
	}
	p.spec.DefaultScopes = sortedSet(p.spec.DefaultScopes)
}
