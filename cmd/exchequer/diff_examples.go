// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// flippedExample is an example that two sets of manifests answer differently.
type flippedExample struct {
	Policy  string `json:"policy"`
	Example string `json:"example"`
	// Before and After say what each answers.
	Before string `json:"before"`
	After  string `json:"after"`
	// Allowed says that the new one allows it.
	Allowed bool `json:"allowed"`
}

// writtenExample is an example where it was found.
type writtenExample struct {
	policy string
	v1alpha1.Example
}

// flips asks every example of either side of both. An example that was changed is
// asked as both have it.
func flips(before, after *manifests) []flippedExample {
	all := examplesOf(after)
	seen := map[string]bool{}
	for i := range all {
		seen[all[i].key()] = true
	}
	for _, e := range examplesOf(before) {
		if !seen[e.key()] {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b writtenExample) int { return strings.Compare(a.policy, b.policy) })
	out := []flippedExample{}
	for i := range all {
		e := &all[i]
		was, wasAllowed := answered(before.Snapshot, e)
		is, isAllowed := answered(after.Snapshot, e)
		if wasAllowed == isAllowed && (was == is || !isAllowed) {
			continue
		}
		out = append(out, flippedExample{Policy: e.policy, Example: e.Name, Before: was, After: is, Allowed: isAllowed})
	}
	return out
}

// key tells two examples apart that ask for different things.
func (e *writtenExample) key() string {
	return e.policy + "\x00" + e.Name + "\x00" + compactJSON(e.Given)
}

func examplesOf(m *manifests) []writtenExample {
	var out []writtenExample
	for i := range m.Statuses {
		s := &m.Statuses[i]
		o, ok := m.Find(s)
		if !ok || s.Kind != "ExchangePolicy" {
			continue
		}
		spec, _ := o.Content["spec"].(map[string]any)
		given, _ := spec["examples"].([]any)
		targets := targetsOf(spec)
		for _, g := range given {
			e := writtenExample{policy: name(s), Example: exampleOf(g)}
			if len(e.Given.Audience)+len(e.Given.Resource) == 0 && e.Given.Scope == "" {
				// In a policy that means the policy's own targets.
				e.Given.Audience = inNamespace(s.Namespace, targets)
			}
			out = append(out, e)
		}
	}
	return out
}

func targetsOf(spec map[string]any) []string {
	target, _ := spec["target"].(map[string]any)
	clients, _ := target["clients"].([]any)
	var out []string
	for _, c := range clients {
		m, _ := c.(map[string]any)
		if n, ok := m["name"].(string); ok {
			out = append(out, n)
		}
	}
	return out
}

func inNamespace(namespace string, names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, namespace+"/"+n)
	}
	return out
}

// answered is what a snapshot says of an example.
func answered(snapshot *policy.Snapshot, e *writtenExample) (text string, allowed bool) {
	r := translate.RunExamples(snapshot, serviceOf(snapshot, e.Given.Client), []v1alpha1.Example{e.Example})[0]
	_, allowed = r.Decision.Grant()
	if text = found(&r.Decision); text == "" {
		text = "cannot be judged: " + r.Message
	}
	return text, allowed
}
