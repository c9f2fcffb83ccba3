// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"slices"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// gatherUnserved takes in external targets, and objects that could not be decoded. A
// suspended one counts as absent, and so says so.
func (w *world) gatherUnserved() {
	all := w.in.Objects
	for _, api := range sorted(all.ExternalTargets) {
		w.external = append(w.external, &external{object: w.add(newObject(kindTarget, &api.ObjectMeta, api.Spec.Suspend, api.Spec)), api: api})
	}
	undecodable := slices.Clone(all.Undecodable)
	slices.SortFunc(undecodable, func(a, b Undecodable) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Message, b.Message))
	})
	for _, u := range undecodable {
		o := w.add(&object{kind: u.Kind, namespace: u.Namespace, name: u.Name, generation: u.Generation})
		reason := u.Reason
		if reason == "" {
			reason = v1alpha1.ReasonInvalid
		}
		o.problem(reason, "", "%s", u.Message)
	}
}
