// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// change is a good object of the contract with something changed, and what is
// then wrong with it.
type change struct {
	// object is the kind and name of an object in testdata/contract.yaml.
	object string
	// set says which fields get which values, as YAML; "-" takes a field away.
	set map[string]string
	// update says that the object was there before, as it was.
	update bool
	// path and message are the one problem that is expected.
	path, message string
}

// matrix is every table of changes, for the test that counts them.
func matrix() []map[string]change {
	return []map[string]change{
		tokenServiceChanges(), trustedIssuerChanges(), issuerMemberChanges(), urlChanges(),
		exchangeClientChanges(), keyChanges(), clientScopeChanges(), exchangePolicyChanges(),
		exampleChanges(), impersonationGrantChanges(), externalTargetChanges(), tokenRevocationChanges(),
	}
}

func TestEveryBadObjectIsRefusedForItsOneReason(t *testing.T) {
	t.Parallel()
	validator, good := newValidator(t), contract(t)
	for _, table := range matrix() {
		for name, test := range table {
			t.Run("F259: "+name, func(t *testing.T) {
				t.Parallel()
				base, ok := good[test.object]
				if !ok {
					t.Fatalf("there is no %s in testdata/contract.yaml", test.object)
				}
				var old map[string]any
				if test.update {
					old = base
				}
				admitted, problems := validator.Admit(changed(t, base, test.set), old)
				if admitted != nil {
					t.Errorf("expected no object beside problems, found one")
				}
				want := Problem{Path: test.path, Message: test.message}
				if len(problems) != 1 || problems[0] != want {
					t.Errorf("expected\n\t%s\nfound\n\t%v", want, problems)
				}
			})
		}
	}
}

func TestEveryRuleHasABadObjectOfItsOwn(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{}
	for _, table := range matrix() {
		for _, test := range table {
			covered[strings.Fields(test.object)[0]+": "+test.message] = true
			covered[test.message] = true
		}
	}
	for name, k := range newValidator(t).kinds {
		if err := k.compile(); err != nil {
			t.Fatal(err)
		}
		for _, message := range ruleMessages(k.structural) {
			if !covered[message] {
				t.Errorf("%s: no bad object for the rule %q", name, message)
			}
		}
	}
}

func ruleMessages(node *structuralschema.Structural) []string {
	var messages []string
	for _, rule := range node.XValidations {
		messages = append(messages, rule.Message)
	}
	if node.Items != nil {
		messages = append(messages, ruleMessages(node.Items)...)
	}
	for name := range node.Properties {
		property := node.Properties[name]
		messages = append(messages, ruleMessages(&property)...)
	}
	if node.AdditionalProperties != nil && node.AdditionalProperties.Structural != nil {
		messages = append(messages, ruleMessages(node.AdditionalProperties.Structural)...)
	}
	slices.Sort(messages)
	return slices.Compact(messages)
}

// changed returns a copy of an object with fields set to values.
func changed(t testing.TB, object map[string]any, set map[string]string) map[string]any {
	t.Helper()
	copied, problem := copyObject(object)
	if problem != nil {
		t.Fatal(problem)
	}
	for path, text := range set {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		put(t, copied, steps(path), value, text == "-")
	}
	return copied
}

// step finds one name or index of a path such as spec.clients[0].name.
var step = regexp.MustCompile(`[^.\[\]]+`)

func steps(path string) []string { return step.FindAllString(path, -1) }

func put(t testing.TB, node any, path []string, value any, remove bool) any {
	t.Helper()
	if len(path) == 0 {
		return value
	}
	if index, err := strconv.Atoi(path[0]); err == nil {
		list, _ := node.([]any)
		if index == len(list) {
			list = append(list, nil)
		}
		list[index] = put(t, list[index], path[1:], value, remove)
		return list
	}
	object, ok := node.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	if len(path) == 1 && remove {
		delete(object, path[0])
		return object
	}
	object[path[0]] = put(t, object[path[0]], path[1:], value, remove)
	return object
}

func lookup(node any, path string) any {
	for _, name := range steps(path) {
		object, ok := node.(map[string]any)
		if !ok {
			return nil
		}
		node = object[name]
	}
	return node
}
