// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"slices"
	"testing"
)

func TestChangesNameTheFieldsThatDiffer(t *testing.T) {
	t.Parallel()
	object := func(text string) *Object {
		found, problems := ParseManifests("x.yaml", []byte("apiVersion: v1\nkind: X\nmetadata: {name: x}\n"+text))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return found[0]
	}
	before := object("spec: {a: 1, b: {c: x, d: [1, 2]}, gone: true}\n")
	after := object("spec: {a: 1, b: {c: y, d: [1, 3]}, new: {e: 1}}\nstatus: {f: 1}\n")
	want := []string{"spec.b.c", "spec.b.d", "spec.gone", "spec.new"}
	if got := Changes(before, after); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Changes(before, before); len(got) != 0 {
		t.Errorf("nothing changed, and %v did", got)
	}
}
