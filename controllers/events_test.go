// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// heard records events.
type heard struct{ notes []string }

func (h *heard) Eventf(_, _ runtime.Object, kind, reason, _, note string, args ...any) {
	if kind != corev1.EventTypeWarning || len(args) > 0 {
		note = "not constant: " + note
	}
	h.notes = append(h.notes, reason+": "+note)
}

func (h *heard) AnnotatedEventf(_, _ runtime.Object, _ map[string]string, kind, reason, action, note string, args ...any) {
	h.Eventf(nil, nil, kind, reason, action, note, args...)
}

func readyStatus(status, reason, message string) map[string]any {
	return map[string]any{"conditions": []any{map[string]any{"type": v1alpha1.ConditionReady, "status": status, "reason": reason, "message": message}}}
}

func TestF274EventsAreMadeOnceAndSayNothingOfWhatAnObjectHolds(t *testing.T) {
	t.Parallel()
	const told = "Accepted: claim department of alice@corp.example in namespace media"
	for name, of := range map[string]struct {
		before, next map[string]any
		want         int
	}{
		"an object that becomes invalid":       {readyStatus("True", "Ready", ""), readyStatus("False", "Invalid", told), 1},
		"a new one that is invalid":            {nil, readyStatus("False", "InvalidExpression", told), 1},
		"one that still is":                    {readyStatus("False", "Invalid", told), readyStatus("False", "Invalid", told+" and more"), 0},
		"one that is mended":                   {readyStatus("False", "Invalid", told), readyStatus("True", "Ready", ""), 0},
		"one that waits for replicas":          {readyStatus("True", "Ready", ""), readyStatus("False", "Pending", told), 0},
		"one that has another trouble now":     {readyStatus("False", "Invalid", told), readyStatus("False", "SecretNotFound", told), 1},
		"a reason that nobody has heard of":    {nil, readyStatus("False", "Surprise", told), 0},
		"a suspended one, which is Ready":      {nil, readyStatus("True", "Suspended", told), 0},
		"a TokenService under CRDs of old":     {nil, readyStatus("False", "CRDOutdated", told), 1},
		"an issuer whose keys were never seen": {nil, readyStatus("False", "NeverFetched", told), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &heard{}
			(&announcer{h}).tell(&unstructured.Unstructured{Object: map[string]any{"status": of.before}}, of.next)
			if len(h.notes) != of.want {
				t.Fatalf("%d events: %q", len(h.notes), h.notes)
			}
			for _, n := range h.notes {
				if strings.ContainsAny(n, "%@") || strings.Contains(n, "not constant") || strings.Contains(n, "media") {
					t.Errorf("it says too much: %s", n)
				}
			}
		})
	}
}
