// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// conditionsOf reads the conditions of a stored status. What is not one is passed
// over: a status can hold anything that somebody wrote into it.
func conditionsOf(status map[string]any) map[string]metav1.Condition {
	list, _ := status["conditions"].([]any)
	out := make(map[string]metav1.Condition, len(list))
	for _, item := range list {
		m, _ := item.(map[string]any)
		c := metav1.Condition{}
		c.Type, _ = m["type"].(string)
		status, _ := m["status"].(string)
		c.Status = metav1.ConditionStatus(status)
		c.Reason, _ = m["reason"].(string)
		c.Message, _ = m["message"].(string)
		c.ObservedGeneration, _ = m["observedGeneration"].(int64)
		at, _ := m["lastTransitionTime"].(string)
		if t, err := time.Parse(time.RFC3339, at); err == nil {
			c.LastTransitionTime = metav1.NewTime(t)
		}
		out[c.Type] = c
	}
	return out
}

func toList(conditions []metav1.Condition) []any {
	out := make([]any, 0, len(conditions))
	for _, c := range conditions {
		out = append(out, map[string]any{
			"type": c.Type, "status": string(c.Status), "reason": c.Reason, "message": c.Message,
			"observedGeneration": c.ObservedGeneration, "lastTransitionTime": c.LastTransitionTime.UTC().Format(time.RFC3339),
		})
	}
	return out
}

// holds says whether a stored status says everything that next does, and nothing
// else under the names that are ours. Conditions that others added are theirs.
func holds(stored, next map[string]any) bool {
	for _, field := range [...]string{"observedGeneration", "inputDigest", "unmatched", "clientID", "replicas"} {
		if !reflect.DeepEqual(stored[field], next[field]) {
			return false
		}
	}
	return sameBy("kid", stored["keys"], next["keys"], true) && sameBy("type", stored["conditions"], next["conditions"], false)
}

// sameBy compares two lists of maps by one member, in any order.
func sameBy(member string, stored, next any, exactly bool) bool {
	have, _ := stored.([]any)
	want, _ := next.([]any)
	if exactly && len(have) != len(want) {
		return false
	}
	byName := make(map[any]any, len(have))
	for _, item := range have {
		if m, ok := item.(map[string]any); ok {
			byName[m[member]] = item
		}
	}
	for _, item := range want {
		m, ok := item.(map[string]any)
		if !ok || !reflect.DeepEqual(byName[m[member]], item) {
			return false
		}
	}
	return true
}
