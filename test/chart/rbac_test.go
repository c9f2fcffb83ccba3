// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

// roles are the rules of every Role and ClusterRole.
func roles(t testing.TB, objects []object) map[string][]rbacv1.PolicyRule {
	t.Helper()
	out := map[string][]rbacv1.PolicyRule{}
	for _, o := range objects {
		switch o.GetKind() {
		case "Role":
			out["Role/"+o.GetName()] = as[rbacv1.Role](t, o).Rules
		case "ClusterRole":
			out["ClusterRole/"+o.GetName()] = as[rbacv1.ClusterRole](t, o).Rules
		}
	}
	if len(out) == 0 {
		t.Fatal("the chart renders no roles")
	}
	return out
}

func TestF254RenderedRightsAreThoseOfTheGolden(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	for _, o := range only(render(t, profile("everything-on")...), "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") {
		fmt.Fprintf(&out, "---\n%s", o.text)
	}
	golden(t, filepath.Join("testdata", "golden", "rights.yaml"), []byte(out.String()))
}

func TestF254NoRoleMayWhatWouldGiveItEverything(t *testing.T) {
	t.Parallel()
	for _, name := range profiles() {
		for role, rules := range roles(t, render(t, profile(name)...)) {
			for _, rule := range rules {
				for _, all := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs, rule.NonResourceURLs} {
					if slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, "*") }) {
						t.Errorf("%s of profile %s has a wildcard: %v", role, name, rule)
					}
				}
				for _, verb := range []string{"escalate", "bind", "impersonate"} {
					if slices.Contains(rule.Verbs, verb) {
						t.Errorf("%s of profile %s may %s", role, name, verb)
					}
				}
				if slices.ContainsFunc(rule.APIGroups, func(g string) bool {
					return strings.HasPrefix(g, "rbac.") || strings.HasPrefix(g, "admissionregistration.")
				}) {
					t.Errorf("%s of profile %s may touch what guards it: %v", role, name, rule)
				}
				if slices.ContainsFunc(rule.Resources, func(r string) bool {
					return slices.Contains([]string{"pods/exec", "pods/attach", "pods/portforward", "nodes/proxy", "serviceaccounts/token", "pods/ephemeralcontainers"}, r)
				}) {
					t.Errorf("%s of profile %s may become another: %v", role, name, rule)
				}
			}
		}
	}
}

func TestF254NobodyReadsSecretsOfTheWholeCluster(t *testing.T) {
	t.Parallel()
	objects := render(t, profile("everything-on")...)
	secrets := map[string]bool{}
	for role, rules := range roles(t, objects) {
		for _, rule := range rules {
			if slices.Contains(rule.Resources, "secrets") {
				secrets[role] = true
			}
		}
	}
	for _, o := range only(objects, "ClusterRoleBinding") {
		if b := as[rbacv1.ClusterRoleBinding](t, o); secrets[b.RoleRef.Kind+"/"+b.RoleRef.Name] {
			t.Errorf("%s gives Secrets of every namespace", o)
		}
	}
	for role := range secrets {
		if role != "ClusterRole/exchequer-secret-reader" && !strings.HasPrefix(role, "Role/") {
			t.Errorf("%s names Secrets; a binding would give those of every namespace", role)
		}
	}
	lent := []string{}
	for _, o := range only(objects, "RoleBinding") {
		b := as[rbacv1.RoleBinding](t, o)
		if b.RoleRef.Name == "exchequer-secret-reader" {
			lent = append(lent, b.Namespace)
			if len(b.Subjects) != 1 || b.Subjects[0].Name != "exchequer-controller" || b.Subjects[0].Namespace != namespace {
				t.Errorf("%s lends Secrets to %v", o, b.Subjects)
			}
		}
	}
	if slices.Sort(lent); !slices.Equal(lent, []string{"media", "shop"}) {
		t.Errorf("Secrets are lent by %v, and values name shop and media", lent)
	}
}

func TestTheExchangersRoleIsTheFixedNamesAndNothingElse(t *testing.T) {
	t.Parallel()
	objects := render(t)
	slots := make([]string, 0, 128)
	for _, side := range "ab" {
		for i := range 64 {
			slots = append(slots, fmt.Sprintf("exchequer-snapshot-%c-%02d", side, i))
		}
	}
	want := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"exchequer-snapshot", "exchequer-keys", "exchequer-credentials"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: slots, Verbs: []string{"get"}},
		{APIGroups: []string{"exchequer.dev"}, Resources: []string{"exchangerreplicas"}, Verbs: []string{"create", "get", "update"}},
	}
	if got := roles(t, objects)["Role/exchequer-exchanger"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the exchanger's Role is\n%v\nexpected\n%v", got, want)
	}
	for name, tc := range map[string]struct {
		args  []string
		bound []string
	}{
		"by default":                  {nil, []string{"RoleBinding/Role/exchequer-exchanger"}},
		"with TokenReview":            {[]string{"--set", "rbac.tokenReview=true"}, []string{"ClusterRoleBinding/ClusterRole/exchequer-token-reviewer", "RoleBinding/Role/exchequer-exchanger"}},
		"with Secrets lent elsewhere": {[]string{"--set", "rbac.secretReader.namespaces={shop}"}, []string{"RoleBinding/Role/exchequer-exchanger"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := boundTo(t, render(t, tc.args...), "exchequer-exchanger"); !slices.Equal(got, tc.bound) {
				t.Errorf("the exchanger is bound to %v, expected %v", got, tc.bound)
			}
		})
	}
}

// boundTo lists the roles of a service account, with the kind of binding.
func boundTo(t testing.TB, objects []object, account string) []string {
	t.Helper()
	var out []string
	for _, o := range only(objects, "RoleBinding", "ClusterRoleBinding") {
		b := as[rbacv1.RoleBinding](t, o) // the two have the same shape
		if slices.ContainsFunc(b.Subjects, func(s rbacv1.Subject) bool { return s.Kind == "ServiceAccount" && s.Name == account }) {
			out = append(out, b.Kind+"/"+b.RoleRef.Kind+"/"+b.RoleRef.Name)
		}
	}
	slices.Sort(out)
	return out
}

func TestTheControllerNeverWritesASpec(t *testing.T) {
	t.Parallel()
	for _, rule := range roles(t, render(t))["ClusterRole/exchequer-controller"] {
		writes := slices.ContainsFunc(rule.Verbs, func(v string) bool { return !slices.Contains([]string{"get", "list", "watch"}, v) })
		if writes && slices.ContainsFunc(rule.Resources, func(r string) bool { return !strings.HasSuffix(r, "/status") && r != "events" }) {
			t.Errorf("the controller may write %v: %v", rule.Resources, rule.Verbs)
		}
	}
}

// The personas' pieces, as the cluster would put them together.
func aggregated(t testing.TB, objects []object, label string) []rbacv1.PolicyRule {
	t.Helper()
	var out []rbacv1.PolicyRule
	for _, o := range only(objects, "ClusterRole") {
		if o.GetLabels()[label] == "true" {
			out = append(out, as[rbacv1.ClusterRole](t, o).Rules...)
		}
	}
	return out
}

func TestF253EditAndAdminNeverGetTheClusterKinds(t *testing.T) {
	t.Parallel()
	const own = "rbac.exchequer.dev/aggregate-to-"
	const builtin = "rbac.authorization.k8s.io/aggregate-to-"
	cluster := []string{"tokenservices", "trustedissuers", "impersonationgrants", "externaltargets", "tokenrevocations"}
	for name, tc := range map[string]struct {
		profile, label string
		write, read    bool // of the namespaced kinds
		platform       string
	}{
		"edit, by default":           {"default", builtin + "edit", false, false, ""},
		"admin, by default":          {"default", builtin + "admin", false, false, ""},
		"view, by default":           {"default", builtin + "view", false, false, ""},
		"edit, when asked for":       {"everything-on", builtin + "edit", true, true, ""},
		"admin, when asked for":      {"everything-on", builtin + "admin", false, false, ""},
		"view, when asked for":       {"everything-on", builtin + "view", false, true, ""},
		"the policy editor":          {"everything-on", own + "policy-editor", true, true, ""},
		"the viewer":                 {"everything-on", own + "viewer", false, true, ""},
		"the auditor":                {"everything-on", own + "auditor", false, true, "read"},
		"the platform administrator": {"everything-on", own + "platform-admin", true, true, "write"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := aggregated(t, render(t, profile(tc.profile)...), tc.label)
			may := func(verb, resource string) bool {
				return slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
					return slices.Contains(r.Verbs, verb) && slices.Contains(r.Resources, resource)
				})
			}
			for _, kind := range []string{"exchangeclients", "clientscopes", "exchangepolicies"} {
				if may("create", kind) != tc.write || may("list", kind) != tc.read {
					t.Errorf("%s: may create %v, list %v; expected %v and %v", kind, may("create", kind), may("list", kind), tc.write, tc.read)
				}
			}
			for _, kind := range cluster {
				for _, verb := range []string{"create", "update", "patch", "delete", "deletecollection"} {
					if may(verb, kind) != (tc.platform == "write") {
						t.Errorf("%s %s: %v", verb, kind, may(verb, kind))
					}
				}
				if may("get", kind) != (tc.platform != "") {
					t.Errorf("get %s: %v", kind, may("get", kind))
				}
			}
			if may("get", "secrets") || may("update", "exchangerreplicas") || may("create", "exchangerreplicas") {
				t.Errorf("may read Secrets or speak for a replica: %v", rules)
			}
			for _, r := range rules {
				if slices.ContainsFunc(r.Resources, func(s string) bool { return strings.HasSuffix(s, "/status") }) {
					t.Errorf("may write status: %v", r)
				}
			}
		})
	}
}
