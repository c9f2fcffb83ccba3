// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"testing"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

func TestANamespaceThatTheSnapshotHasNoRoomForGrantsNothingAndSaysSo(t *testing.T) {
	t.Parallel()
	in := mainJob(t)
	in.Crowded = []string{"media", "elsewhere"}
	got := translate.Translate(in)
	for i := range got.Spec.Clients {
		if c := &got.Spec.Clients[i]; c.Namespace == "media" {
			t.Errorf("client %s is in force", c.Name)
		}
	}
	for i := range got.Spec.Policies {
		if p := &got.Spec.Policies[i]; p.Namespace == "media" {
			t.Errorf("policy %s is in force", p.Name)
		}
	}
	seen := 0
	for i := range got.Statuses {
		s := &got.Statuses[i]
		quota := s.Condition(v1alpha1.ConditionAccepted).Reason == v1alpha1.ReasonQuotaExceeded
		if quota != (s.Namespace == "media") {
			t.Errorf("%s %s/%s: %+v", s.Kind, s.Namespace, s.Name, s.Condition(v1alpha1.ConditionAccepted))
		}
		if quota {
			seen++
		}
	}
	if seen == 0 || len(got.Spec.Services) == 0 || len(got.Spec.Issuers) == 0 {
		t.Errorf("%d objects are out, %d TokenServices and %d TrustedIssuers in force", seen, len(got.Spec.Services), len(got.Spec.Issuers))
	}
}
