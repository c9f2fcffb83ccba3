// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// FuzzParseManifests: whatever a file holds, it is objects or one problem with a
// line of the file, within the bounds; what was read is JSON, and every path has a
// line.
func FuzzParseManifests(f *testing.F) {
	for _, seed := range []string{
		"", "null", sts + "\n---" + app, "{\"apiVersion\":\"v1\",\"kind\":\"A\"}", "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: A}]",
		spec("&a [*a]"), spec("{<<: {a: b}}"), spec("[&x a, *x, !!str yes, 1e400, .nan, 0x1F, ~]"), spec("|\n  a\n  b"), spec(`"\ud83d\ude00 \/"`),
		"\ufeff" + sts, strings.ReplaceAll(sts, "\n", "\r\n"), spec(strings.Repeat("[", 70)), "%YAML 1.1\n---\n" + spec("a"), "? [a]\n: b", "- - - a", "\t", "a: b: c",
	} {
		f.Add([]byte(seed), false, "spec.a[0].b")
		f.Add([]byte(seed), true, "[")
	}
	f.Fuzz(func(t *testing.T, data []byte, isJSON bool, path string) {
		file := "x.yaml"
		if isJSON {
			file = "x.json"
		}
		objects, problems := ParseManifests(file, data)
		if len(problems) > 1 || (len(problems) == 1 && len(objects) > 0) {
			t.Fatalf("%d objects and %d problems", len(objects), len(problems))
		}
		lines := 1 + bytes.Count(data, []byte{'\n'}) + bytes.Count(data, []byte{'\r'}) + bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029")) + bytes.Count(data, []byte("\u0085"))
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines+1 || p.Message == "" || p.File != file {
				t.Fatalf("problem %+v of a file of %d lines", p, lines)
			}
		}
		nodes := 0
		for _, o := range objects {
			if o.Kind() == "" || o.APIVersion() == "" {
				t.Fatalf("an object that is none: %v", o.Content)
			}
			if line := o.LineOf(path); line < 1 || line > lines {
				t.Fatalf("line %d of %q in a file of %d lines", line, path, lines)
			}
			b, err := json.Marshal(o.Content)
			if err != nil {
				t.Fatalf("not JSON: %v", err)
			}
			nodes += bytes.Count(b, []byte{','})
		}
		if nodes > maxNodes {
			t.Fatalf("%d values", nodes)
		}
		again, _ := ParseManifests(file, data)
		if len(again) != len(objects) {
			t.Fatal("read again, it is another number of objects")
		}
		for i := range again {
			if !reflect.DeepEqual(again[i].Content, objects[i].Content) {
				t.Fatal("read again, it is something else")
			}
		}
	})
}

// FuzzLineOf: no path makes it panic or leave the object.
func FuzzLineOf(f *testing.F) {
	objects, problems := ParseManifests("x.yaml", []byte(sts))
	if len(problems) > 0 {
		f.Fatal(problems)
	}
	for _, seed := range []string{"", "spec.issuer", "spec.allowedNamespaces.names[0]", "[", "]", "a[b", "..", "spec[-1]", "metadata.labels[a.b/c]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if line := objects[0].LineOf(path); line < objects[0].Line || line > 6 {
			t.Fatalf("line %d", line)
		}
	})
}
