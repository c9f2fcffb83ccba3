// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

const (
	// maxManifests is the most paths that a PolicyTest may name: a file per
	// policy of a large namespace.
	maxManifests = 256

	// maxExamples is the most examples of a PolicyTest: sixteen times what one
	// policy may carry.
	maxExamples = 1024

	// examplesPerPolicy is how many examples the CRD takes at once.
	examplesPerPolicy = 64
)

// AdmitPolicyTest judges the content of a *_test.yaml file: its own few fields
// here, its examples by the schema and the rules that examples in a policy
// have. It returns a copy with the defaults filled in, or all that is wrong.
func (v *Validator) AdmitPolicyTest(object map[string]any) (defaulted map[string]any, problems []Problem) {
	fresh, problem := copyObject(object)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	problems = policyTestFrame(fresh)
	examples, ok := fresh["examples"].([]any)
	switch {
	case !ok || len(examples) == 0:
		problems = append(problems, Problem{Path: "examples", Message: "expected a list of at least one example"})
	case len(examples) > maxExamples:
		problems = append(problems, Problem{Path: "examples", Message: fmt.Sprintf("must have at most %d items", maxExamples)})
	default:
		problems = append(problems, v.admitExamples(examples)...)
	}
	if len(problems) > 0 {
		return nil, tidy(problems)
	}
	return fresh, nil
}

// policyTestFrame judges what is around the examples.
func policyTestFrame(object map[string]any) []Problem {
	var problems []Problem
	if object["apiVersion"] != v1alpha1.GroupVersion.String() {
		problems = append(problems, Problem{Path: "apiVersion", Message: "expected " + v1alpha1.GroupVersion.String() + found(object["apiVersion"])})
	}
	if object["kind"] != v1alpha1.PolicyTestKind {
		problems = append(problems, Problem{Path: "kind", Message: "expected " + v1alpha1.PolicyTestKind + found(object["kind"])})
	}
	fields := []string{"apiVersion", "examples", "kind", "manifests"}
	for name := range object {
		if !slices.Contains(fields, name) {
			problems = append(problems, Problem{Path: name, Message: "unknown field" + didYouMean(name, fields)})
		}
	}
	manifests, ok := object["manifests"].([]any)
	if !ok || len(manifests) == 0 || len(manifests) > maxManifests {
		return append(problems, Problem{Path: "manifests", Message: fmt.Sprintf("expected a list of 1 to %d files or directories", maxManifests)})
	}
	for i, manifest := range manifests {
		if path, ok := manifest.(string); !ok || path == "" || strings.ContainsRune(path, 0) {
			problems = append(problems, Problem{Path: fmt.Sprintf("manifests[%d]", i), Message: "expected the path of a file or directory"})
		}
	}
	return problems
}

// admitExamples judges examples as if a policy carried them, and fills in
// their defaults in place.
func (v *Validator) admitExamples(examples []any) []Problem {
	problems := sameNames(examples)
	for start := 0; start < len(examples); start += examplesPerPolicy {
		part := examples[start:min(start+examplesPerPolicy, len(examples))]
		admitted, wrong := v.Admit(policyOf(part), nil)
		for _, problem := range wrong {
			problems = append(problems, Problem{Path: shift(problem.Path, start), Message: problem.Message})
		}
		if admitted != nil {
			spec, _ := admitted["spec"].(map[string]any)
			defaulted, _ := spec["examples"].([]any)
			copy(part, defaulted)
		}
	}
	return problems
}

// sameNames finds examples that share a name, across what the schema sees at once.
func sameNames(examples []any) []Problem {
	var problems []Problem
	seen := map[string]bool{}
	for i, example := range examples {
		members, _ := example.(map[string]any)
		name, ok := members["name"].(string)
		if ok && seen[name] {
			problems = append(problems, Problem{Path: fmt.Sprintf("examples[%d]", i), Message: repeated})
		}
		seen[name] = true
	}
	return problems
}

// policyOf is the least policy that can carry examples.
func policyOf(examples []any) map[string]any {
	named := []any{map[string]any{"name": "any"}}
	return map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "ExchangePolicy",
		"metadata":   map[string]any{"namespace": "any", "name": "any"},
		"spec": map[string]any{
			"clients":  named,
			"subject":  map[string]any{"issuers": named},
			"target":   map[string]any{"clients": named},
			"examples": examples,
		},
	}
}

// shift makes spec.examples[i] of the policy examples[start+i] of the file.
func shift(path string, start int) string {
	rest, ok := strings.CutPrefix(path, "spec.examples[")
	if !ok {
		return strings.TrimPrefix(path, "spec.")
	}
	index := 0
	digits, rest, _ := strings.Cut(rest, "]")
	if _, err := fmt.Sscanf(digits, "%d", &index); err != nil {
		return "examples"
	}
	return fmt.Sprintf("examples[%d]%s", start+index, rest)
}
