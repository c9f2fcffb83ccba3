// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// policies measures Decide and Compile as the number of policies grows. Cold is a
// compilation by a compiler that has seen nothing; warm is one after a change of
// one policy, by a compiler that knows the other expressions.
func policies() error {
	fmt.Printf("%-36s %10s %8s %9s %9s %13s\n", "", "Decide ns", "allocs", "cold ms", "warm ms", "B per policy")
	for _, c := range []struct{ policies, texts int }{{10, 10}, {1_000, 100}, {10_000, 100}, {10_000, 10_000}, {100_000, 100}} {
		spec, request := manyPolicies(c.policies, c.texts)
		compiler := expr.New()
		before := heap()
		start := time.Now()
		snapshot, err := policy.Compile(spec, 1, compiler)
		if err != nil {
			return err
		}
		cold := time.Since(start)
		memory := heap() - before
		var warm []float64
		for range 5 {
			start = time.Now()
			if snapshot, err = policy.Compile(spec, 1, compiler); err != nil {
				return err
			}
			warm = append(warm, float64(time.Since(start).Microseconds())/1000)
		}
		if d := snapshot.Decide(request); d.Outcome != policy.Allowed {
			return fmt.Errorf("with %d policies: %s: %s", c.policies, d.Reason, d.Detail)
		}
		b := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				snapshot.Decide(request)
			}
		})
		slices.Sort(warm)
		fmt.Printf("%-36s %10d %8d %9.1f %9.1f %13.0f\n", fmt.Sprintf("%d policies, %d distinct rules", c.policies, c.texts),
			b.NsPerOp(), b.AllocsPerOp(), float64(cold.Microseconds())/1000, warm[len(warm)/2], memory/float64(c.policies))
		runtime.KeepAlive(spec)
		runtime.KeepAlive(snapshot)
	}
	return nil
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// manyPolicies is an installation with n policies, five for each of n/5 clients,
// in one namespace, with two expressions each: a rule, of which there are so many
// texts, and a claim.
func manyPolicies(n, texts int) (*policy.Spec, *policy.Request) {
	const service = "default"
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	spec := &policy.Spec{
		Format: policy.Format,
		Services: []policy.Service{{
			Name: service, Issuer: "https://sts.example", Algorithm: "ES256", DefaultLifetime: 5 * time.Minute, MaxLifetime: time.Hour, TokenBytes: 8192,
		}},
		Issuers: []policy.Issuer{{
			Name: "corp", TokenService: service, Kind: policy.IssuerJWT, URL: "https://corp.example", ForSubject: true,
			Classes: []policy.Class{policy.ClassAccessToken}, Prefix: "corp:", MaxTokenAge: 24 * time.Hour, ClockSkew: 30 * time.Second,
			Mappings: policy.Mappings{Subject: policy.Value{Claim: "sub"}},
		}},
		Scopes: []policy.Scope{{Namespace: "media", Name: "images", TokenService: service, Scope: "images", AllTargets: true, InToken: true}},
	}
	for t := range 5 {
		spec.Clients = append(spec.Clients, policy.Client{ID: fmt.Sprintf("media/api-%d", t), Namespace: "media", Name: fmt.Sprintf("api-%d", t), TokenService: service})
	}
	for c := range n / 5 {
		id := fmt.Sprintf("shop/app-%d", c)
		spec.Clients = append(spec.Clients, policy.Client{ID: id, Namespace: "shop", Name: fmt.Sprintf("app-%d", c), TokenService: service, TokenExchange: true})
		for t := range 5 {
			spec.Policies = append(spec.Policies, policy.Policy{
				Namespace: "media", Name: fmt.Sprintf("app-%d-api-%d", c, t), TokenService: service, Clients: []string{id}, SubjectIssuers: []string{"corp"},
				SubjectClasses: []policy.Class{policy.ClassAccessToken}, SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient},
				SubjectRules: []policy.Rule{{Expression: fmt.Sprintf("'corp:staff-%d' in subject.groups || 'corp:staff' in subject.groups", (c*5+t)%texts)}},
				Targets:      []string{fmt.Sprintf("media/api-%d", t)}, Scopes: []string{"images"}, TokenTypes: []policy.TokenType{policy.TypeAccessToken},
				Claims: []policy.Claim{{Name: "tenant", Expression: "subject.extra.tenant"}},
			})
		}
	}
	return spec, &policy.Request{
		Now: now, TokenService: service, Client: policy.ClientAuth{ID: "shop/app-1"}, SubjectAs: policy.AsAccessToken,
		Subject: &policy.Token{
			Issuer: "corp", Origin: "corp", RawIssuer: "https://corp.example", RawSubject: "alice", Subject: "corp:alice", Groups: []string{"corp:staff"},
			Scopes: []string{"images"}, Audiences: []string{"shop/app-1"}, Class: policy.ClassAccessToken, TokenID: "1", Extra: map[string]any{"tenant": "acme"},
			IssuedAt: now.Add(-time.Minute), ExpiresAt: now.Add(time.Hour),
		},
		Audiences: []string{"media/api-1"}, Scopes: []string{"images"}, ScopesGiven: true, TokenType: policy.TypeAccessToken,
	}
}
