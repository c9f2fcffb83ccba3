// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"maps"
	"reflect"
	"slices"
)

// Changes lists the fields of an object's spec that differ between two versions of
// it, as paths, sorted. A list that differs is one field.
func Changes(before, after *Object) []string {
	var out []string
	changes("spec", before.Content["spec"], after.Content["spec"], &out)
	return out
}

func changes(path string, before, after any, out *[]string) {
	a, isMap := before.(map[string]any)
	b, isMapToo := after.(map[string]any)
	if !isMap || !isMapToo {
		if !reflect.DeepEqual(before, after) {
			*out = append(*out, path)
		}
		return
	}
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		changes(path+"."+name, a[name], b[name], out)
	}
}
