// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/config/crd"
)

var released = flag.Bool("released", false, "write the CRDs of this checkout into testdata/baseline, as those of the last release")

const (
	baseline = "testdata/baseline"
	accepted = "testdata/accepted.txt"
)

func TestF370NothingThatUsersRelyOnChangesUnseen(t *testing.T) {
	t.Parallel()
	after := definitions(t, crd.Files)
	if *released {
		rewrite(t, after)
	}
	before := definitions(t, os.DirFS(baseline))
	if len(before) == 0 {
		t.Fatalf("%s is empty", baseline)
	}
	reasons := acceptedChanges(t)
	for name, was := range before {
		for _, change := range compareCRD(was, after[name]) {
			if _, ok := reasons[change]; !ok {
				t.Errorf("%s\n\tIf it is meant, add the line to test/api/%s followed by ` | ` and the reason", change, accepted)
			}
			delete(reasons, change)
		}
	}
	for change := range reasons {
		t.Errorf("%s accepts a change that there is not: %s", accepted, change)
	}
}

// The cases are the comparison's proof: each changes one thing of a small
// definition.
func TestF370EveryKindOfChangeIsFlagged(t *testing.T) {
	t.Parallel()
	const definition = `
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            description: A thing.
            x-kubernetes-validations: [{rule: self.a != self.b, message: they differ}]
            properties:
              a: {type: string, maxLength: 10, minLength: 1, pattern: ^a, enum: [ab, ac], default: ab}
              b: {type: string}
              many: {type: array, maxItems: 4, x-kubernetes-list-type: set, items: {type: string, maxLength: 5}}
              free: {type: object, additionalProperties: {type: integer, minimum: 1}}
`
	const spec = "things.example.com v1 .spec"
	for name, tc := range map[string]struct{ from, to, want string }{
		"nothing":                                 {"", "", ""},
		"other prose":                             {"A thing.", "A thing of beauty.", ""},
		"other words of a rule":                   {"they differ", "they must differ", ""},
		"a new optional field":                    {"b: {type: string}", "b: {type: string}\n              c: {type: string, maxLength: 3}", ""},
		"a field that is gone":                    {"b: {type: string}", "", spec + ".b: gone: the field"},
		"a field of another name":                 {"b: {type: string}", "bb: {type: string}", spec + ".b: gone: the field"},
		"another type":                            {"b: {type: string}", "b: {type: integer}", spec + `.b: changed: type from "string" to "integer"`},
		"a field that is required now":            {"description: A thing.", "required: [a]", spec + `: tighter: required has now "a"`},
		"a field that is no longer":               {"required: [spec]", "", `things.example.com v1 : looser: required has no longer "spec"`},
		"a shorter text":                          {"maxLength: 10", "maxLength: 9", spec + ".a: tighter: maxLength from 10 to 9"},
		"a longer text":                           {"maxLength: 10", "maxLength: 11", spec + ".a: looser: maxLength from 10 to 11"},
		"a text without end":                      {"maxLength: 10, ", "", spec + ".a: looser: maxLength from 10 to nothing"},
		"a bound where there was none":            {"b: {type: string}", "b: {type: string, maxLength: 1}", spec + ".b: tighter: maxLength from nothing to 1"},
		"a larger minimum":                        {"minLength: 1", "minLength: 2", spec + ".a: tighter: minLength from 1 to 2"},
		"no minimum":                              {"minLength: 1, ", "", spec + ".a: looser: minLength from 1 to nothing"},
		"another pattern":                         {"pattern: ^a", "pattern: ^ab", spec + `.a: changed: pattern from "^a" to "^ab"`},
		"no pattern":                              {"pattern: ^a, ", "", spec + `.a: looser: no pattern, was "^a"`},
		"a pattern where there was none":          {"b: {type: string}", "b: {type: string, pattern: x}", spec + `.b: tighter: pattern "x"`},
		"a value less":                            {"[ab, ac]", "[ab]", spec + `.a: tighter: enum has no longer "ac"`},
		"a value more":                            {"[ab, ac]", "[ab, ac, ad]", spec + `.a: looser: enum has now "ad"`},
		"any value":                               {"enum: [ab, ac], ", "", spec + `.a: looser: no enum, was ["ab","ac"]`},
		"some values where any was good":          {"b: {type: string}", "b: {type: string, enum: [x]}", spec + `.b: tighter: enum ["x"]`},
		"another default":                         {"default: ab", "default: ac", spec + `.a: changed: default from "ab" to "ac"`},
		"a rule less":                             {"{rule: self.a != self.b, message: they differ}", "", spec + `: looser: x-kubernetes-validations has no longer {"rule":"self.a != self.b"}`},
		"a rule more":                             {"they differ}", "they differ}, {rule: has(self.a)}", spec + `: tighter: x-kubernetes-validations has now {"rule":"has(self.a)"}`},
		"an element's bound":                      {"maxLength: 5", "maxLength: 4", spec + ".many[]: tighter: maxLength from 5 to 4"},
		"a member's bound":                        {"minimum: 1", "minimum: 0", spec + ".free{}: looser: minimum from 1 to 0"},
		"members of any kind":                     {"additionalProperties: {type: integer, minimum: 1}", "additionalProperties: true", spec + `.free: changed: additionalProperties from {"minimum":1,"type":"integer"} to true`},
		"another way to merge lists":              {"list-type: set", "list-type: atomic", spec + `.many: changed: x-kubernetes-list-type from "set" to "atomic"`},
		"a keyword that nobody thought of":        {"b: {type: string}", "b: {type: string, x-kubernetes-new: 1}", spec + ".b: changed: x-kubernetes-new from nothing to 1"},
		"a kind that is no longer in a namespace": {"Namespaced", "Cluster", `things.example.com scope: changed: from "Namespaced" to "Cluster"`},
		"a version that is not served":            {"served: true", "served: false", "things.example.com v1 served: changed: from true to false"},
		"a version that is gone":                  {"name: v1", "name: v2", "things.example.com v1: gone: the whole version"},
		"a status that anybody may write":         {"subresources: {status: {}}", "", `things.example.com v1 subresources: changed: from {"status":{}} to nothing`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(definition, tc.from) {
				t.Fatalf("%q is not in the definition", tc.from)
			}
			got := compareCRD(parse(t, []byte(definition)), parse(t, []byte(strings.Replace(definition, tc.from, tc.to, 1))))
			if strings.Join(got, "\n") != tc.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), tc.want)
			}
		})
	}
	t.Run("a kind that is gone", func(t *testing.T) {
		t.Parallel()
		if got := compareCRD(parse(t, []byte(definition)), nil); len(got) != 1 {
			t.Errorf("got %q", got)
		}
	})
}

func definitions(t *testing.T, from fs.FS) map[string]object {
	t.Helper()
	names, err := fs.Glob(from, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]object{}
	for _, name := range names {
		content, err := fs.ReadFile(from, name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = parse(t, content)
	}
	return out
}

func parse(t *testing.T, content []byte) object {
	t.Helper()
	var o object
	if err := yaml.Unmarshal(content, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// acceptedChanges maps each deliberate change to its reason.
func acceptedChanges(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile(accepted)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndex(line, " | ")
		if at < 0 || len(strings.Fields(line[at+3:])) < 3 {
			t.Errorf("%s: expected `change | reason`, found %q", accepted, line)
			continue
		}
		out[line[:at]] = line[at+3:]
	}
	return out
}

// rewrite makes the CRDs of this checkout the baseline, without their prose.
func rewrite(t *testing.T, crds map[string]object) {
	t.Helper()
	old, err := filepath.Glob(filepath.Join(baseline, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(crds)) {
		plain := object{"metadata": object{"name": dig(crds[name], "metadata", "name")}, "spec": withoutProse(crds[name]["spec"], false)}
		content, err := yaml.Marshal(plain)
		if err == nil {
			err = os.WriteFile(filepath.Join(baseline, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// withoutProse drops descriptions, unless they are the name of a property.
func withoutProse(v any, names bool) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, inner := range v {
			if names || k != "description" && k != "additionalPrinterColumns" {
				out[k] = withoutProse(inner, k == "properties" && !names)
			}
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, inner := range v {
			out = append(out, withoutProse(inner, false))
		}
		return out
	}
	return v
}
