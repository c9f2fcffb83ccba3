// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// Settled says, of a stored status that differs in nothing, that only another
// object or another verdict can change that: what it waited for has happened, and
// latches. A TokenService counts replicas and is never settled, nor is a client that
// hangs on how many there are.
func (v *Verdict) Settled(stored *unstructured.Unstructured) bool {
	if v.Service != nil || v.Said.OneTime {
		return false
	}
	old, _ := stored.Object["status"].(map[string]any)
	return conditionsOf(old)[v1alpha1.ConditionProgrammed].Status == metav1.ConditionTrue
}

// Same says that both verdicts make the same status of a settled object.
func (v *Verdict) Same(other *Verdict) bool {
	a, b := v.Said, other.Said
	return v.UID == other.UID && v.Anew == other.Anew && v.Service == nil && other.Service == nil && slices.Equal(v.KeyIDs, other.KeyIDs) &&
		a.Generation == b.Generation && a.InputDigest == b.InputDigest && a.OneTime == b.OneTime && a.ClientID == b.ClientID &&
		slices.Equal(a.Unmatched, b.Unmatched) && slices.Equal(a.Conditions, b.Conditions)
}
