// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"testing"
)

// crowd is world with n further policies, each for a client of its own.
func crowd(n int) *Spec {
	spec := world()
	like := *policyNamed(spec, "images")
	for i := range n {
		id := fmt.Sprintf("shop/app-%d", i)
		spec.Clients = append(spec.Clients, Client{ID: id, Namespace: "shop", Name: fmt.Sprintf("app-%d", i), TokenService: "default", TokenExchange: true})
		p := like
		p.Name, p.Clients = fmt.Sprintf("app-%d", i), []string{id}
		p.SubjectRules = []Rule{{Expression: "group corp:staff"}}
		spec.Policies = append(spec.Policies, p)
	}
	return spec
}

func BenchmarkF227Decide(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("among %d policies", n), func(b *testing.B) {
			snap := mustCompile(b, crowd(n))
			r := ask()
			b.ReportAllocs()
			for b.Loop() {
				if d := snap.Decide(r); d.Outcome != Allowed {
					b.Fatal(d.Reason)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	spec := crowd(10_000)
	b.ReportAllocs()
	for b.Loop() {
		mustCompile(b, spec)
	}
}

// How much is allocated must not hang on how many policies there are: a request
// of one client is not slower because others exist. Not parallel, so that only
// Decide allocates.
func TestF227DecideAllocatesTheSameAmongManyPolicies(t *testing.T) {
	r := ask()
	few, many := mustCompile(t, crowd(10)), mustCompile(t, crowd(5_000))
	a := testing.AllocsPerRun(100, func() { few.Decide(r) })
	z := testing.AllocsPerRun(100, func() { many.Decide(r) })
	if a != z {
		t.Errorf("%v allocations among 10 policies, %v among 5000", a, z)
	}
}

// Compiling ahead must give what compiling in order gives.
func TestExpressionsCompiledAheadDecideTheSame(t *testing.T) {
	t.Parallel()
	spec := crowd(200)
	for i := range spec.Policies {
		spec.Policies[i].SubjectRules = []Rule{{Expression: fmt.Sprintf("group corp:staff%d", i)}}
	}
	policyNamed(spec, "images").SubjectRules = []Rule{{Expression: "group corp:boss"}}
	snap := mustCompile(t, spec)
	if d := snap.Decide(ask()); d.Reason != SubjectRule {
		t.Errorf("got %s %s", d.Outcome, d.Reason)
	}
	spec.Policies[7].Rules = []Rule{{Expression: "no such word"}}
	if _, err := Compile(spec, 1, words{}); err == nil {
		t.Error("an expression that does not compile was passed over")
	}
}
