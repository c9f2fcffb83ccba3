// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"slices"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
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
	for _, list := range byNamespace {
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
