// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"slices"
	"testing"
)

func TestWhatIsOfOurGroupIsNeverPassedOverInSilence(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		manifest string
		want     []string
	}{
		"another version of a kind": {
			"apiVersion: exchequer.dev/v1beta1\nkind: ExchangeClient\nmetadata: {namespace: shop, name: c}\nspec: {}\n",
			[]string{"x.yaml:7: ExchangeClient/shop/c: apiVersion: expected exchequer.dev/v1alpha1, found exchequer.dev/v1beta1"},
		},
		"a kind that there is not": {
			"apiVersion: exchequer.dev/v1alpha1\nkind: Nope\nmetadata: {name: c}\n",
			[]string{`x.yaml:8: Nope/c: kind: expected a kind of exchequer.dev, found "Nope"`},
		},
		"a policy test is no manifest":     {"apiVersion: exchequer.dev/v1alpha1\nkind: PolicyTest\nmanifests: [.]\nexamples: []\n", nil},
		"other groups are somebody else's": {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: c}\n", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range buildOf(t, service+test.manifest).Problems {
				got = append(got, p.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
