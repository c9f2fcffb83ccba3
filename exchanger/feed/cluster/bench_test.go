// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	plane "github.com/exchequer-dev/exchequer/test/cluster"
	"github.com/exchequer-dev/exchequer/test/fakes/operator"
)

// large is 10,000 policies of about 700 bytes, each with an expression, over 2,000
// clients.
func large() *policy.Spec {
	spec := world(0, "main")
	for i := range 2000 {
		name := fmt.Sprintf("c%05d", i)
		spec.Clients = append(spec.Clients, policy.Client{ID: "shop/" + name, Namespace: "shop", Name: name, TokenService: "main", TokenExchange: true})
	}
	for i := range 10000 {
		target := fmt.Sprintf("shop/c%05d", i%2000)
		spec.Policies = append(spec.Policies, policy.Policy{
			Namespace: "shop", Name: fmt.Sprintf("p%05d", i), TokenService: "main", Clients: []string{fmt.Sprintf("shop/c%05d", (i+1)%2000)},
			SubjectIssuers: []string{"corp"}, SubjectClasses: []policy.Class{policy.ClassAccessToken}, SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient},
			Targets: []string{target}, Scopes: []string{"read", "write"}, TokenTypes: []policy.TokenType{policy.TypeAccessToken},
			Rules: []policy.Rule{{Expression: fmt.Sprintf("subject.username.startsWith('u%d')", i), Message: fmt.Sprintf("%0250d", i)}},
		})
	}
	return spec
}

// BenchmarkStart is from Run to in force, with 10,000 policies.
func BenchmarkStart(b *testing.B) {
	o := operator.New(b, plane.Shared(b))
	p := o.Publish(large())
	for b.Loop() {
		r := start(b, o, "one")
		r.mustServe(p)
		r.stop()
	}
	b.ReportMetric(float64(len(p.Chunks)), "chunks")
}

// BenchmarkOneChange is from the pointer's write to in force, with 10,000 policies.
func BenchmarkOneChange(b *testing.B) {
	o := operator.New(b, plane.Shared(b))
	spec := large()
	r := start(b, o, "one")
	r.mustServe(o.Publish(spec))
	var took time.Duration
	n := 0
	for b.Loop() {
		n++
		spec.Policies[5000].Lifetime = time.Duration(n) * time.Second
		p := o.Publish(spec)
		written := time.Now()
		r.mustServe(p)
		took += time.Since(written)
	}
	b.ReportMetric(float64(took.Milliseconds())/float64(n), "ms/pointer-to-force")
}
