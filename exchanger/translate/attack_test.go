// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

const attacked = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec:
  issuer: https://sts.example.com
  allowedNamespaces: {names: [shop, media]}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  allowedNamespaces: {all: true}
  jwt: {issuer: {url: "https://login.corp.example", audiences: [corp]}}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: legacy}
spec:
  identityPrefix: ""
  allowedNamespaces: {all: true}
  jwt: {issuer: {url: "https://legacy.corp.example", audiences: [legacy]}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: api}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: shop, name: dear}
spec:
  clients: [{name: api}]
  subject:
    issuers: [{name: corp}]
    rules: [{expression: "lists.range(9000).all(x, [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20].all(y, y < x + 100))"}]
  target: {clients: [{name: api}], scopes: []}
  examples:
  - {name: first, given: {client: shop/api, issuer: corp, claims: {sub: alice}}, expect: {allowed: false}}
`

func TestF213ExamplesOfOneNamespaceCostNoMoreThanItsBudget(t *testing.T) {
	t.Parallel()
	in := parseInput(t, []byte(attacked))
	p := in.Objects.ExchangePolicies[0]
	in.Objects.ExchangePolicies = nil
	for i := range 300 {
		more := p
		more.Name = fmt.Sprintf("dear-%03d", i)
		in.Objects.ExchangePolicies = append(in.Objects.ExchangePolicies, more)
	}
	in.Budget.Effort = 10_000_000
	start := time.Now()
	got := translate.Translate(in)
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("translation took %s", took)
	}
	passed, notRun := 0, 0
	for i := range got.Statuses {
		s := &got.Statuses[i]
		c := s.Condition(v1alpha1.ConditionExamplesPassed)
		switch {
		case c == nil:
		case c.Status == "True":
			passed++
		case strings.Contains(c.Message, "was not run"):
			notRun++
		default:
			t.Errorf("%s: %s", s.Name, c.Message)
		}
	}
	if passed == 0 || passed > 10 || passed+notRun != 300 {
		t.Errorf("%d passed, %d were not run", passed, notRun)
	}
	if len(got.Spec.Policies) != passed {
		t.Errorf("%d policies in force: one whose examples were not run must not be", len(got.Spec.Policies))
	}
}

func TestAKeySetCountsInTheBudgetAsOftenAsClientsReferToIt(t *testing.T) {
	t.Parallel()
	in := parseInput(t, []byte(attacked))
	const one = `{"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	in.ConfigMaps[types.NamespacedName{Namespace: "shop", Name: "keys"}] = map[string]string{"jwks": one + strings.Repeat(" ", 200<<10)}
	checks := 0
	check := in.CheckKeySet
	in.CheckKeySet = func(b []byte) error { checks++; return check(b) }
	for i := range 100 {
		c := in.Objects.ExchangeClients[0]
		c.Name = fmt.Sprintf("client-%03d", i)
		c.Spec.Authentication = []v1alpha1.ClientAuthentication{{PrivateKeyJWT: &v1alpha1.PrivateKeyJWTAuthentication{ConfigMapRef: &v1alpha1.KeyReference{Name: "keys", Key: "jwks"}}}}
		in.Objects.ExchangeClients = append(in.Objects.ExchangeClients, c)
	}
	got := translate.Translate(in)
	bytes := 0
	for _, c := range got.Spec.Clients {
		for _, k := range c.AssertionKeys {
			bytes += len(k)
		}
	}
	if bytes == 0 || bytes > 8<<20 {
		t.Errorf("the key sets of one namespace are %d bytes of the snapshot", bytes)
	}
	if checks != 1 {
		t.Errorf("one key set was read %d times", checks)
	}
}

func TestAnIssuerThatCannotBeReadKeepsItsPeopleFromTheIssuerWithoutPrefix(t *testing.T) {
	t.Parallel()
	in := parseInput(t, []byte(attacked))
	if got := translate.Translate(in); len(got.Spec.Issuers) != 2 {
		t.Fatalf("%d issuers in force", len(got.Spec.Issuers))
	}
	in.Objects.TrustedIssuers = in.Objects.TrustedIssuers[1:]
	in.Objects.Undecodable = []translate.Undecodable{{Kind: "TrustedIssuer", Name: "corp", Message: "not to be read"}}
	for _, i := range translate.Translate(in).Spec.Issuers {
		t.Errorf("%s is in force, prefix %q, and nobody knows whose names it may not say", i.Name, i.Prefix)
	}
	in.Objects.Undecodable[0].IdentityPrefix = "staff:"
	got := translate.Translate(in).Spec.Issuers
	if len(got) != 1 || !slices.Contains(got[0].ForeignPrefixes, "staff:") {
		t.Errorf("the issuers in force are %+v: expected legacy, which must not say what begins with staff:", got)
	}
}

func TestWhatSelectorsFindIsBoundedForANamespace(t *testing.T) {
	t.Parallel()
	in := parseInput(t, []byte(attacked))
	client, policy := in.Objects.ExchangeClients[0], in.Objects.ExchangePolicies[0]
	in.Objects.ExchangePolicies = nil
	for i := range 200 {
		c := client
		c.Name, c.Labels = fmt.Sprintf("c-%03d", i), map[string]string{"a": "b"}
		in.Objects.ExchangeClients = append(in.Objects.ExchangeClients, c)
	}
	policy.Spec.Examples, policy.Spec.Subject.Rules = nil, nil
	selector := &v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"a": "b"}}
	policy.Spec.Clients = []v1alpha1.PolicyClient{{Selector: selector}}
	policy.Spec.Target.Clients = nil
	for i := range 50 {
		policy.Spec.Target.Clients = append(policy.Spec.Target.Clients, v1alpha1.TargetClient{Name: fmt.Sprintf("c-%03d", i)})
	}
	for i := range 30 {
		p := policy
		p.Name = fmt.Sprintf("p-%03d", i)
		in.Objects.ExchangePolicies = append(in.Objects.ExchangePolicies, p)
	}
	in.Budget.Pairs = 100_000
	got := translate.Translate(in)
	if n := len(got.Spec.Policies); n != 10 || got.Spec.Policies[9].Name != "p-009" {
		t.Errorf("%d policies of 10000 pairs each are in force, the budget is 100000", n)
	}

	for i := range in.Objects.ExchangePolicies {
		p := &in.Objects.ExchangePolicies[i]
		p.Spec.Target.Clients = p.Spec.Target.Clients[:1]
		p.Spec.Clients = []v1alpha1.PolicyClient{{Selector: &v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"a": "none"}}, NamespaceSelector: &v1alpha1.Selector{MatchExpressions: []v1alpha1.SelectorRequirement{{Key: "x", Operator: v1alpha1.SelectorDoesNotExist}}}}}
	}
	in.Budget.Pairs = 100
	if n := len(translate.Translate(in).Spec.Policies); n != 4 {
		t.Errorf("%d policies are in force whose selectors look at 202 clients and namespaces each, the budget is 1000", n)
	}
}

func TestTheExpressionsOfANamespaceAreBounded(t *testing.T) {
	t.Parallel()
	in := parseInput(t, []byte(attacked))
	policy := in.Objects.ExchangePolicies[0]
	policy.Spec.Examples = nil
	in.Objects.ExchangePolicies = nil
	for i := range 100 {
		p := policy
		p.Name = fmt.Sprintf("p-%03d", i)
		text := fmt.Sprintf("subject.subject != '%04d'", i/2)
		p.Spec.Subject.Rules = []v1alpha1.Rule{{Expression: v1alpha1.Expression(text)}}
		in.Objects.ExchangePolicies = append(in.Objects.ExchangePolicies, p)
	}
	in.Budget.Expressions = 10 * len("subject.subject != '0000'")
	got := translate.Translate(in)
	if n := len(got.Spec.Policies); n != 20 || got.Spec.Policies[19].Name != "p-019" {
		t.Errorf("%d policies are in force: expected 20, with the 10 different expressions that fit", n)
	}
}

const shared = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec:
  issuer: https://sts.example.com
  allowedNamespaces: {names: [a, b]}
  names: [{namespaces: {names: [a, b]}, resources: ["https://shop.example.com/*"]}]
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: a, name: api}
spec: {resources: ["https://shop.example.com/api"]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: b, name: waiting}
spec: {resources: ["https://shop.example.com/api"]}
`

func TestAMistakeInAClientDoesNotHandItsNamesToTheNextNamespace(t *testing.T) {
	t.Parallel()
	in := parseInput(t, []byte(shared))
	in.Objects.ExchangeClients[0].Spec.Token.Lifetime = "a typing mistake"
	if got := translate.Translate(in).Spec.Clients; len(got) != 0 {
		t.Errorf("clients in force %+v: expected none", got)
	}

	in = parseInput(t, []byte(shared))
	in.Objects.TokenServices[0].Spec.Names[0].Namespaces.Names = []string{"b"}
	if got := translate.Translate(in).Spec.Clients; len(got) != 1 || got[0].Namespace != "b" {
		t.Errorf("clients in force %+v: expected that of b, which a cannot keep from what is b's alone", got)
	}
}

// A client that lost its ID to another is no client: what it claims is free.
func TestAClientThatLostItsIDKeepsNoNameFromOthers(t *testing.T) {
	t.Parallel()
	in := parseInput(t, []byte(shared))
	loser := *in.Objects.ExchangeClients[0].DeepCopy()
	loser.Name, loser.Spec.ClientID = "copy", "a/api"
	in.Objects.ExchangeClients[0].Spec.Resources = nil
	in.Objects.ExchangeClients = append(in.Objects.ExchangeClients, loser)
	got := translate.Translate(in).Spec.Clients
	if len(got) != 2 || got[0].ID != "a/api" || got[1].ID != "b/waiting" {
		t.Errorf("clients in force %+v: expected a/api and b/waiting", got)
	}
}
