// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// delegated returns one list of a delegation.
type delegated func(*v1alpha1.NameDelegation) []v1alpha1.NamePattern

func delegatedAudiences(d *v1alpha1.NameDelegation) []v1alpha1.NamePattern { return d.Audiences }
func delegatedResources(d *v1alpha1.NameDelegation) []v1alpha1.NamePattern { return d.Resources }
func delegatedScopes(d *v1alpha1.NameDelegation) []v1alpha1.NamePattern    { return d.Scopes }

// checkDelegation reads one entry of spec.names.
func (s *service) checkDelegation(field string, d *v1alpha1.NameDelegation) {
	s.checkNamespaces(field+".namespaces", &d.Namespaces)
	for _, list := range [...]struct {
		name     string
		patterns []v1alpha1.NamePattern
	}{{"audiences", d.Audiences}, {"resources", d.Resources}, {"scopes", d.Scopes}, {"identities", d.Identities}} {
		s.atMost(field+"."+list.name, len(list.patterns), 64)
		for i, p := range list.patterns {
			at := fmt.Sprintf("%s.%s[%d]", field, list.name, i)
			if !s.text(at, string(p), 1, maxNameBytes) {
				continue
			}
			checkPattern(s, at, string(p))
			if list.name == "identities" && !isIdentity(string(p)) {
				s.invalid(at, "expected spiffe://, dns:, uri: or dn: at its beginning")
			}
			if owner := namespaceOf(strings.TrimSuffix(string(p), "*")); owner != "" && list.name != "scopes" && list.name != "identities" {
				s.warn("%s: what begins with %s/ belongs to that namespace; this entry gives it to nobody", at, owner)
			}
		}
	}
}

func isIdentity(p string) bool {
	for _, begin := range [...]string{"spiffe://", "dns:", "uri:", "dn:"} {
		if strings.HasPrefix(p, begin) {
			return true
		}
	}
	return false
}

// checkPattern refuses a * anywhere but at the end, and one that would let a name
// go on: after "https://shop.example" it would give away shop.example.evil.
func checkPattern(s *service, at, p string) {
	base, isPrefix := strings.CutSuffix(p, "*")
	switch {
	case strings.Contains(base, "*"):
		s.invalid(at, "* is possible at the end only")
	case !isVisible(base, ""):
		s.invalid(at, "expected printable ASCII without spaces")
	case isPrefix && (base == "" || !strings.HasSuffix(base, "/") && !strings.HasSuffix(base, ":") && !strings.HasSuffix(base, ".")):
		s.invalid(at, "expected /, : or . before the *: %q would also be the beginning of others' names", p)
	}
}

// covers says whether a pattern is the name, or a prefix of it. The prefix alone
// is no name under it.
func covers(p v1alpha1.NamePattern, name string) bool {
	base, isPrefix := strings.CutSuffix(string(p), "*")
	if isPrefix {
		return len(name) > len(base) && strings.HasPrefix(name, base)
	}
	return name == string(p)
}

// namespaceOf returns the namespace that owns a name by its beginning, empty when
// none does.
func namespaceOf(name string) string {
	first, _, ok := strings.Cut(name, "/")
	if ok && len(first) <= 63 && isLabel(first) {
		return first
	}
	return ""
}

// owned refuses names that are not the object's namespace's to use.
func (w *world) owned(o *object, field string, names []string, list delegated) {
	for _, name := range names {
		if why := w.notOwned(o, name, list); why != "" {
			o.problem(v1alpha1.ReasonNameNotDelegated, field, "%s", why)
		}
	}
}

// notOwned says why a name is not the object's namespace's to use, empty when it
// is.
func (w *world) notOwned(o *object, name string, list delegated) string {
	if why := w.whose(name); why != "" {
		return name + " is " + why + ", which nobody else can have"
	}
	switch owner := namespaceOf(name); {
	case owner == o.namespace:
	case owner != "":
		return name + " belongs to namespace " + owner
	case o.namespace != w.in.OperatorNamespace && !w.isDelegated(o.service, o.namespace, name, list):
		advice := "use a name that begins with " + o.namespace + "/, or "
		if strings.Contains(name, "://") {
			advice = ""
		}
		return fmt.Sprintf("%s is not delegated to namespace %s: %sask the platform for an entry in names of TokenService %s; a prefix in it needs something after it",
			name, o.namespace, advice, o.service.name)
	}
	return ""
}

func (w *world) isDelegated(s *service, namespace, name string, list delegated) bool {
	for i := range s.api.Spec.Names {
		d := &s.api.Spec.Names[i]
		if !w.holds(&d.Namespaces, namespace) {
			continue
		}
		for _, p := range list(d) {
			if covers(p, name) {
				return true
			}
		}
	}
	return false
}

// reserve notes the names that nobody can have: they stand for a token service,
// ours or a foreign one.
func (w *world) reserve() {
	for _, e := range w.external {
		if e.absent == "" {
			for _, a := range e.api.Spec.Audiences {
				w.reserved[a] = externalName
			}
		}
	}
	for _, i := range w.issuers {
		if i.valid() {
			for _, a := range append([]string{i.spec.URL}, i.spec.Audiences...) {
				w.reserved[a] = "the URL or an audience of a TrustedIssuer"
			}
		}
	}
	for _, s := range w.services {
		if s.valid() {
			for _, a := range s.spec.AssertionAudiences {
				w.reserved[a] = "an issuer or a client-assertion audience of a TokenService"
			}
		}
	}
}

// whose says whose a name is that nobody can have, empty when there is none.
func (w *world) whose(name string) string {
	if why := w.reserved[name]; why != "" {
		return why
	}
	for _, s := range w.services {
		if s.valid() && isOurs(s.spec.Issuer, name) {
			return "an endpoint of a TokenService"
		}
	}
	return ""
}

// isOurs says whether a name is an issuer or one of the endpoints below it.
func isOurs(issuer, name string) bool {
	rest, ok := strings.CutPrefix(name, issuer)
	if !ok {
		return false
	}
	switch rest {
	case "", "/", "/token", "/introspect", "/revoke", "/jwks", "/links", "/saml/metadata":
		return true
	}
	return strings.HasPrefix(rest, "/.well-known/")
}

// clientConflicts gives every name to one client. IDs come first: nobody can have
// another client's. Then, in the order (namespace, name), audiences and resources.
func (w *world) clientConflicts() {
	w.identityConflicts()
	ids := map[[2]string]*client{}
	for _, c := range w.clients {
		if c.valid() && c.service != nil {
			key := [2]string{c.service.name, c.spec.ID}
			if _, taken := ids[key]; taken {
				c.problem(v1alpha1.ReasonConflicted, "spec.clientID", "%s is the client_id of another ExchangeClient, which comes first by namespace and name", c.spec.ID)
				continue
			}
			ids[key] = c
		}
	}
	names := map[[2]string]*client{}
	for _, c := range w.clients {
		if c.service == nil {
			continue
		}
		if !c.valid() {
			w.holdNames(c, names)
			continue
		}
		claims := map[string][]string{"spec.audiences": c.audienceNames(), "spec.resources": c.spec.Resources}
		for _, field := range [...]string{"spec.audiences", "spec.resources"} {
			for _, name := range claims[field] {
				c.claimable(field, name, ids, names)
			}
		}
		if !c.valid() {
			continue
		}
		for _, list := range claims {
			for _, name := range list {
				names[[2]string{c.service.name, name}] = c
			}
		}
	}
	for _, c := range w.clients {
		if c.inForce() {
			c.clientID = c.spec.ID
			c.oneTime = len(c.spec.AssertionKeys) > 0 && len(c.spec.ServiceAccounts) == 0 && len(c.spec.SecretDigests) == 0 &&
				len(c.spec.Certificates) == 0 && len(c.spec.SPIFFE) == 0
			w.clientByRef[c.ref()] = c
			for _, list := range [...][]string{{c.spec.ID}, c.audienceNames(), c.spec.Resources} {
				for _, name := range list {
					w.holders[[2]string{c.service.name, name}] = c
				}
			}
		}
	}
}

// holdNames keeps the names of a client that is there and not valid from those
// who come after it: whoever makes a mistake in an object must not hand its API's
// names, and so tokens for it, to another namespace. A loser holds nothing, and an
// absent object is absent.
func (w *world) holdNames(c *client, names map[[2]string]*client) {
	lost := slices.ContainsFunc(c.problems, func(p Problem) bool { return p.Reason == v1alpha1.ReasonConflicted })
	if c.absent != "" || lost {
		return
	}
	for _, claim := range [...]struct {
		names []string
		list  delegated
	}{{c.audienceNames(), delegatedAudiences}, {c.spec.Resources, delegatedResources}} {
		for _, name := range claim.names {
			key := [2]string{c.service.name, name}
			if _, taken := names[key]; !taken && w.notOwned(c.object, name, claim.list) == "" {
				names[key] = c
			}
		}
	}
}

// claimable refuses a name that another client has.
func (c *client) claimable(field, name string, ids, names map[[2]string]*client) {
	key := [2]string{c.service.name, name}
	if holder, taken := ids[key]; taken && holder != c {
		c.problem(v1alpha1.ReasonConflicted, field, "%s is the client_id of another ExchangeClient", name)
		return
	}
	if _, taken := names[key]; taken {
		c.problem(v1alpha1.ReasonConflicted, field, "%s is a name of another ExchangeClient, which comes first by namespace and name", name)
	}
}
