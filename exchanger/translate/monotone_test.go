// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// The worlds below have objects whose references, selectors and lists meet by
// chance. No two of them claim one name, and no policy has examples: the release
// of a name and of an ambiguity are the exceptions that the package documents.

var (
	namespaces  = []string{"a", "b", "exchequer-system"}
	clientNames = []string{"x", "y", "z"}
	issuerNames = []string{"corp", "partner", "cluster"}
	scopeNames  = []string{"read", "write"}
)

func meta(namespace, name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Generation: 1, Labels: labels}
}

func anyNamespaces(t *rapid.T, label string) *v1alpha1.NamespaceSet {
	switch rapid.IntRange(0, 3).Draw(t, label) {
	case 0:
		return nil
	case 1:
		return &v1alpha1.NamespaceSet{All: true}
	case 2:
		return &v1alpha1.NamespaceSet{Selector: anySelector(t, label+" selector")}
	}
	return &v1alpha1.NamespaceSet{Names: rapid.SliceOfNDistinct(rapid.SampledFrom(namespaces), 1, 3, rapid.ID[string]).Draw(t, label+" names")}
}

func anySelector(t *rapid.T, label string) *v1alpha1.Selector {
	s := &v1alpha1.Selector{}
	switch rapid.IntRange(0, 3).Draw(t, label) {
	case 0:
		s.MatchLabels = map[string]v1alpha1.LabelValue{"tier": "web"}
	case 1:
		s.MatchExpressions = []v1alpha1.SelectorRequirement{{Key: "tier", Operator: v1alpha1.SelectorNotIn, Values: []v1alpha1.LabelValue{"web"}}}
	case 2:
		s.MatchExpressions = []v1alpha1.SelectorRequirement{{Key: "tier", Operator: v1alpha1.SelectorDoesNotExist}}
	}
	return s
}

func anyObjects(t *rapid.T) translate.Objects {
	o := translate.Objects{TokenServices: []v1alpha1.TokenService{{
		ObjectMeta: meta("", "default", nil),
		Spec: v1alpha1.TokenServiceSpec{
			Issuer: "https://sts.example.com", AllowedNamespaces: anyNamespaces(t, "allowed"),
			Names: []v1alpha1.NameDelegation{{Namespaces: v1alpha1.NamespaceSet{Names: []string{"a"}}, Scopes: []v1alpha1.NamePattern{"read"}}},
		},
	}}}
	for _, name := range issuerNames {
		if rapid.Bool().Draw(t, "issuer "+name) {
			o.TrustedIssuers = append(o.TrustedIssuers, anyIssuer(t, name))
		}
	}
	for _, ns := range namespaces {
		for _, name := range clientNames {
			if rapid.Bool().Draw(t, "client "+ns+name) {
				o.ExchangeClients = append(o.ExchangeClients, anyClient(t, ns, name))
			}
		}
		for _, name := range scopeNames {
			if rapid.Bool().Draw(t, "scope "+ns+name) {
				o.ClientScopes = append(o.ClientScopes, anyScope(t, ns, name))
			}
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "policies "+ns) {
			o.ExchangePolicies = append(o.ExchangePolicies, anyPolicy(t, ns, fmt.Sprintf("p%d", i)))
		}
	}
	return o
}

func anyIssuer(t *rapid.T, name string) v1alpha1.TrustedIssuer {
	i := v1alpha1.TrustedIssuer{ObjectMeta: meta("", name, nil)}
	i.Spec.AllowedNamespaces = anyNamespaces(t, "who may name "+name)
	i.Spec.Suspend = rapid.IntRange(0, 4).Draw(t, "suspend "+name) == 0
	i.Spec.Clients = []v1alpha1.IssuerClient{{ID: "app", Client: v1alpha1.NamespacedReference{Namespace: "a", Name: "x"}}}
	if name == "cluster" {
		i.Spec.Use = []v1alpha1.IssuerUse{v1alpha1.IssuerUseClient, v1alpha1.IssuerUseSubject}
		i.Spec.Kubernetes = &v1alpha1.KubernetesIssuer{Cluster: v1alpha1.KubernetesCluster{Remote: &v1alpha1.RemoteCluster{Issuer: v1alpha1.ClusterIssuer{URL: "https://cluster.example"}}}}
		return i
	}
	i.Spec.JWT = &v1alpha1.JWTIssuer{Issuer: v1alpha1.JWTIssuerEndpoint{URL: v1alpha1.URL("https://" + name + ".example"), Audiences: []string{"for-" + name}}}
	return i
}

func anyClient(t *rapid.T, ns, name string) v1alpha1.ExchangeClient {
	c := v1alpha1.ExchangeClient{ObjectMeta: meta(ns, name, nil)}
	if rapid.Bool().Draw(t, "web "+ns+name) {
		c.Labels = map[string]string{"tier": "web"}
	}
	c.Spec.Suspend = rapid.IntRange(0, 5).Draw(t, "suspend "+ns+name) == 0
	c.Spec.Audiences = []string{ns + "/" + name + "/api"}
	if rapid.IntRange(0, 3).Draw(t, "account "+ns+name) == 0 {
		c.Spec.Authentication = []v1alpha1.ClientAuthentication{{KubernetesServiceAccount: &v1alpha1.ServiceAccountAuthentication{Name: name, Issuer: "cluster"}}}
	}
	return c
}

func anyScope(t *rapid.T, ns, name string) v1alpha1.ClientScope {
	s := v1alpha1.ClientScope{ObjectMeta: meta(ns, name, nil)}
	for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(clientNames), 0, 2, rapid.ID[string]).Draw(t, "targets of "+ns+name) {
		s.Spec.Targets = append(s.Spec.Targets, v1alpha1.LocalReference{Name: n})
	}
	return s
}

func anyPolicy(t *rapid.T, ns, name string) v1alpha1.ExchangePolicy {
	p := v1alpha1.ExchangePolicy{ObjectMeta: meta(ns, name, nil)}
	for range rapid.IntRange(1, 3).Draw(t, "clients") {
		p.Spec.Clients = append(p.Spec.Clients, anyPolicyClient(t))
	}
	for range rapid.IntRange(1, 3).Draw(t, "issuers") {
		i := v1alpha1.PolicyIssuer{Name: rapid.SampledFrom(issuerNames).Draw(t, "issuer")}
		if rapid.Bool().Draw(t, "self") {
			i = v1alpha1.PolicyIssuer{Self: true, Origins: []string{i.Name}}
		}
		p.Spec.Subject.Issuers = append(p.Spec.Subject.Issuers, i)
	}
	p.Spec.Subject.Audience.Match = rapid.SampledFrom([]v1alpha1.AudienceMatch{"", "Issuer", "AnyOf"}).Draw(t, "match")
	if p.Spec.Subject.Audience.Match == v1alpha1.AudienceAnyOf {
		p.Spec.Subject.Audience.AnyOf = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"for-corp", "app", "a/x", "b/y/api"}), 1, 4, rapid.ID[string]).Draw(t, "anyOf")
	}
	for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(clientNames), 1, 2, rapid.ID[string]).Draw(t, "targets") {
		p.Spec.Target.Clients = append(p.Spec.Target.Clients, v1alpha1.TargetClient{Name: n})
	}
	for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(scopeNames), 0, 2, rapid.ID[string]).Draw(t, "scopes") {
		p.Spec.Target.Scopes = append(p.Spec.Target.Scopes, v1alpha1.ScopeName(n))
	}
	return p
}

func anyPolicyClient(t *rapid.T) v1alpha1.PolicyClient {
	switch rapid.IntRange(0, 4).Draw(t, "client") {
	case 0:
		return v1alpha1.PolicyClient{All: true}
	case 1:
		return v1alpha1.PolicyClient{Selector: anySelector(t, "selector"), NamespaceSelector: anySelector(t, "namespaces")}
	case 2:
		return v1alpha1.PolicyClient{Selector: anySelector(t, "selector")}
	}
	return v1alpha1.PolicyClient{Namespace: rapid.SampledFrom(namespaces).Draw(t, "namespace"), Name: rapid.SampledFrom(clientNames).Draw(t, "name")}
}

// without removes one object, whichever n counts to.
func without(o translate.Objects, n int) (translate.Objects, bool) {
	v := reflect.ValueOf(&o).Elem()
	for i := range v.NumField() {
		list := v.Field(i)
		if n >= list.Len() {
			n -= list.Len()
			continue
		}
		kept := reflect.MakeSlice(list.Type(), 0, list.Len())
		kept = reflect.AppendSlice(kept, list.Slice(0, n))
		list.Set(reflect.AppendSlice(kept, list.Slice(n+1, list.Len())))
		return o, true
	}
	return o, false
}

// widens says where the Spec after allows what the Spec before did not.
func widens(before, after *policy.Spec) string {
	for _, p := range after.Policies {
		i := slices.IndexFunc(before.Policies, func(o policy.Policy) bool { return o.Namespace == p.Namespace && o.Name == p.Name })
		if i < 0 {
			return "policy " + p.Namespace + "/" + p.Name + " came into force"
		}
		if why := policyWidens(before.Policies[i], p); why != "" {
			return why
		}
	}
	for _, s := range after.Services {
		if i := slices.IndexFunc(before.Services, func(o policy.Service) bool { return o.Name == s.Name }); i < 0 || !subset(s.ScopeOwners, before.Services[i].ScopeOwners) {
			return "service " + s.Name + " owns more scopes"
		}
	}
	for _, c := range after.Clients {
		same := func(o policy.Client) bool { return reflect.DeepEqual(o, c) }
		if !c.Suspended && !slices.ContainsFunc(before.Clients, same) {
			return "client " + c.ID + " is new or another"
		}
	}
	for _, i := range after.Issuers {
		n := slices.IndexFunc(before.Issuers, func(o policy.Issuer) bool { return o.Name == i.Name })
		if !i.Suspended && (n < 0 || before.Issuers[n].Suspended || !subset(i.ClientAliases, before.Issuers[n].ClientAliases)) {
			return "issuer " + i.Name + " is new or stands for more clients"
		}
	}
	for _, s := range after.Scopes {
		if !slices.ContainsFunc(before.Scopes, func(o policy.Scope) bool { return reflect.DeepEqual(o, s) }) {
			return "scope " + s.Scope + " is new or another"
		}
	}
	return ""
}

func policyWidens(before, after policy.Policy) string {
	name := after.Namespace + "/" + after.Name
	switch {
	case after.AllClients && !before.AllClients, !before.AllClients && !subset(after.Clients, before.Clients):
		return name + " admits more clients"
	case !subset(after.SubjectIssuers, before.SubjectIssuers), !subset(after.SelfOrigins, before.SelfOrigins):
		return name + " admits more issuers"
	case !subset(after.Targets, before.Targets):
		return name + " has more targets"
	case !subset(after.Scopes, before.Scopes), len(after.Scopes) == 0 && len(before.Scopes) > 0:
		return name + " has other scopes"
	case after.SubjectAudience.Match != before.SubjectAudience.Match, !subset(after.SubjectAudience.AnyOf, before.SubjectAudience.AnyOf):
		return name + " has a wider audience rule"
	}
	return ""
}

func subset[T comparable](a, b []T) bool {
	return !slices.ContainsFunc(a, func(v T) bool { return !slices.Contains(b, v) })
}

func world(o translate.Objects) translate.Input {
	in := newInput()
	in.Objects = o
	in.Namespaces["a"] = map[string]string{"tier": "web"}
	return in
}

func TestRemovingAnyObjectNeverWidens(t *testing.T) {
	t.Parallel()
	t.Run("F192: the Spec without one object allows no more than with it", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			objects := anyObjects(t)
			before := translate.Translate(world(objects)).Spec
			if _, err := policy.Compile(before, 1, newInput().Compiler); err != nil {
				t.Fatalf("the Spec does not compile: %v", err)
			}
			for n := 0; ; n++ {
				fewer, ok := without(objects, n)
				if !ok {
					return
				}
				after := translate.Translate(world(fewer)).Spec
				if why := widens(before, after); why != "" {
					t.Fatalf("without object %d: %s", n, why)
				}
			}
		})
	})
}

func TestSuspendingIsLikeRemoving(t *testing.T) {
	t.Parallel()
	t.Run("F226: a suspended object leaves what its absence leaves", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			objects := anyObjects(t)
			if len(objects.ExchangeClients) == 0 {
				return
			}
			n := rapid.IntRange(0, len(objects.ExchangeClients)-1).Draw(t, "which")
			suspended, removed := objects, objects
			suspended.ExchangeClients = slices.Clone(objects.ExchangeClients)
			suspended.ExchangeClients[n].Spec.Suspend = true
			removed.ExchangeClients = slices.Delete(slices.Clone(objects.ExchangeClients), n, n+1)
			a, b := translate.Translate(world(suspended)).Spec, translate.Translate(world(removed)).Spec
			a.Clients = slices.DeleteFunc(a.Clients, func(c policy.Client) bool { return c.Suspended })
			b.Clients = slices.DeleteFunc(b.Clients, func(c policy.Client) bool { return c.Suspended })
			if len(a.Clients)+len(b.Clients) == 0 {
				a.Clients, b.Clients = nil, nil
			}
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("suspended:\n%+v\nremoved:\n%+v", a, b)
			}
		})
	})
}

func TestNamespacesDoNotInterfere(t *testing.T) {
	t.Parallel()
	t.Run("F194: whatever stands in another namespace, these policies mean the same", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			objects := anyObjects(t)
			// Policies of a look at nothing outside of a.
			for i := range objects.ExchangePolicies {
				p := &objects.ExchangePolicies[i]
				if p.Namespace == "a" {
					p.Spec.Clients = []v1alpha1.PolicyClient{{Name: "x"}, {Name: "y"}}
				}
			}
			alone := objects
			inA := func(ns string) bool { return ns == "a" }
			alone.ExchangeClients = slices.DeleteFunc(slices.Clone(objects.ExchangeClients), func(c v1alpha1.ExchangeClient) bool { return !inA(c.Namespace) })
			alone.ClientScopes = slices.DeleteFunc(slices.Clone(objects.ClientScopes), func(s v1alpha1.ClientScope) bool { return !inA(s.Namespace) })
			alone.ExchangePolicies = slices.DeleteFunc(slices.Clone(objects.ExchangePolicies), func(p v1alpha1.ExchangePolicy) bool { return !inA(p.Namespace) })
			with, without := ofNamespace(translate.Translate(world(objects)), "a"), ofNamespace(translate.Translate(world(alone)), "a")
			if !reflect.DeepEqual(with, without) {
				t.Fatalf("with the others:\n%+v\nalone:\n%+v", with, without)
			}
		})
	})
}

// ofNamespace keeps what a result says of one namespace.
func ofNamespace(r translate.Result, namespace string) []any {
	var out []any
	for _, p := range r.Spec.Policies {
		if p.Namespace == namespace {
			out = append(out, p)
		}
	}
	for _, c := range r.Spec.Clients {
		if c.Namespace == namespace {
			out = append(out, c)
		}
	}
	for _, s := range r.Spec.Scopes {
		if s.Namespace == namespace {
			out = append(out, s)
		}
	}
	for _, s := range r.Statuses {
		if s.Namespace == namespace {
			out = append(out, s)
		}
	}
	return out
}
