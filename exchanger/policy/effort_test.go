// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"testing"
)

// dear is a compiler of expressions that all cost half a million units, and of
// how often one was evaluated in full.
type dear struct{ runs *int }

func (d dear) Compile(Environment, ResultType, string) (Program, error) {
	return word(func(f *Facts) (any, error) {
		if *f.Effort < 500_000 {
			return nil, errors.New("costs more than there is")
		}
		*f.Effort -= 500_000
		*d.runs++
		return false, nil
	}), nil
}

func TestF213ManyPoliciesForOneClientCostNoMoreThanOneDecisionMay(t *testing.T) {
	t.Parallel()
	spec := world()
	like := *policyNamed(spec, "images")
	spec.Policies = nil
	for i := range 1000 {
		p := like
		p.Name, p.SubjectRules = fmt.Sprintf("p%d", i), []Rule{{Expression: "dear"}}
		spec.Policies = append(spec.Policies, p)
	}
	runs := 0
	snap, err := Compile(spec, 1, dear{&runs})
	if err != nil {
		t.Fatal(err)
	}
	runs = 0
	if d := snap.Decide(ask()); d.Outcome == Allowed {
		t.Error("allowed by rules that are false or cost too much")
	}
	if runs > MaxEffort/500_000 {
		t.Errorf("%d evaluations of 500000 units, the bound is %d", runs, MaxEffort)
	}

	r, left := ask(), int64(600_000)
	r.Effort = &left
	runs = 0
	snap.Decide(r)
	if runs != 1 || left > 100_000 {
		t.Errorf("with 600000 units to spend: %d evaluations, and %d are left", runs, left)
	}
}

func TestAPolicyWithoutExpressionsIsJudgedWhateverOthersCost(t *testing.T) {
	t.Parallel()
	spec := world()
	like := *policyNamed(spec, "images")
	for i := range 10 {
		p := like
		p.Name, p.SubjectRules = fmt.Sprintf("a%d", i), []Rule{{Expression: "dear"}}
		spec.Policies = append(spec.Policies, p)
	}
	spec.Scopes = spec.Scopes[:2] // those without expressions
	policyNamed(spec, "images").Scopes = []string{"images"}
	runs := 0
	snap, err := Compile(spec, 1, dear{&runs})
	if err != nil {
		t.Fatal(err)
	}
	if d := snap.Decide(ask()); d.Outcome != Allowed {
		t.Errorf("%s: %s", d.Reason, d.Detail)
	}
}
