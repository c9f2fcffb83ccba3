// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestF213EvaluationsThatShareAnEffortCostNoMoreTogether(t *testing.T) {
	t.Parallel()
	p, err := New().Compile(policy.EnvPolicy, policy.WantBool, "lists.range(1000).all(x, x >= 0)")
	if err != nil {
		t.Fatal(err)
	}
	effort := int64(50_000)
	facts := &policy.Facts{Effort: &effort}
	passed := 0
	for range 100 {
		v, err := p.Eval(facts)
		if err != nil {
			if !strings.Contains(err.Error(), "costs more than") {
				t.Fatal(err)
			}
			continue
		}
		if v != true {
			t.Fatalf("gave %v", v)
		}
		passed++
	}
	if passed == 0 || passed > 20 {
		t.Errorf("%d evaluations of some 5000 units fit into 50000", passed)
	}
	if effort < 0 || effort > 10_000 {
		t.Errorf("%d of the effort is left", effort)
	}
	if _, err := p.Eval(&policy.Facts{}); err != nil {
		t.Errorf("without a common bound: %v", err)
	}
}

func TestAnExpressionThatFitsNothingMoreIsAnErrorBeforeItRuns(t *testing.T) {
	t.Parallel()
	p, err := New().Compile(policy.EnvPolicy, policy.WantBool, "!false")
	if err != nil {
		t.Fatal(err)
	}
	for _, effort := range []int64{0, -20} {
		if v, err := p.Eval(&policy.Facts{Effort: &effort}); err == nil {
			t.Errorf("with an effort of %d it gave %v", effort, v)
		}
	}
}
