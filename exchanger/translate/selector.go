// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

const namespaceNameLabel = "kubernetes.io/metadata.name"

// labelsOf returns the labels of a namespace. The one with its name is set by
// the API server, so that nobody can lend himself another namespace's.
func (w *world) labelsOf(namespace string) map[string]string {
	if known, ok := w.labels[namespace]; ok {
		return known
	}
	labels := map[string]string{}
	for k, v := range w.in.Namespaces[namespace] {
		labels[k] = v
	}
	labels[namespaceNameLabel] = namespace
	w.labels[namespace] = labels
	return labels
}

// checkSelector refuses requirements that are none.
func (o *object) checkSelector(field string, s *v1alpha1.Selector) {
	o.atMost(field+".matchLabels", len(s.MatchLabels), 16)
	o.atMost(field+".matchExpressions", len(s.MatchExpressions), 16)
	for k, v := range s.MatchLabels {
		if k == "" || len(k) > 317 || !isLabelValue(string(v)) {
			o.invalid(field+".matchLabels", "expected keys and values of labels")
		}
	}
	for i, r := range s.MatchExpressions {
		at := fmt.Sprintf("%s.matchExpressions[%d]", field, i)
		if r.Key == "" || len(r.Key) > 317 {
			o.invalid(at+".key", "expected the key of a label")
		}
		for _, v := range r.Values {
			if !isLabelValue(string(v)) {
				o.invalid(at+".values", "expected values of labels")
			}
		}
		o.atMost(at+".values", len(r.Values), 32)
		switch r.Operator {
		case v1alpha1.SelectorIn, v1alpha1.SelectorNotIn:
			if len(r.Values) == 0 {
				o.invalid(at+".values", "%s needs at least one value", r.Operator)
			}
		case v1alpha1.SelectorExists, v1alpha1.SelectorDoesNotExist:
			if len(r.Values) > 0 {
				o.invalid(at+".values", "%s takes no values", r.Operator)
			}
		default:
			o.invalid(at+".operator", "expected In, NotIn, Exists or DoesNotExist")
		}
	}
	if len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0 {
		o.warn("%s is empty: it selects nothing", field)
	}
}

// isLabelValue says whether v could stand on an object: at most 63 letters,
// digits, - _ and ., beginning and ending with a letter or digit.
func isLabelValue(v string) bool {
	const inner = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return len(v) <= 63 && strings.Trim(v, inner) == "" && strings.Trim(v, "-_.") == v
}

// selects says whether labels meet every requirement. An empty selector selects
// nothing: what somebody forgot to write must not mean everybody.
func selects(s *v1alpha1.Selector, labels map[string]string) bool {
	if s == nil || (len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0) {
		return false
	}
	for k, want := range s.MatchLabels {
		if v, ok := labels[k]; !ok || v != string(want) {
			return false
		}
	}
	return !slices.ContainsFunc(s.MatchExpressions, func(r v1alpha1.SelectorRequirement) bool { return !meets(&r, labels) })
}

func meets(r *v1alpha1.SelectorRequirement, labels map[string]string) bool {
	v, ok := labels[r.Key]
	in := ok && slices.Contains(r.Values, v1alpha1.LabelValue(v))
	switch r.Operator {
	case v1alpha1.SelectorIn:
		return in
	case v1alpha1.SelectorNotIn:
		return !in && len(r.Values) > 0
	case v1alpha1.SelectorExists:
		return ok
	case v1alpha1.SelectorDoesNotExist:
		return !ok
	}
	return false
}

// checkNamespaces refuses a set that is not exactly one of names, selector, all.
func (o *object) checkNamespaces(field string, s *v1alpha1.NamespaceSet) {
	var set members
	set.add("names", len(s.Names) > 0)
	set.add("selector", s.Selector != nil)
	set.add("all: true", s.All)
	if !o.exactlyOne(field, set, "names, selector and all: true") {
		return
	}
	if s.All {
		o.warn("%s: all: true is every namespace, now and later", field)
	}
	o.atMost(field+".names", len(s.Names), 256)
	for i, n := range s.Names {
		if !isLabel(n) || len(n) > 63 {
			o.invalid(fmt.Sprintf("%s.names[%d]", field, i), "expected the name of a namespace")
		}
	}
	if s.Selector != nil {
		o.checkSelector(field+".selector", s.Selector)
	}
}

// holds says whether a namespace is in the set.
func (w *world) holds(s *v1alpha1.NamespaceSet, namespace string) bool {
	switch {
	case s == nil:
		return false
	case s.All:
		return true
	case s.Selector != nil:
		return selects(s.Selector, w.labelsOf(namespace))
	}
	return slices.Contains(s.Names, namespace)
}
