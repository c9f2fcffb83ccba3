// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

func TestAConditionIsPrintedWithTheReasonThatMatters(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		conditions []metav1.Condition
		want       string
	}{
		"plainly true": {[]metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready"}}, "Ready=True"},
		"suspended":    {[]metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Suspended"}}, "Ready=True/Suspended"},
		"only audited": {[]metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Audit"}}, "Ready=True/Audit"},
		"old keys":     {[]metav1.Condition{{Type: "Verified", Status: metav1.ConditionTrue, Reason: "Stale"}}, "Verified=True/Stale"},
		"no examples":  {[]metav1.Condition{{Type: "ExamplesPassed", Status: metav1.ConditionTrue, Reason: "NoExamples"}}, "ExamplesPassed=True"},
		"not so":       {[]metav1.Condition{{Type: "Accepted", Status: metav1.ConditionFalse, Reason: "Invalid"}}, "Accepted=False/Invalid"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := conditionsOf(&translate.ObjectStatus{Conditions: test.conditions}); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
