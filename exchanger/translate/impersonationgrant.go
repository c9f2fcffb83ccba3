// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// impersonationGrant is an ImpersonationGrant on its way.
type impersonationGrant struct {
	*object
	api  *v1alpha1.ImpersonationGrant
	spec policy.ImpersonationGrantSpec
}

// The bounds of an ImpersonationGrant's lists, as in its schema.
const (
	maxPeople    = 64
	maxRequested = 256
	maxExtra     = 32
)

func (w *world) translateGrants() {
	for _, g := range w.grants {
		if g.absent == "" {
			w.guard(g.object, func() { w.translateGrant(g) })
		}
	}
}

func (w *world) translateGrant(g *impersonationGrant) {
	in := &g.api.Spec
	w.serviceOf(g.object, in.TokenServiceRef)
	g.spec = policy.ImpersonationGrantSpec{
		Name:           g.name,
		Delegation:     oneOf(g.object, "spec.semantics", in.Semantics, v1alpha1.SemanticsImpersonation, v1alpha1.SemanticsDelegation) == v1alpha1.SemanticsDelegation,
		ReasonRequired: in.Reason.Required == nil || *in.Reason.Required,
		MaxLifetime:    g.duration("spec.maxTokenLifetime", in.MaxTokenLifetime, 10*time.Minute, time.Minute, day),
	}
	if g.service != nil {
		g.spec.TokenService = g.service.name
	}
	g.sources(in.SubjectFrom)
	g.window(in, w.in.Now)
	w.grantImpersonators(g, &in.Impersonators)
	w.grantSubjects(g, &in.Subjects)
	w.grantKnown(g, in.RequestedSubjects)
	w.grantTargets(g, &in.Targets)
}

func (g *impersonationGrant) sources(list []v1alpha1.SubjectSource) {
	if len(list) == 0 {
		g.invalid("spec.subjectFrom", "expected SubjectToken, RequestedSubject or both")
	}
	for n, s := range list {
		switch s {
		case v1alpha1.SubjectFromSubjectToken:
			g.spec.FromSubjectToken = true
		case v1alpha1.SubjectFromRequestedSubject:
			g.spec.FromRequest = true
		default:
			g.invalid(fmt.Sprintf("spec.subjectFrom[%d]", n), "expected SubjectToken or RequestedSubject")
		}
	}
}

func (g *impersonationGrant) window(in *v1alpha1.ImpersonationGrantSpec, now time.Time) {
	g.spec.NotBefore, g.spec.NotAfter = g.moment("spec.notBefore", in.NotBefore), g.moment("spec.notAfter", in.NotAfter)
	from, until := g.spec.NotBefore, g.spec.NotAfter
	switch {
	case until.IsZero():
		if in.NotAfter == "" {
			g.invalid("spec.notAfter", "expected a time: no grant is for ever")
		}
	case !from.Before(until):
		g.invalid("spec.notBefore", "expected a time before notAfter")
	case !now.Before(until):
		g.problem(v1alpha1.ReasonExpired, "spec.notAfter", "it ended at %s, and grants nothing since; renew it, or delete it", until.Format(time.RFC3339))
	case now.Before(from):
		g.warn("spec.notBefore: it grants nothing before %s", from.Format(time.RFC3339))
	}
}

func (w *world) grantImpersonators(g *impersonationGrant, in *v1alpha1.Impersonators) {
	const field = "spec.impersonators"
	if len(in.Clients) == 0 {
		g.invalid(field+".clients", "expected at least one client: a person impersonates through a client that is named")
	}
	g.atMost(field+".clients", len(in.Clients), maxPeople)
	for n, ref := range in.Clients {
		g.named(fmt.Sprintf("%s.clients[%d]", field, n), ref.Namespace, ref.Name)
		if g.service == nil {
			continue
		}
		c, ok := w.clientByRef[ref.Namespace+"/"+ref.Name]
		if !ok || c.service != g.service {
			g.miss(kindClient, ref.Namespace+"/"+ref.Name)
			continue
		}
		g.spec.Clients = append(g.spec.Clients, c.spec.ID)
	}
	g.spec.Clients = sortedSet(g.spec.Clients)
	g.spec.Groups, g.spec.Subjects = w.people(g, field+".groups", in.Groups), w.people(g, field+".subjects", in.Subjects)
	if len(in.Groups)+len(in.Subjects) == 0 {
		g.invalid(field, "expected at least one entry in groups or subjects: an empty list is nobody")
	}
	g.spec.Expression = w.optional(g.object, field+".expression", in.Expression)
}

func (w *world) grantSubjects(g *impersonationGrant, in *v1alpha1.ImpersonatedSubjects) {
	const field = "spec.subjects"
	g.spec.SubjectGroups, g.spec.SubjectSubjects = w.people(g, field+".groups", in.Groups), w.people(g, field+".subjects", in.Subjects)
	g.spec.ExcludeGroups = w.people(g, field+".excludeGroups", in.ExcludeGroups)
	if len(in.Groups)+len(in.Subjects) == 0 {
		g.invalid(field, "expected at least one entry in groups or subjects: an empty list is nobody")
	}
	if slices.ContainsFunc(in.Groups, isSystem) {
		g.warn("%s.groups: a group that begins with system: makes nobody a subject; name each of them in subjects", field)
	}
	g.spec.SubjectExpression = w.optional(g.object, field+".expression", in.Expression)
}

// people reads subjects or groups, which are compared exactly. One that begins with
// no TrustedIssuer's prefix is nobody: said, and kept.
func (w *world) people(g *impersonationGrant, field string, list []string) []string {
	g.atMost(field, len(list), maxPeople)
	for n, name := range list {
		at := fmt.Sprintf("%s[%d]", field, n)
		switch {
		case !g.text(at, name, 1, maxNameBytes):
		case strings.ContainsFunc(name, unicode.IsControl):
			g.invalid(at, "expected no control characters")
		case !w.isSomebodys(g, name):
			g.warn("%s: %q begins with the identityPrefix of no TrustedIssuer, so that it is nobody", at, clip(name))
		}
	}
	return sortedSet(list)
}

// isSomebodys says whether an identity can be one that an issuer yields.
func (w *world) isSomebodys(g *impersonationGrant, name string) bool {
	if g.service == nil {
		return true
	}
	for _, i := range w.issuers {
		if !i.inForce() || i.service != g.service {
			continue
		}
		switch {
		case i.spec.Keys.Local:
			if isSystem(name) {
				return true
			}
		case strings.HasPrefix(name, i.spec.Prefix) && !isSystem(name):
			return true
		}
	}
	return false
}

func isSystem(name string) bool { return strings.HasPrefix(name, "system:") }

// grantKnown reads what the grant knows of subjects that have no token. One value of
// extra is a text, several are a list, as in tokens.
func (w *world) grantKnown(g *impersonationGrant, list []v1alpha1.RequestedSubject) {
	const field = "spec.requestedSubjects"
	g.atMost(field, len(list), maxRequested)
	if len(list) > 0 && !g.spec.FromRequest {
		g.invalid(field, "it belongs to subjectFrom: RequestedSubject")
	}
	seen := map[string]bool{}
	for n := range list {
		in, at := &list[n], fmt.Sprintf("%s[%d]", field, n)
		if seen[in.Subject] {
			g.invalid(at+".subject", "%q is there twice", clip(in.Subject))
		}
		seen[in.Subject] = true
		w.people(g, at+".subject", []string{in.Subject})
		g.text(at+".username", in.Username, 0, 256)
		known := policy.KnownSubject{Subject: in.Subject, Username: in.Username, Extra: g.extraOf(at+".extra", in.Extra)}
		if in.Groups == nil {
			g.warn("%s.groups: nobody impersonates a subject whose groups are not known; write [] for none", at)
		} else {
			known.Groups = w.people(g, at+".groups", in.Groups)
			if known.Groups == nil {
				known.Groups = []string{}
			}
		}
		g.spec.Known = append(g.spec.Known, known)
	}
	slices.SortFunc(g.spec.Known, func(a, b policy.KnownSubject) int { return compare(a.Subject, b.Subject) })
}

func (g *impersonationGrant) extraOf(field string, list []v1alpha1.ExtraValue) map[string]any {
	g.atMost(field, len(list), maxExtra)
	var out map[string]any
	for n, e := range list {
		at := fmt.Sprintf("%s[%d]", field, n)
		g.text(at+".key", e.Key, 1, 128)
		g.atMost(at+".values", len(e.Values), maxExtra)
		if _, twice := out[e.Key]; twice {
			g.invalid(at+".key", "%s is there twice", clip(e.Key))
		}
		if out == nil {
			out = map[string]any{}
		}
		if len(e.Values) == 1 {
			out[e.Key] = e.Values[0]
			continue
		}
		out[e.Key] = append([]string{}, e.Values...)
	}
	return out
}

// grantTargets resolves where tokens may go. Its lists are references: one that leads
// nowhere, and the object grants nothing.
func (w *world) grantTargets(g *impersonationGrant, in *v1alpha1.ImpersonationTargets) {
	const field = "spec.targets"
	if len(in.Clients) == 0 {
		g.invalid(field+".clients", "expected at least one target")
	}
	g.atMost(field+".clients", len(in.Clients), maxPeople)
	namespaces := map[string]bool{}
	for n, ref := range in.Clients {
		at := fmt.Sprintf("%s.clients[%d]", field, n)
		g.named(at, ref.Namespace, ref.Name)
		if g.service == nil {
			continue
		}
		c, ok := w.clientByRef[ref.Namespace+"/"+ref.Name]
		g.hangsOn(kindClient, ref.Namespace, ref.Name, c.objectOf())
		if !ok || c.service != g.service {
			g.unresolved(v1alpha1.ReasonRefNotFound, at, "ExchangeClient %s/%s is not there, or not in force", clip(ref.Namespace), clip(ref.Name))
			continue
		}
		namespaces[ref.Namespace] = true
		g.spec.Targets = append(g.spec.Targets, c.spec.ID)
	}
	g.spec.Targets = sortedSet(g.spec.Targets)
	g.atMost(field+".scopes", len(in.Scopes), maxPeople)
	for n, s := range in.Scopes {
		at, name := fmt.Sprintf("%s.scopes[%d]", field, n), string(s)
		if !isScope(name) {
			g.invalid(at, "expected a scope: at most 256 printable ASCII characters without spaces, quotes, backslashes or *")
			continue
		}
		if g.service != nil && len(g.spec.Targets) > 0 && !w.anyScope(g, namespaces, name) {
			g.unresolved(v1alpha1.ReasonRefNotFound, at, "there is no ClientScope for scope %q in a namespace of the targets that is in force", name)
		}
		g.spec.Scopes = append(g.spec.Scopes, name)
	}
	g.spec.Scopes = sortedSet(g.spec.Scopes)
}

func (w *world) anyScope(g *impersonationGrant, namespaces map[string]bool, name string) bool {
	found := false
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		s := w.scopeByName[scopeKey{g.service.name, namespace, name}]
		g.hangsOn(kindScope, namespace, name, s.objectOf())
		found = found || s != nil && s.inForce()
	}
	return found
}

// optional reads an expression that may be absent.
func (w *world) optional(o *object, field string, e v1alpha1.Expression) string {
	if e == "" {
		return ""
	}
	return w.expression(o, field, policy.EnvPolicy, policy.WantBool, e)
}

// grantSpecs are the grants in force.
func (w *world) grantSpecs() []policy.ImpersonationGrantSpec {
	var out []policy.ImpersonationGrantSpec
	for _, g := range w.grants {
		if g.inForce() {
			out = append(out, g.spec)
		}
	}
	return out
}
