// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

const policyTest = `
apiVersion: exchequer.dev/v1alpha1
kind: PolicyTest
manifests: [.]
examples:
- name: allowed by audience
  given: {client: shop/frontend, issuer: corp, audience: [media/images-resource], scope: images, claims: {sub: alice, email_verified: true, groups: [staff], tenant: acme, scope: images contacts}}
  expect: {allowed: true, scope: images, audience: [media/images-resource]}
- name: allowed by the scope alone
  given: {client: shop/frontend, issuer: corp, scope: images, claims: {sub: alice, email_verified: true, groups: [staff], tenant: acme, scope: images contacts}}
  expect: {allowed: true, audience: [media/images-resource]}
- name: nothing asked for is the asking client itself
  given: {client: shop/frontend, issuer: corp, claims: {sub: alice, email_verified: true, groups: [staff]}}
  expect: {allowed: false, reason: TargetNotGranted}
- name: the issuer's own rule
  given: {client: shop/frontend, issuer: corp, audience: [media/images-resource], claims: {sub: alice, email_verified: "true", groups: [staff]}}
  expect: {allowed: false, reason: IssuerRule}
- name: the issuer's rule for users
  given: {client: shop/frontend, issuer: corp, audience: [media/images-resource], claims: {sub: alice, email_verified: true, groups: [contractors]}}
  expect: {allowed: false, reason: UserRule}
- name: a wider scope
  given: {client: shop/frontend, issuer: corp, audience: [media/images-resource], scope: contacts, claims: {sub: alice, email_verified: true, groups: [staff], tenant: acme, scope: images contacts}}
  expect: {allowed: false, reason: ScopeNotGranted}
- name: a token of somebody else
  given: {client: shop/frontend, issuer: corp, audience: [media/images-resource], claims: {sub: alice, aud: shop/other, email_verified: true, groups: [staff], tenant: acme, scope: images}}
  expect: {allowed: false, reason: SubjectAudience}
- name: what it is not
  given: {client: shop/frontend, issuer: corp, audience: [media/images-resource], claims: {sub: alice, email_verified: true, groups: [staff], tenant: acme, scope: images}}
  expect: {allowed: false}
- name: unknown client
  given: {client: shop/gone, issuer: corp}
  expect: {allowed: false}
- name: an unknown client that is expected
  given: {client: shop/gone, issuer: corp}
  expect: {allowed: false, reason: ClientUnknown}
- name: an unknown issuer that is expected
  given: {client: shop/frontend, issuer: gone}
  expect: {allowed: false, reason: IssuerUnknown}
- name: an actor
  given: {client: shop/frontend, issuer: corp, audience: [media/images-resource], scope: images, actor: {issuer: corp, claims: {sub: bob, email_verified: true, groups: [staff]}}, claims: {sub: alice, email_verified: true, groups: [staff], tenant: acme, scope: images}}
  expect: {allowed: false, reason: ActorForbidden}
- name: the only origin that policies admit
  given: {client: shop/frontend, issuer: self, audience: [media/images-resource], claims: {sub: "corp:alice", client_id: shop/frontend, email_verified: true, groups: ["corp:staff"], extra: {tenant: acme}, scope: images}}
  expect: {allowed: true}
- name: nobody may be impersonated
  given: {client: shop/frontend, issuer: corp, audience: [media/images-resource], scope: images, requestedSubject: bob, claims: {sub: alice, email_verified: true, groups: [staff], tenant: acme, scope: images}}
  expect: {allowed: false, reason: ImpersonationForbidden}
- name: nobody else hands over
  given: {client: shop/frontend, issuer: corp, tokenType: Handover}
  expect: {allowed: false}
`

func TestExamplesStandAlone(t *testing.T) {
	t.Parallel()
	r := translate.Translate(readInput(t, "testdata/the-main-job.in.yaml"))
	snapshot, err := policy.Compile(r.Spec, 1, expr.New())
	if err != nil {
		t.Fatal(err)
	}
	var file v1alpha1.PolicyTest
	if err := yaml.UnmarshalStrict([]byte(policyTest), &file); err != nil {
		t.Fatal(err)
	}
	want := map[string]translate.ExampleVerdict{
		"what it is not": translate.ExampleFailed, "unknown client": translate.ExampleUnknown,
	}
	for _, service := range []string{"", "default"} {
		for _, got := range translate.RunExamples(snapshot, service, file.Examples) {
			expected := want[got.Name]
			if expected == "" {
				expected = translate.ExamplePassed
			}
			if got.Verdict != expected {
				t.Errorf("%s: %s, want %s: %s", got.Name, got.Verdict, expected, got.Message)
			}
			if expected == translate.ExamplePassed && strings.HasPrefix(got.Name, "allowed") {
				if _, ok := got.Decision.Grant(); !ok || len(got.Decision.Trace) == 0 {
					t.Errorf("%s: no grant, or no trace", got.Name)
				}
			}
		}
	}
	if got := translate.RunExamples(snapshot, "nope", file.Examples[:1]); got[0].Verdict != translate.ExampleUnknown {
		t.Errorf("without its TokenService an example is %s", got[0].Verdict)
	}
}

func TestGatedPoliciesAreNotInTheSpecAndAllOthersAre(t *testing.T) {
	t.Parallel()
	r := translate.Translate(readInput(t, "testdata/examples-gate-their-policy.in.yaml"))
	published := map[string]bool{}
	for _, p := range r.Spec.Policies {
		published[p.Name] = true
	}
	for _, s := range r.Statuses {
		c := s.Condition(v1alpha1.ConditionExamplesPassed)
		if c == nil {
			continue
		}
		if passed := c.Status != "False"; published[s.Name] != passed {
			t.Errorf("%s: examples passed %s, in the Spec: %v", s.Name, c.Status, published[s.Name])
		}
		if len(s.Examples) != 1 {
			t.Errorf("%s: %d results", s.Name, len(s.Examples))
		}
	}
}

func TestExamplesOfAPolicyTellNothingOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	t.Run("F274: no status quotes another namespace's policies, rules or names", func(t *testing.T) {
		t.Parallel()
		in := readInput(t, "testdata/examples-see-their-own-namespace.in.yaml")
		for _, s := range translate.Translate(in).Statuses {
			if s.Namespace != "media" {
				continue
			}
			for _, c := range s.Conditions {
				for _, word := range []string{"till", "sell", "cash", "shop/"} {
					if strings.Contains(c.Message, word) {
						t.Errorf("%s says %q", s.Name, c.Message)
					}
				}
			}
		}
	})
	t.Run("F274: what exists elsewhere and what exists nowhere are told in the same words", func(t *testing.T) {
		t.Parallel()
		in := readInput(t, "testdata/examples-see-their-own-namespace.in.yaml")
		messages := map[string]bool{}
		for _, audience := range []string{"shop/till", "shop/cash", "shop/nobody", "nobody"} {
			p := in.Objects.ExchangePolicies[1].DeepCopy()
			p.Name, p.Spec.Examples[0].Given.Audience, p.Spec.Examples[0].Expect = "probe", []string{audience}, v1alpha1.ExampleResult{Allowed: true}
			one := in
			one.Objects.ExchangePolicies = []v1alpha1.ExchangePolicy{in.Objects.ExchangePolicies[0], *p}
			for _, s := range translate.Translate(one).Statuses {
				if s.Name == "probe" {
					messages[s.Condition(v1alpha1.ConditionExamplesPassed).Message] = true
				}
			}
		}
		if len(messages) != 1 {
			t.Errorf("an example tells them apart: %v", messages)
		}
	})
}
