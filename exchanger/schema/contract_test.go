// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"os"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// contract returns the objects of testdata/contract.yaml by kind and name.
func contract(t testing.TB) map[string]map[string]any {
	t.Helper()
	data, err := os.ReadFile("testdata/contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]map[string]any{}
	for _, object := range documents(t, data) {
		u := unstructured.Unstructured{Object: object}
		objects[u.GetKind()+" "+u.GetName()] = object
	}
	return objects
}

func TestTheExamplesOfTheContractAreAdmittedAsTheyStand(t *testing.T) {
	t.Parallel()
	validator := newValidator(t)
	for name, object := range contract(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defaulted, problems := validator.Admit(object, nil)
			for _, problem := range problems {
				t.Error(problem)
			}
			if defaulted == nil {
				return
			}
			roundTrip(t, defaulted)
			again, problems := validator.Admit(defaulted, object)
			if len(problems) > 0 || !reflect.DeepEqual(again, defaulted) {
				t.Errorf("admitted objects should be admitted again, unchanged: %v", problems)
			}
		})
	}
}

func TestWhatIsLeftOutHasTheDefaultsOfTheContract(t *testing.T) {
	t.Parallel()
	validator := newValidator(t)
	cases := map[string]struct {
		object   string
		defaults map[string]string
	}{
		"TokenService": {
			object: "{kind: TokenService, metadata: {name: default}, spec: {issuer: https://sts.example.com}}",
			defaults: map[string]string{
				"signing.algorithm":                  "ES256",
				"signing.source":                     "Managed",
				"signing.rotation.period":            "720h",
				"signing.rotation.prePublish":        "1h",
				"signing.keyRetention":               "Retain",
				"lifetimes.accessToken.default":      "5m",
				"lifetimes.accessToken.max":          "1h",
				"lifetimes.idToken.default":          "5m",
				"lifetimes.idToken.max":              "1h",
				"lifetimes.saml2.default":            "5m",
				"lifetimes.saml2.max":                "1h",
				"lifetimes.refreshToken.idle":        "24h",
				"lifetimes.refreshToken.max":         "720h",
				"lifetimes.refreshToken.offlineMax":  "2160h",
				"limits.delegationDepth":             "4",
				"limits.tokenBytes":                  "8192",
				"limits.requestsPerSecond.perClient": "0",
				"limits.requestsPerSecond.burst":     "0",
			},
		},
		"TrustedIssuer": {
			object: "{kind: TrustedIssuer, metadata: {name: corp}, spec: {jwt: {issuer: {url: https://login.corp.example}}}}",
			defaults: map[string]string{
				"tokenServiceRef.name":  "default",
				"use":                   "[Subject Actor]",
				"jwt.keys":              "map[discovery:map[]]",
				"jwt.algorithms":        "[RS256 PS256 ES256 ES384 EdDSA]",
				"jwt.tokenTypes":        "[AccessToken IDToken JWT]",
				"maxTokenAge":           "24h",
				"clockSkew":             "30s",
				"claimMappings.subject": "map[claim:sub]",
				"identityPrefix":        "<nil>",
			},
		},
		"ExchangeClient": {
			object: "{kind: ExchangeClient, metadata: {name: frontend, namespace: shop}}",
			defaults: map[string]string{
				"tokenServiceRef.name": "default",
				"grants":               "[TokenExchange]",
				"authentication":       "<nil>",
				"token.format":         "JWT",
			},
		},
		"ClientScope": {
			object: "{kind: ClientScope, metadata: {name: images, namespace: media}}",
			defaults: map[string]string{
				"tokenServiceRef.name": "default",
				"includeInTokenScope":  "true",
			},
		},
		"ExchangePolicy": {
			object: "{kind: ExchangePolicy, metadata: {name: p, namespace: media}, spec: {clients: [{name: a}], subject: {issuers: [{name: corp}]}, target: {clients: [{name: b}]}, examples: [{name: e, given: {client: a, issuer: corp}, expect: {allowed: false}}]}}",
			defaults: map[string]string{
				"tokenServiceRef.name":   "default",
				"mode":                   "Enforce",
				"subject.tokenTypes":     "[AccessToken IDToken JWT]",
				"subject.audience.match": "Client",
				"actor.use":              "Forbidden",
				"actor.audience.match":   "Client",
				"actor.honorMayAct":      "true",
				"actor.maxDepth":         "2",
				"impersonation":          "Forbidden",
				"target.defaultScopes":   "<nil>",
				"target.scopeMode":       "Narrow",
				"target.excess":          "Reject",
				"token.types":            "[AccessToken]",
				"token.binding":          "Preserve",
				"token.refresh":          "None",
				"examples":               "[map[expect:map[allowed:false] given:map[client:a issuer:corp time:2030-01-01T12:00:00Z tokenType:AccessToken] name:e]]",
			},
		},
		"ImpersonationGrant": {
			object: `{kind: ImpersonationGrant, metadata: {name: g}, spec: {impersonators: {clients: [{namespace: a, name: b}], groups: [g]}, subjects: {groups: [h]}, subjectFrom: [SubjectToken], targets: {clients: [{namespace: a, name: c}]}, notAfter: "2027-01-31T00:00:00Z"}}`,
			defaults: map[string]string{
				"semantics":        "Impersonation",
				"maxTokenLifetime": "10m",
				"reason.required":  "true",
			},
		},
		"ExternalTarget": {
			object: "{kind: ExternalTarget, metadata: {name: x}, spec: {audiences: [a], clients: [{namespace: a, name: b}], subject: {issuers: [{name: corp}]}, linkedToken: {provider: p}}}",
			defaults: map[string]string{
				"actor.use":              "Forbidden",
				"subject.audience.match": "Client",
				"forward":                "false",
				"cache.enabled":          "true",
			},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defaulted, problems := validator.Admit(object(t, test.object), nil)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			for path, want := range test.defaults {
				if got := fmt.Sprint(lookup(defaulted["spec"], path)); got != want {
					t.Errorf("spec.%s: expected %s, found %s", path, want, got)
				}
			}
		})
	}
}
