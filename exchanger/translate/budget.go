// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// budgets refuses what a namespace has too much of: the last by name, so that
// what is there stays when more is added behind it. After the first that does
// not fit, nothing fits: a smaller one does not slip in, which would make the
// set hang on sizes rather than on names.
func (w *world) budgets() {
	most, room := cmp.Or(w.in.Budget.Objects, defaultBudgetObjects), cmp.Or(w.in.Budget.Bytes, defaultBudgetBytes)
	byNamespace := map[string][]*object{}
	for _, o := range w.objects {
		if o.namespace != "" {
			byNamespace[o.namespace] = append(byNamespace[o.namespace], o)
		}
	}
	for _, c := range w.clients {
		c.bytes += w.referred(c)
	}
	for namespace, list := range byNamespace {
		if slices.Contains(w.in.Crowded, namespace) {
			for _, o := range list {
				o.problem(v1alpha1.ReasonQuotaExceeded, "metadata.namespace",
					"all namespaces together have more than a snapshot has room for, and %s is one of those that take the most of it: delete what is not needed, or ask the platform for smaller budgets", namespace)
			}
			continue
		}
		slices.SortStableFunc(list, func(a, b *object) int {
			return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(rank(a.kind), rank(b.kind)))
		})
		count, bytes := 0, 0
		for _, o := range list {
			count++
			bytes += o.bytes
			if count > most || bytes > room {
				o.problem(v1alpha1.ReasonQuotaExceeded, "metadata.namespace",
					"namespace %s may have %d objects with %d bytes of spec together; this one, by name, is beyond that: delete others, or ask the platform for more", o.namespace, most, room)
			}
		}
	}
}

// referred is what a client brings into the snapshot out of ConfigMaps: ten
// thousand small clients that refer to one key set would be gigabytes.
func (w *world) referred(c *client) int {
	bytes := 0
	for i := range c.api.Spec.Authentication {
		in := c.api.Spec.Authentication[i].PrivateKeyJWT
		if in == nil || in.ConfigMapRef == nil {
			continue
		}
		data := w.in.ConfigMaps[types.NamespacedName{Namespace: c.namespace, Name: in.ConfigMapRef.Name}]
		bytes += min(len(data[in.ConfigMapRef.Key]), maxKeySet)
	}
	return bytes
}

// exampleEffort is what running an example costs besides its decision: 20 µs, and
// a microsecond for every 160 bytes of claims that are decoded and mapped.
func exampleEffort(e *v1alpha1.Example) int64 { return 400 + int64(len(e.Given.Claims.Raw)/8) }

// affords takes an example's own cost from what the examples of a namespace may
// still cost. Each has a whole decision before it, so that it goes as it would
// for a request, or is not run at all.
func affords(left *int64, e *v1alpha1.Example) bool {
	if *left < policy.MaxEffort+exampleEffort(e) {
		return false
	}
	*left -= exampleEffort(e)
	return true
}

// effortOf is what the examples of a namespace may still cost.
func (w *world) effortOf(namespace string) *int64 {
	left, ok := w.effort[namespace]
	if !ok {
		left = new(int64)
		*left = cmp.Or(w.in.Budget.Effort, defaultBudgetEffort)
		w.effort[namespace] = left
	}
	return left
}

// selectionsPerPair says how many clients, or namespaces, selectors may look at
// for each pair that a namespace may have: 10,000,000 by default, at most 1 s.
const selectionsPerPair = 10

// spent is what a namespace has used of its budget.
type spent struct {
	pairs, selections int
	// texts are its expressions, and bytes their length.
	texts map[string]bool
	bytes int
}

func (w *world) spentBy(namespace string) *spent {
	s, ok := w.spent[namespace]
	if !ok {
		s = &spent{texts: map[string]bool{}}
		w.spent[namespace] = s
	}
	return s
}

func (w *world) pairsBudget() int { return cmp.Or(w.in.Budget.Pairs, defaultBudgetPairs) }

// looksAt takes what a selector looks at from the budget.
func (w *world) looksAt(p *grant, field string, n int) bool {
	s := w.spentBy(p.namespace)
	if s.selections+n > selectionsPerPair*w.pairsBudget() {
		p.problem(v1alpha1.ReasonQuotaExceeded, field, "the selectors of namespace %s look at more clients and namespaces than they may together; name clients, or write fewer selectors", p.namespace)
		return false
	}
	s.selections += n
	return true
}

// pairs takes the pairs of clients and targets of a policy from the budget: the
// last policies by name are beyond it. A small selector in many small policies
// would be gigabytes otherwise.
func (w *world) pairs(p *grant) {
	n := max(len(p.spec.Clients), 1) * len(p.spec.Targets)
	s := w.spentBy(p.namespace)
	if s.pairs+n > w.pairsBudget() {
		p.problem(v1alpha1.ReasonQuotaExceeded, "spec",
			"the policies of namespace %s may name %d pairs of a client and a target together; this one, by name, is beyond that: select fewer clients, or ask the platform for more", p.namespace, w.pairsBudget())
		// After the first that does not fit, nothing fits.
		s.pairs = w.pairsBudget()
		p.spec.Clients = nil
		return
	}
	s.pairs += n
}

// compiles takes an expression that the namespace has not had yet from its budget.
// Others' equal ones make no difference: what one namespace has is no matter of
// another's.
func (w *world) compiles(o *object, field, text string) bool {
	s, most := w.spentBy(o.namespace), cmp.Or(w.in.Budget.Expressions, defaultBudgetText)
	if o.namespace == "" || s.texts[text] {
		return true
	}
	if s.bytes+len(text) > most {
		s.bytes = most
		o.problem(v1alpha1.ReasonQuotaExceeded, field, "the different expressions of namespace %s may have %d bytes together: delete some, or ask the platform for more", o.namespace, most)
		return false
	}
	s.texts[text] = true
	s.bytes += len(text)
	return true
}
