// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const tinyCRD = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.exchequer.dev}
spec:
  group: exchequer.dev
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          apiVersion: {type: string}
          kind: {type: string}
          spec:
            type: object
            required: [colour]
            properties:
              colour: {type: string, enum: [red, blue], description: "colour is what it looks like.\n\nMore that is not shown."}
              sizes: {type: array, maxItems: 3, default: [1], items: {type: integer, minimum: 1, maximum: 9}}
              parts:
                type: array
                items: {type: object, properties: {name: {type: string, minLength: 1, maxLength: 5}}}
            x-kubernetes-validations:
            - {rule: "self.colour != 'red'", message: red is taken}
`

func yamlBlock(object string) string {
	return "```yaml\napiVersion: exchequer.dev/v1alpha1\n" + object + "\n```"
}

// repository makes a small one: a Makefile, one CRD and its page.
func repository(t *testing.T, pages map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{
		"hack/make/x.mk":                       "build: ## Build.\n",
		"config/crd/exchequer.dev_things.yaml": tinyCRD,
		"docs/kinds/thing.md":                  "# Thing\n",
		"docs/other.md":                        "# Other page\n\n## A heading: with `code`\n",
		"testdata/ignored/page.md":             "[nowhere](nowhere.md)",
	}
	for name, text := range pages {
		files[name] = text
	}
	for name, text := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestPagesAreHeldToTheTree(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ page, want string }{
		"a good page":                   {"[o](docs/other.md#a-heading-with-code) and [site](https://example.com/x) and `make build`", ""},
		"a link to no file":             {"line\n[x](docs/gone.md)", "README.md:2: link to docs/gone.md: no such file"},
		"a link to no heading":          {"[x](docs/other.md#gone)", "no such heading"},
		"a link in code is text":        {"`[x](gone.md)`\n```\n[x](gone.md)\n```", ""},
		"a target that is not there":    {"run `make bulid`", "README.md:1: make bulid: no such target"},
		"prose about making":            {"we make promises", ""},
		"a manifest that fits":          {yamlBlock("kind: ClientScope\nmetadata: {namespace: media, name: images}\nspec: {}"), ""},
		"a manifest with a typo":        {yamlBlock("kind: ClientScope\nmetadata: {namespace: media, name: images}\nspec: {targets: [{nam: x}]}"), "spec.targets[0].nam"},
		"a manifest that breaks a rule": {yamlBlock("kind: ClientScope\nmetadata: {namespace: media, name: images}\nspec: {scope: offline_access}"), "offline_access"},
		"a manifest of no kind":         {yamlBlock("kind: ClientScpoe\nmetadata: {name: images}"), "kind: expected a kind of exchequer.dev"},
		"the second of two documents":   {"```yaml\napiVersion: v1\nkind: Namespace\n---\napiVersion: exchequer.dev/v1alpha1\nkind: ClientScope\nmetadata: {name: x}\nspec: {x: 1}\n```", "README.md:5: manifest: spec.x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mistakes, err := run(repository(t, map[string]string{"README.md": tc.page}), false)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(mistakes, "\n"); tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("mistakes: %q, want %q", got, tc.want)
			}
		})
	}
}

func TestExamplesInFilesAreJudgedLikeThoseInPages(t *testing.T) {
	t.Parallel()
	bad := "# A comment.\napiVersion: exchequer.dev/v1alpha1\nkind: ClientScope\nmetadata: {namespace: media, name: images}\nspec: {nope: 1}\n"
	mistakes, err := run(repository(t, map[string]string{"docs/examples/a/x.yaml": bad}), false)
	if err != nil || len(mistakes) != 1 || !strings.Contains(mistakes[0], "docs/examples/a/x.yaml:1: manifest: spec.nope") {
		t.Errorf("got %q, %v", mistakes, err)
	}
}

func TestAKindWithoutAPageIsAMistake(t *testing.T) {
	t.Parallel()
	root := repository(t, nil)
	if err := os.Remove(filepath.Join(root, "docs", "kinds", "thing.md")); err != nil {
		t.Fatal(err)
	}
	mistakes, err := run(root, false)
	if err != nil || !slices.Equal(mistakes, []string{"docs/kinds/thing.md: the kind Thing has no page"}) {
		t.Errorf("got %q, %v", mistakes, err)
	}
}

func TestFieldTablesAreWrittenFromTheSchemaAndThenAreFresh(t *testing.T) {
	t.Parallel()
	stale := "# Thing\n\n<!-- fields of Thing: written by make docs -->\nold\n<!-- end of fields -->\n\nAfter.\n"
	root := repository(t, map[string]string{"docs/kinds/thing.md": stale})

	mistakes, err := run(root, false)
	if err != nil || len(mistakes) != 1 || !strings.Contains(mistakes[0], "make docs") {
		t.Fatalf("a stale table: got %q, %v", mistakes, err)
	}
	if mistakes, err := run(root, true); err != nil || len(mistakes) != 0 {
		t.Fatalf("writing: got %q, %v", mistakes, err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "kinds", "thing.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `colour` | string | **required** | red, blue | colour is what it looks like. |",
		"| `sizes` | list of integer | `[1]` | ≤ 3 items; each 1–9 |  |",
		"| `parts[].name` | string |  | 1–5 characters |  |",
		"- red is taken",
		"\nAfter.\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if mistakes, err := run(root, false); err != nil || len(mistakes) != 0 {
		t.Errorf("a fresh table: got %q, %v", mistakes, err)
	}
}
