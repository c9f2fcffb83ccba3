// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// delegation is what these tests explain: a helpdesk that acts for customers, and
// under a grant is them.
const delegation = `apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec: {issuer: "https://sts.example.com", allowedNamespaces: {names: [shop, helpdesk]}}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  jwt: {issuer: {url: "https://login.corp.example", audiences: ["https://sts.example.com"]}}
  allowedNamespaces: {all: true}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: helpdesk, name: console}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: api}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: ledger}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: shop, name: as-a-customer}
spec:
  clients: [{namespace: helpdesk, name: console}]
  subject: {issuers: [{name: corp}]}
  impersonation: Allowed
  target: {clients: [{name: api}], scopes: []}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: shop, name: for-a-customer}
spec:
  clients: [{namespace: helpdesk, name: console}]
  subject: {issuers: [{name: corp}]}
  actor: {use: Required, issuers: [{name: corp}], rules: [{expression: "'corp:support' in actor.groups", message: support only}]}
  target: {clients: [{name: ledger}], scopes: []}
---
apiVersion: exchequer.dev/v1alpha1
kind: ImpersonationGrant
metadata: {name: support-as-customer}
spec:
  impersonators: {clients: [{namespace: helpdesk, name: console}], groups: ["corp:support"]}
  subjects: {groups: ["corp:customers"]}
  subjectFrom: [RequestedSubject]
  requestedSubjects: [{subject: "corp:carla", groups: ["corp:customers"]}]
  targets: {clients: [{namespace: shop, name: api}]}
  notAfter: "2031-01-01T00:00:00Z"
`

func TestExplainKnowsActorsAndWhoIsImpersonated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	manifests := filepath.Join(dir, "manifests")
	if err := os.Mkdir(manifests, 0o700); err != nil {
		t.Fatal(err)
	}
	file("manifests/all.yaml", delegation)
	carl, sam, ann := file("carl.json", `{"sub": "carl", "groups": ["customers"]}`), file("sam.json", `{"sub": "sam", "groups": ["support"]}`),
		file("ann.yaml", "sub: ann\ngroups: [sales]\n")
	given := func(subject string, more ...string) []string {
		return append([]string{
			"explain", "--manifests", manifests, "--client", "helpdesk/console", "--issuer", "corp", "--subject-claims", subject, "--time", "2030-01-01T12:00:00Z", "-o", "json",
		}, more...)
	}
	t.Run("an actor that a policy admits stands in act", func(t *testing.T) {
		t.Parallel()
		got := decode[explanation](t, exchequer(t, "", given(carl, "--actor", sam, "--actor-issuer", "corp", "--audience", "shop/ledger")...).must(t, exitOK).out)
		if got.Actor == nil || got.Actor.Subject != "corp:sam" || got.Token.Act["sub"] != "sam" || got.Token.Act["client_id"] != "helpdesk/console" || got.Token.Subject != "" {
			t.Errorf("actor %+v, token %+v", got.Actor, got.Token)
		}
	})
	t.Run("a requested subject is whom the token is about", func(t *testing.T) {
		t.Parallel()
		got := decode[explanation](t, exchequer(t, "", given(sam, "--requested-subject", "corp:carla", "--reason", "ticket 7", "--audience", "shop/api")...).must(t, exitOK).out)
		want := policy.Impersonator{Issuer: "https://login.corp.example", Subject: "sam", ClientID: "helpdesk/console", Grant: "support-as-customer"}
		if got.Token.Subject != "corp:carla" || got.Token.Impersonator == nil || *got.Token.Impersonator != want || got.Asked.Reason != "ticket 7" {
			t.Errorf("token %+v, asked %+v", got.Token, got.Asked)
		}
	})
	for name, c := range map[string]struct {
		args   []string
		reason policy.Reason
	}{
		"an actor that no rule admits":     {given(carl, "--actor", ann, "--actor-issuer", "corp", "--audience", "shop/ledger"), policy.ActorRule},
		"an actor where none may be":       {given(carl, "--actor", sam, "--actor-issuer", "corp", "--audience", "shop/api"), policy.ImpersonationGrant},
		"no actor where one is required":   {given(carl, "--audience", "shop/ledger"), policy.ActorRequired},
		"somebody whom no grant knows":     {given(sam, "--requested-subject", "corp:ghost", "--reason", "r", "--audience", "shop/api"), policy.ImpersonationGrant},
		"no reason":                        {given(sam, "--requested-subject", "corp:carla", "--audience", "shop/api"), policy.ImpersonationReason},
		"a reason for nobody":              {given(sam, "--reason", "r", "--audience", "shop/api"), policy.FormInvalid},
		"an actor token without a subject": {given(carl, "--actor", file("nobody.json", `{}`), "--actor-issuer", "corp", "--audience", "shop/ledger"), policy.TokenMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := decode[explanation](t, exchequer(t, "", c.args...).must(t, exitNo).out); got.Reason != c.reason {
				t.Errorf("%s by %s: %s; want %s", got.Reason, got.Check, got.Detail, c.reason)
			}
		})
	}
	for name, args := range map[string][]string{
		"claims of an actor without its issuer": given(carl, "--actor", sam, "--audience", "shop/ledger"),
		"an issuer without an actor":            given(carl, "--actor-issuer", "corp", "--audience", "shop/ledger"),
		"an issuer that is not there":           given(carl, "--actor", sam, "--actor-issuer", "nobody", "--audience", "shop/ledger"),
	} {
		t.Run(name+" is wrong usage", func(t *testing.T) {
			t.Parallel()
			exchequer(t, "", args...).must(t, exitUsage)
		})
	}
}
