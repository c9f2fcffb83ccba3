// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/recorder"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// announcer makes events of what a person must act on. Their texts are constant:
// who may read events is not who may read an object.
type announcer struct{ recorder recorder.EventRecorder }

// texts are the words of every reason that asks for somebody.
func texts(reason string) string {
	switch reason {
	case v1alpha1.ReasonInvalid, v1alpha1.ReasonNotSupported, v1alpha1.ReasonInvalidExpression, v1alpha1.ReasonConflicted,
		v1alpha1.ReasonNameNotDelegated, v1alpha1.ReasonNamespaceNotAllowed, v1alpha1.ReasonQuotaExceeded, v1alpha1.ReasonExpired:
		return "The object is not part of the policy; its condition Accepted says why."
	case v1alpha1.ReasonRefNotFound, v1alpha1.ReasonRefNotPermitted, v1alpha1.ReasonSecretNotFound:
		return "The object grants nothing, since something that it refers to is not there or may not be used; its condition ResolvedRefs says what."
	case v1alpha1.ReasonExampleFailed:
		return "The policy is not in force, since one of its examples gives something else than it expects; its condition ExamplesPassed says which."
	case v1alpha1.ReasonNeverFetched, v1alpha1.ReasonKeysExpired:
		return "Tokens of this issuer are refused, since its keys are not known; the condition Verified says why."
	case v1alpha1.ReasonNoSharedStore:
		return "The client is refused, since no one-time state is kept; the TokenService's condition StoreReady says why."
	case v1alpha1.ReasonNoKey, v1alpha1.ReasonKeysUnreadable, v1alpha1.ReasonKeysNotStored, v1alpha1.ReasonKeyUnsuitable, v1alpha1.ReasonSignerUnavailable:
		return "The signing keys are not as they should be; the condition KeysReady says why."
	case v1alpha1.ReasonCRDOutdated, v1alpha1.ReasonSnapshotTooLarge:
		return "Nothing new is published; the condition Programmed says why."
	default:
		return "" // It passes, or asks for nobody.
	}
}

// tell makes an event when an object's readiness has a new reason that asks for
// somebody.
func (a *announcer) tell(stored *unstructured.Unstructured, next map[string]any) {
	if a == nil || a.recorder == nil {
		return
	}
	before, _ := stored.Object["status"].(map[string]any)
	_, was := readiness(before)
	status, reason := readiness(next)
	text := texts(reason)
	if status != "False" || reason == was || text == "" {
		return
	}
	a.recorder.Eventf(stored, nil, corev1.EventTypeWarning, reason, "Judge", text)
}

// implausible makes an event of an ExchangerReplica that says what cannot be.
func (a *announcer) implausible(replica *unstructured.Unstructured) {
	if a == nil || a.recorder == nil {
		return
	}
	a.recorder.Eventf(replica, nil, corev1.EventTypeWarning, "RevisionNotPlausible", "Hear",
		"The replica speaks of a revision that cannot have been published, which counts for nothing; look into its Pod.")
}

func readiness(status map[string]any) (value, reason string) {
	list, _ := status["conditions"].([]any)
	for _, item := range list {
		if c, ok := item.(map[string]any); ok && c["type"] == v1alpha1.ConditionReady {
			value, _ = c["status"].(string)
			reason, _ = c["reason"].(string)
		}
	}
	return value, reason
}
