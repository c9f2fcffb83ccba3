// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// outcome is everything of a result that is published or written into a status.
func outcome(t *testing.T, r translate.Result) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatIsRememberedOfExamplesIsWhatRunningThemGives(t *testing.T) {
	t.Parallel()
	// One memory for all inputs, forwards and backwards: they have the same namespaces
	// and names, with other content each time, which is the hardest case.
	verdicts := translate.NewVerdicts()
	files := goldenInputs(t)
	back := slices.Clone(files)
	slices.Reverse(back)
	for _, file := range slices.Concat(files, files, back) {
		in := readInput(t, file)
		want := outcome(t, translate.Translate(in))
		in.Verdicts = verdicts
		for range 2 {
			if got := outcome(t, translate.Translate(in)); got != want {
				t.Fatalf("%s: with a memory of examples\n%s\nwithout\n%s", file, got, want)
			}
		}
	}
}

func TestExamplesAreRunAgainWhenWhatTheySeeHasChanged(t *testing.T) {
	t.Parallel()
	const file = "testdata/the-main-job.in.yaml"
	for name, tc := range map[string]struct {
		change func(*translate.Input)
		again  bool
	}{
		"nothing": {func(*translate.Input) {}, false},
		"another namespace's objects": {func(in *translate.Input) {
			other := v1alpha1.ExchangeClient{}
			other.Namespace, other.Name = "shop", "another"
			in.Objects.ExchangeClients = append(in.Objects.ExchangeClients, other)
		}, false},
		"the policy": {func(in *translate.Input) {
			in.Objects.ExchangePolicies[0].Spec.Subject.Rules = nil
		}, true},
		"the issuer": {func(in *translate.Input) {
			in.Objects.TrustedIssuers[0].Spec.MaxTokenAge = "1h"
		}, true},
		"who asks": {func(in *translate.Input) {
			for i := range in.Objects.ExchangeClients {
				in.Objects.ExchangeClients[i].Labels = map[string]string{"tier": "gold"}
			}
		}, true},
		"a scope of the namespace": {func(in *translate.Input) {
			for i := range in.Objects.ClientScopes {
				in.Objects.ClientScopes[i].Spec.Description += " changed"
				in.Objects.ClientScopes[i].Spec.Rules = []v1alpha1.Rule{{Expression: "true"}}
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := readInput(t, file)
			in.Verdicts = translate.NewVerdicts()
			if ran(t, translate.Translate(in)) != true {
				t.Fatal("the first translation runs no example")
			}
			next := readInput(t, file)
			next.Verdicts = in.Verdicts
			tc.change(&next)
			if got := ran(t, translate.Translate(next)); got != tc.again {
				t.Errorf("examples were run again: %v, want %v", got, tc.again)
			}
		})
	}
}

// ran says whether examples were run: what is remembered has no decision.
func ran(t *testing.T, r translate.Result) bool {
	t.Helper()
	found := false
	for _, s := range r.Statuses {
		for _, e := range s.Examples {
			found = true
			if e.Subject != nil || e.Decision.Reason != "" || len(e.Decision.Trace) > 0 {
				return true
			}
		}
	}
	if !found {
		t.Fatal("there is no example")
	}
	return false
}
