// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// verdict reads "Kind namespace/name" of a golden input's result: its Accepted or
// ResolvedRefs condition, whichever is false first, else "ok".
func verdict(r translate.Result, object string) string {
	kind, ref, _ := strings.Cut(object, " ")
	for i := range r.Statuses {
		s := &r.Statuses[i]
		if s.Kind != kind || strings.TrimPrefix(s.Namespace+"/"+s.Name, "/") != ref {
			continue
		}
		for _, c := range s.Conditions {
			if c.Status == "False" {
				return c.Reason
			}
		}
		if a := s.Condition(v1alpha1.ConditionAccepted); a.Reason != v1alpha1.ReasonAccepted {
			return a.Reason
		}
		return "ok"
	}
	return "no such object"
}

func TestObjectsAreJudgedAsTheFaultsDemand(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file string
		want map[string]string
	}{
		"F75: a client whose secret is missing, empty, under another key or too short is not ready": {"client-secrets", map[string]string{
			"ExchangeClient shop/missing": "SecretNotFound", "ExchangeClient shop/empty": "SecretNotFound",
			"ExchangeClient shop/wrong-key": "SecretNotFound", "ExchangeClient shop/short": "SecretNotFound", "ExchangeClient shop/frontend": "ok",
		}},
		"F120: an empty list of algorithms is refused, and never all of them": {"trustedissuer-invalid", map[string]string{
			"TrustedIssuer no-algorithms": "Invalid", "TrustedIssuer symmetric-algorithm": "Invalid",
		}},
		"F146: claims that the protocol owns cannot be set, in any letter case": {"clientscopes-invalid", map[string]string{
			"ClientScope media/reserved": "Invalid",
		}},
		"F154: an issuer's URL with http, a user, a fragment, a query or a reserved address is refused": {"trustedissuer-invalid", map[string]string{
			"TrustedIssuer http": "Invalid", "TrustedIssuer with-userinfo": "Invalid", "TrustedIssuer fragment": "Invalid", "TrustedIssuer query": "Invalid",
			"TrustedIssuer private-address": "Invalid", "TrustedIssuer metadata-address": "Invalid", "TrustedIssuer http-loopback-not-allowed": "Invalid",
		}},
		"F183: of two issuers with one URL both are refused": {"trustedissuers-with-the-same-url", map[string]string{
			"TrustedIssuer a": "Conflicted", "TrustedIssuer b": "Conflicted", "TrustedIssuer cluster1": "ok", "TrustedIssuer cluster2": "ok", "TrustedIssuer alone": "ok",
		}},
		"F184: inline keys and remote keys together are refused": {"trustedissuer-keys-from-everywhere", map[string]string{
			"TrustedIssuer two": "Invalid", "TrustedIssuer inline": "ok", "TrustedIssuer jwks": "ok",
		}},
		"F197: an omitted list of clients, issuers or targets is refused": {"policy-clients", map[string]string{
			"ExchangePolicy media/none": "Invalid", "ExchangePolicy media/nothing": "Invalid",
		}},
		"F198: a * in a list is refused, and never matches": {"policy-audience-rules", map[string]string{
			"ExchangePolicy media/wildcard": "Invalid",
		}},
		"F199: a prefix ends where a name ends, and covers no more than names below it": {"names-have-one-owner", map[string]string{
			"ExchangeClient shop/prefix-alone": "NameNotDelegated", "ExchangeClient shop/no-prefix-match": "NameNotDelegated", "ExchangeClient shop/delegated": "ok",
		}},
		"F209: our own issuer and endpoints are nobody's audience": {"names-have-one-owner", map[string]string{
			"ExchangeClient shop/our-issuer": "NameNotDelegated", "ExchangeClient shop/our-endpoint": "NameNotDelegated", "ExchangeClient exchequer-system/operator-three": "NameNotDelegated",
		}},
		"F211: an expression that does not compile takes its own policy out and no other": {"policy-expressions", map[string]string{
			"ExchangePolicy media/rule": "InvalidExpression", "ExchangePolicy media/subject-rule": "InvalidExpression",
			"ExchangePolicy media/claim": "InvalidExpression", "ExchangePolicy media/type-mismatch": "InvalidExpression", "ExchangePolicy media/fine": "ok",
		}},
		"F213: an expression whose cost has no bound is refused before it runs": {"policy-expressions", map[string]string{
			"ExchangePolicy media/cost": "InvalidExpression", "ExchangePolicy media/fine": "ok",
		}},
		"F220: lifetimes of nothing, a second or ten years are refused": {"policy-invalid", map[string]string{
			"ExchangePolicy media/lifetime-0": "Invalid", "ExchangePolicy media/lifetime-1s": "Invalid",
			"ExchangePolicy media/lifetime-10-years": "Invalid", "ExchangePolicy media/lifetime-negative": "Invalid",
		}},
		"F226: what is suspended or being deleted counts as absent at once": {"suspended-counts-as-absent", map[string]string{
			"TrustedIssuer corp": "Suspended", "ExchangeClient media/api": "Suspended", "ExchangePolicy media/p": "RefNotFound",
			"ExchangePolicy media/suspended": "Suspended", "ExchangePolicy media/write": "RefNotFound", "ExchangePolicy media/still-there": "ok",
		}},
		"F244: a target in another namespace is refused in the same words, whether it exists or not": {"policy-targets", map[string]string{
			"ExchangePolicy media/foreign": "RefNotPermitted", "ExchangePolicy media/foreign-missing": "RefNotPermitted", "ExchangePolicy media/own-namespace-named": "ok",
		}},
		"F249: a namespace's own labels do not lend it another's name": {"namespaces-by-name-selector-and-all", map[string]string{
			"ExchangeClient thief/api": "NamespaceNotAllowed", "ExchangeClient media/api": "ok",
		}},
		"F256: an invalid object that went around admission is not accepted": {"tokenservice-invalid", map[string]string{
			"TokenService http": "Invalid", "TokenService limits": "Invalid", "TokenService times": "Invalid", "TokenService patterns": "Invalid",
		}},
		"F261: an object with a field that is not known is out, rather than read without it": {"undecodable", map[string]string{
			"ExchangePolicy media/typo": "Invalid", "TrustedIssuer newer": "NotSupported",
		}},
		"F267: without its issuer a policy stays, and permits nobody": {"suspended-counts-as-absent", map[string]string{
			"ExchangePolicy media/still-there": "ok",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := translate.Translate(readInput(t, "testdata/"+tc.file+".in.yaml"))
			for object, want := range tc.want {
				if got := verdict(r, object); got != want {
					t.Errorf("%s: got %s, want %s", object, got, want)
				}
			}
		})
	}
}

// policyNamed finds a policy of the Spec.
func policyNamed(t *testing.T, r translate.Result, namespace, name string) policy.Policy {
	t.Helper()
	for _, p := range r.Spec.Policies {
		if p.Namespace == namespace && p.Name == name {
			return p
		}
	}
	t.Fatalf("policy %s/%s is not in the Spec", namespace, name)
	return policy.Policy{}
}

func TestListsThatNonMatchesEmptiedPermitNobody(t *testing.T) {
	t.Parallel()
	t.Run("F197: clients", func(t *testing.T) {
		t.Parallel()
		r := translate.Translate(readInput(t, "testdata/policy-clients.in.yaml"))
		for _, name := range []string{"emptied", "empty-selector", "empty-namespace-selector"} {
			if p := policyNamed(t, r, "media", name); p.AllClients || len(p.Clients) > 0 {
				t.Errorf("%s admits %v, all: %v", name, p.Clients, p.AllClients)
			}
		}
	})
	t.Run("F197: issuers", func(t *testing.T) {
		t.Parallel()
		r := translate.Translate(readInput(t, "testdata/policy-subject-issuers.in.yaml"))
		if p := policyNamed(t, r, "media", "unmatched"); len(p.SubjectIssuers)+len(p.SelfOrigins) > 0 {
			t.Errorf("it admits %v, %v", p.SubjectIssuers, p.SelfOrigins)
		}
	})
	t.Run("F197: audiences", func(t *testing.T) {
		t.Parallel()
		r := translate.Translate(readInput(t, "testdata/policy-audience-rules.in.yaml"))
		p := policyNamed(t, r, "media", "any-of-emptied")
		if p.SubjectAudience.Match != policy.AudienceAnyOf || len(p.SubjectAudience.AnyOf) > 0 {
			t.Errorf("its audience rule is %+v", p.SubjectAudience)
		}
	})
}

func TestMatchesIsWarnedOf(t *testing.T) {
	t.Parallel()
	t.Run("F215: an unanchored pattern is accepted, and its status says what it does", func(t *testing.T) {
		t.Parallel()
		for _, s := range translate.Translate(readInput(t, "testdata/policy-expressions.in.yaml")).Statuses {
			if s.Name == "matches" && (len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "fullMatch")) {
				t.Errorf("warnings: %q", s.Warnings)
			}
		}
	})
}

func TestMissingAndForbiddenIssuersAreToldInTheSameWords(t *testing.T) {
	t.Parallel()
	t.Run("F244: nobody learns what he may not name", func(t *testing.T) {
		t.Parallel()
		r := translate.Translate(readInput(t, "testdata/policy-subject-issuers.in.yaml"))
		for _, s := range r.Statuses {
			if s.Name != "unmatched" {
				continue
			}
			want := []string{"TrustedIssuer actors", "TrustedIssuer missing", "TrustedIssuer shops"}
			if !slices.Equal(s.Unmatched, want) {
				t.Errorf("unmatched is %q, want %q", s.Unmatched, want)
			}
		}
	})
}

func TestAPanicIsItsObjectsOwn(t *testing.T) {
	t.Parallel()
	t.Run("F272: a poisonous object is Invalid, and the others are in force", func(t *testing.T) {
		t.Parallel()
		in := readInput(t, "testdata/the-main-job.in.yaml")
		healthy := translate.Translate(in)
		check := in.Check
		in.Check = func(env policy.Environment, want policy.ResultType, e string) ([]string, error) {
			if e == "poison" {
				panic("a stranger's value")
			}
			return check(env, want, e)
		}
		poisonous := in.Objects.ExchangePolicies[0].DeepCopy()
		poisonous.Name = "poison"
		poisonous.Spec.Rules = []v1alpha1.Rule{{Expression: "poison"}}
		in.Objects.ExchangePolicies = append(in.Objects.ExchangePolicies, *poisonous)
		badScope := in.Objects.ClientScopes[0].DeepCopy()
		badScope.Name, badScope.Spec.Scope = "poison", "poison"
		badScope.Spec.Rules = []v1alpha1.Rule{{Expression: "poison"}}
		in.Objects.ClientScopes = append(in.Objects.ClientScopes, *badScope)
		r := translate.Translate(in)
		for _, object := range []string{"ExchangePolicy media/poison", "ClientScope media/poison"} {
			if got := verdict(r, object); got != v1alpha1.ReasonInvalid {
				t.Errorf("%s: got %s", object, got)
			}
		}
		if len(r.Spec.Policies) != len(healthy.Spec.Policies) || len(r.Spec.Scopes) != len(healthy.Spec.Scopes) {
			t.Error("the poisonous objects changed what the others give")
		}
		if strings.Contains(string(goldenOf(r)), "stranger") {
			t.Error("the panic's value stands in a status")
		}
	})
}
