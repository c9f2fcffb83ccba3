// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// spec is a document with one field, spec, at line 3.
func spec(value string) string { return "apiVersion: v1\nkind: X\nspec: " + value + "\n" }

func TestAScalarIsWhatKubectlMakesOfIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]any{
		"plain words": "plain words", `"quoted"`: "quoted", `'single ''quoted'''`: "single 'quoted'", "|\n  a\n  b": "a\nb\n", ">\n  a\n  b": "a b\n",
		"yes": true, "Yes": true, "YES": true, "y": true, "on": true, "On": true, "true": true, "True": true,
		"no": false, "No": false, "n": false, "off": false, "OFF": false, "false": false,
		"yEs": "yEs", "oN": "oN", `"yes"`: "yes", "'no'": "no", "!!str yes": "yes", "!!str 7": "7",
		"7": int64(7), "-7": int64(-7), "+7": int64(7), "0": int64(0), "0x1F": int64(31), "0o17": int64(15), "9223372036854775807": int64(1<<63 - 1),
		"1.5": 1.5, "1.0": 1.0, "1e3": 1000.0, ".5": 0.5, "1e400": "1e400",
		"2020-01-01": "2020-01-01", "2020-01-01T00:00:00Z": "2020-01-01T00:00:00Z", "1:30": "1:30", "5m": "5m", "~": nil, "null": nil, "": nil,
		"!!binary aGk=": "aGk=", `"\u00e9\x41\n"`: "\u00e9A\n", `"\U0001F600"`: "\U0001F600",
		"[a, 1, {b: c}]": []any{"a", int64(1), map[string]any{"b": "c"}}, "{}": map[string]any{}, "[]": []any{},
		"&x {a: 1}": map[string]any{"a": int64(1)}, "[&x a, *x]": []any{"a", "a"},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			objects, problems := ParseManifests("x.yaml", []byte(spec(text)))
			if len(problems) > 0 || len(objects) != 1 {
				t.Fatalf("%d objects, problems %v", len(objects), problems)
			}
			if got := objects[0].Content["spec"]; !reflect.DeepEqual(got, want) {
				t.Errorf("got %#v, want %#v", got, want)
			}
		})
	}
}

func TestAFileIsTakenApartIntoItsObjects(t *testing.T) {
	t.Parallel()
	one := "apiVersion: v1\nkind: A\nmetadata: {name: a}\n"
	for name, c := range map[string]struct {
		file, text string
		want       []string // "kind@line"
	}{
		"nothing":                 {"x.yaml", "", nil},
		"only comments":           {"x.yaml", "# a\n---\n# b\n", nil},
		"null":                    {"x.yaml", "null\n---\n~\n", nil},
		"one":                     {"x.yaml", one, []string{"A@1"}},
		"several documents":       {"x.yaml", one + "---\n" + one + "---\n---\n# nothing\n---\n\n" + one + "...\n", []string{"A@1", "A@5", "A@13"}},
		"a directive":             {"x.yaml", "%YAML 1.1\n---\n" + one, []string{"A@3"}},
		"a byte order mark":       {"x.yaml", "\ufeff" + one, []string{"A@1"}},
		"lines that end in CR LF": {"x.yaml", strings.ReplaceAll(one+"---\n"+one, "\n", "\r\n"), []string{"A@1", "A@5"}},
		"a List":                  {"x.yaml", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: A\n- apiVersion: v1\n  kind: B\n", []string{"A@4", "B@6"}},
		"a List of Lists":         {"x.yaml", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: A}\n", []string{"A@7"}},
		"an empty List":           {"x.yaml", "apiVersion: v1\nkind: List\nitems: []\n", nil},
		"a List of one thing twice": {
			"x.yaml", "apiVersion: v1\nkind: List\nitems: [&a {apiVersion: v1, kind: A}, *a]\n", []string{"A@3", "A@3"},
		},
		"JSON":                   {"x.json", `{"apiVersion": "v1",` + "\n" + `"kind": "A"}`, []string{"A@1"}},
		"JSON indented by tabs":  {"x.json", "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"A\",\n\t\"spec\": [\n\t\t1\n\t]\n}\n", []string{"A@1"}},
		"JSON with a surrogate":  {"x.json", `{"apiVersion":"v1","kind":"A","spec":"\ud83d\ude00 \\ud83d \/ \u00e9"}`, []string{"A@1"}},
		"an object of strangers": {"x.yaml", "apiVersion: apps/v1\nkind: Deployment\n", []string{"Deployment@1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, problems := ParseManifests(c.file, []byte(c.text))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			var got []string
			for _, o := range objects {
				got = append(got, fmt.Sprintf("%s@%d", o.Kind(), o.Line))
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	t.Run("JSON's surrogate pairs are the characters that they stand for", func(t *testing.T) {
		t.Parallel()
		objects, _ := ParseManifests("x.json", []byte(`{"apiVersion":"v1","kind":"A","spec":"\ud83d\ude00 \\ud83d\\ude00 \/ \u00e9 \uD83D\uDE00"}`))
		if want := "\U0001F600 \\ud83d\\ude00 / \u00e9 \U0001F600"; len(objects) != 1 || objects[0].Content["spec"] != want {
			t.Errorf("got %v, want spec %q", objects, want)
		}
	})
}

func TestWhatCannotBeReadIsToldWithItsLine(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, c := range map[string]struct{ text, want string }{
		"no YAML":                              {"apiVersion: v1\nkind: X\n  bad: x\n", "x.yaml:3: not YAML: line 3: mapping values are not allowed in this context"},
		"a tab":                                {"apiVersion: v1\nkind: X\nspec:\n\ta: b\n", "x.yaml:4: not YAML: line 4: found character that cannot start any token"},
		"an open quote":                        {spec(`"a`), "x.yaml:3: not YAML: line 3: found unexpected end of stream"},
		"an unknown alias":                     {spec("*a"), "x.yaml:1: not YAML: unknown anchor 'a' referenced"},
		"not UTF-8":                            {spec("a") + "b: caf\xe9\n", "x.yaml:4: not YAML: the file is not text in UTF-8"},
		"a control character":                  {spec("a") + "b: \x07\n", "x.yaml:4: not YAML: the file is not text in UTF-8"},
		"UTF-16":                               {"\xff\xfea\x00", "x.yaml:1: not YAML: the file is not text in UTF-8"},
		"half a surrogate pair":                {spec(`"\uD83D"`), "x.yaml:3: not YAML: line 3: found invalid Unicode character escape code"},
		"a list":                               {"- a\n", "x.yaml:1: expected an object with apiVersion and kind, found something else"},
		"a word":                               {"word", "x.yaml:1: expected an object with apiVersion and kind, found something else"},
		"no kind":                              {"a: b\n", "x.yaml:1: expected an object with apiVersion and kind, which are strings, found none"},
		"a kind that is a boolean":             {"apiVersion: v1\nkind: Y\n", "x.yaml:1: expected an object with apiVersion and kind, which are strings, found none"},
		"the second document":                  {spec("a") + "---\n- a\n", "x.yaml:5: expected an object with apiVersion and kind, found something else"},
		"a field twice":                        {spec("a") + "spec: b\n", `x.yaml:4: field "spec" stands here twice`},
		"a field twice, once quoted":           {spec("a") + "\"spec\": b\n", `x.yaml:4: field "spec" stands here twice`},
		"a field twice, deep within":           {spec("\n  a:\n  - b: 1\n    b: 2"), `x.yaml:6: field "b" stands here twice`},
		"a merge key":                          {spec("{<<: {a: b}}"), "x.yaml:3: merge keys (<<) are not read: write the fields out"},
		"a list as key":                        {spec("\n  ? [a]\n  : b"), "x.yaml:4: a key must be a string"},
		"an alias as key":                      {"apiVersion: v1\nkind: &k X\nspec: {*k : b}\n", "x.yaml:3: a key must be a string"},
		"a tag that means nothing":             {spec("!foo bar"), "x.yaml:3: a value of type !foo means nothing here"},
		"a tagged map":                         {spec("!foo {a: b}"), "x.yaml:3: a value of type !foo means nothing here"},
		"a tagged list":                        {spec("!!omap [a]"), "x.yaml:3: a value of type !!omap means nothing here"},
		"a set":                                {spec("!!set {a, b}"), "x.yaml:3: a value of type !!set means nothing here"},
		"not a number":                         {spec(".nan"), "x.yaml:3: JSON has no such number"},
		"an infinite number":                   {spec("-.inf"), "x.yaml:3: JSON has no such number"},
		"a number beyond 64 bits":              {spec("18446744073709551615"), "x.yaml:3: a number is too large"},
		"a wrong tag":                          {spec("!!int word"), "x.yaml:3: not a value: yaml: cannot decode !!str `word` as a !!int"},
		"an alias of itself":                   {spec("&a [*a]"), "x.yaml:3: the file is too large, or nests too deep"},
		"more than 64 levels":                  {spec(nested(65)), "x.yaml:3: the file is too large, or nests too deep"},
		"a hundred thousand levels":            {spec(nested(100000)), "x.yaml:3: not YAML: line 3: exceeded max depth of 10000"},
		"a List without items":                 {"apiVersion: v1\nkind: List\n", "x.yaml:1: expected items of the List, and that they are a list"},
		"a List whose items are none":          {"apiVersion: v1\nkind: List\nitems: {a: b}\n", "x.yaml:1: expected items of the List, and that they are a list"},
		"a List with an item that is none":     {"apiVersion: v1\nkind: List\nitems:\n- a\n", "x.yaml:4: expected an object with apiVersion and kind, found something else"},
		"a List with an item of no kind":       {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A}\n- {a: b}\n", "x.yaml:5: expected an object with apiVersion and kind, which are strings, found none"},
		"a typed list is an object of its own": {"apiVersion: v1\nkind: 7\n", "x.yaml:1: expected an object with apiVersion and kind, which are strings, found none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, problems := ParseManifests("x.yaml", []byte(c.text))
			if len(objects) != 0 || len(problems) != 1 {
				t.Fatalf("%d objects, problems %v: want one problem and nothing of the file", len(objects), problems)
			}
			if got := problems[0].String(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSixtyFourLevelsAreRead(t *testing.T) {
	t.Parallel()
	// The document's own mapping is level 0.
	if objects, problems := ParseManifests("x.yaml", []byte(spec(strings.Repeat("[", 64)+strings.Repeat("]", 64)))); len(objects) != 1 {
		t.Error(problems)
	}
}

// A few lines of aliases are a billion values once they are followed. The bound is
// on the file: many documents below it must not get past it.
func TestAliasesDoNotMultiplyBeyondTheBound(t *testing.T) {
	t.Parallel()
	laughs := func(levels int) string {
		var b strings.Builder
		b.WriteString("apiVersion: v1\nkind: X\nl0: &l0 [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n")
		for i := 1; i <= levels; i++ {
			prev := fmt.Sprintf("*l%d", i-1)
			fmt.Fprintf(&b, "l%d: &l%d [%s]\n", i, i, strings.Join([]string{prev, prev, prev, prev, prev, prev, prev, prev, prev, prev}, ", "))
		}
		return b.String()
	}
	if objects, problems := ParseManifests("x.yaml", []byte(laughs(4))); len(objects) != 1 {
		t.Fatalf("a hundred thousand values are not read: %v", problems)
	}
	for name, text := range map[string]string{
		"a billion in one document":            laughs(8),
		"many documents of a hundred thousand": strings.Repeat(laughs(4)+"---\n", 20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, problems := ParseManifests("x.yaml", []byte(text))
			if len(objects) != 0 || len(problems) != 1 || !strings.Contains(problems[0].Message, "too large") {
				t.Errorf("%d objects, problems %v", len(objects), problems)
			}
		})
	}
	t.Run("a file beyond the bound is not parsed at all", func(t *testing.T) {
		t.Parallel()
		_, problems := ParseManifests("x.yaml", make([]byte, maxFileBytes+1))
		if len(problems) != 1 || !strings.Contains(problems[0].Message, "split it") {
			t.Errorf("problems %v", problems)
		}
	})
}

func TestEveryFieldHasItsLine(t *testing.T) {
	t.Parallel()
	objects, problems := ParseManifests("x.yaml", []byte(`# a comment
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata:
  name: p
  labels:
    example.com/team: media
spec:
  clients:
  - namespace: shop
    name: app
  - &other
    namespace: shop
    name: other
  subject: {issuers: [{name: corp},
    {name: partner}]}
  again: *other
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for path, want := range map[string]int{
		"": 3, "kind": 4, "metadata": 6, "metadata.name": 6, "metadata.labels[example.com/team]": 8, "spec.clients": 11, "spec.clients[0]": 11,
		"spec.clients[0].name": 12, "spec.clients[1].name": 15, "spec.subject.issuers[1].name": 17, "spec.again.name": 15,
		// What is not there has the line of the nearest that is.
		"spec.clients[7].name": 11, "spec.clients[-1]": 11, "spec.clients[x]": 11, "nothing": 3, "spec.target.clients[0]": 10, "kind.of": 4,
		// Paths that are none.
		"[": 3, "]": 3, "..": 3, "spec..clients": 11, "spec[clients": 10, "spec.clients[]": 11, "spec.clients[99999999999999999999]": 11, ".spec": 10,
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			if got := objects[0].LineOf(path); got != want {
				t.Errorf("line %d, want %d", got, want)
			}
		})
	}
	if got := (&Object{Line: 9}).LineOf("spec.x"); got != 9 {
		t.Errorf("an object that was not read from a file: line %d, want 9", got)
	}
}
