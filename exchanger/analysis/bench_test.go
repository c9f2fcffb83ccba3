// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// large is an installation of 2,000 clients in 100 namespaces and 10,000 policies,
// every fifth of which hands on what this service issued.
func large() *policy.Spec {
	spec := smallWorld()
	spec.Clients, spec.Scopes, spec.Policies = nil, nil, nil
	const namespaces, clients, policies = 100, 20, 100
	for n := range namespaces {
		ns := fmt.Sprintf("team-%02d", n)
		for c := range clients {
			name := fmt.Sprintf("service-%02d", c)
			spec.Clients = append(spec.Clients, policy.Client{ID: ns + "/" + name, Namespace: ns, Name: name, TokenService: "default", TokenExchange: true})
		}
		spec.Scopes = append(spec.Scopes, policy.Scope{Namespace: ns, Name: "read", TokenService: "default", Scope: "read", AllTargets: true, InToken: true})
		for p := range policies {
			asker := fmt.Sprintf("team-%02d/service-%02d", (n+p)%namespaces, (p*7)%clients)
			g := grant(ns, fmt.Sprintf("policy-%02d", p), asker, fmt.Sprintf("%s/service-%02d", ns, p%clients), "read")
			if p%5 == 0 {
				g.SelfOrigins = []string{"corp"}
			}
			spec.Policies = append(spec.Policies, g)
		}
	}
	return spec
}

func BenchmarkCompareOneChangeAmong10000(b *testing.B) {
	before, after := large(), large()
	after.Policies[4321].Scopes = nil
	for b.Loop() {
		if d := Compare(before, after); d.Empty() || d.ReachCut {
			b.Fatal(d.ReachCut)
		}
	}
}

func BenchmarkWhoCanAmong10000(b *testing.B) {
	spec := large()
	for b.Loop() {
		if a, ok := WhoCan(spec, Question{Target: "team-50/service-00"}); !ok || a.Cut || len(a.Paths) == 0 {
			b.Fatal(a.Cut, len(a.Paths))
		}
	}
}
