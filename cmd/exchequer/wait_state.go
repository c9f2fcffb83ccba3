// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// noColor is for lines of which nothing is worth a colour.
func noColor(string) string { return "dumb" }

// seenCondition is a condition as it was found.
type seenCondition struct {
	kind, status, reason, message string
	generation                    int64
}

// conditionsIn reads the conditions of an object, whatever stands there.
func conditionsIn(o *unstructured.Unstructured) []seenCondition {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	out := make([]seenCondition, 0, len(list))
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			continue
		}
		text := func(key string) string { s, _ := m[key].(string); return s }
		c := seenCondition{kind: text("type"), status: text("status"), reason: text("reason"), message: text("message")}
		c.generation, _ = m["observedGeneration"].(int64)
		out = append(out, c)
	}
	return out
}

// isTrue says whether a condition is true of the generation that is there.
func isTrue(o *unstructured.Unstructured, kind string) bool {
	for _, c := range conditionsIn(o) {
		if c.kind == kind {
			return c.status == string(metav1.ConditionTrue) && c.generation == o.GetGeneration()
		}
	}
	return false
}

// state says in one line what keeps the object from being as wanted.
func (w *waiter) state() string {
	switch {
	case w.failed != nil:
		return "the cluster does not answer: " + w.failed.Error()
	case w.last == nil:
		return "it is not there"
	case w.what == forGone:
		return goneState(w.last)
	}
	conditions := conditionsIn(w.last)
	if len(conditions) == 0 {
		return "it has no status: is the controller running?"
	}
	wanted := v1alpha1.ConditionProgrammed
	if w.what == forReady {
		wanted = v1alpha1.ConditionReady
	}
	var parts []string
	found := false
	for _, c := range conditions {
		found = found || c.kind == wanted
		if text := missing(c, wanted, w.last.GetGeneration()); text != "" {
			if c.kind == wanted {
				parts = append([]string{text}, parts...)
				continue
			}
			parts = append(parts, text)
		}
	}
	if !found {
		parts = append([]string{wanted + " is not there yet"}, parts...)
	}
	return strings.Join(parts, "; ")
}

// missing says of a condition why it does not hold; nothing where it does.
func missing(c seenCondition, wanted string, generation int64) string {
	switch {
	case c.generation != generation && c.kind == wanted:
		return fmt.Sprintf("%s is about generation %d, and the object is at %d: the controller has not got to it", c.kind, c.generation, generation)
	case c.generation != generation || c.status == string(metav1.ConditionTrue):
		return ""
	case c.kind != wanted && c.kind == v1alpha1.ConditionReady:
		return "" // It sums up the others.
	}
	text := c.kind + " is " + c.status + " (" + c.reason + ")"
	if c.message != "" {
		text += ": " + c.message
	}
	return text
}

func goneState(o *unstructured.Unstructured) string {
	switch {
	case o.GetDeletionTimestamp() == nil:
		return "it is there, and nobody has deleted it"
	case len(o.GetFinalizers()) > 0:
		return "it is being deleted, and waits for " + strings.Join(o.GetFinalizers(), ", ")
	}
	return "it is being deleted"
}
