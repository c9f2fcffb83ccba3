// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The label that says where a Pod of the exchanger keeps one-time state, as its
// --store does.
const (
	storeLabel  = "exchequer.dev/store"
	storeMemory = "memory"
)

// appoint names the only Pod of the exchanger, which alone may keep one-time state
// in its memory.
//
// A Pod counts from the moment that it is there, long before it is ready, until its
// containers have ended: as long as anything of it could accept an assertion. So
// whoever is named was alone at some moment, and whoever was named before it had
// ended by then, for good: a UID never comes back. Package store says why that is
// enough, however late and however often a name is written or heard.
//
// What remains are Pods that run on though the API server has none any more, or none
// with these labels: deleted by force on a node that is cut off, or relabelled.
func (op *Operator) appoint(ctx context.Context, pods []corev1.Pod) {
	only := onlyOf(pods)
	var uid types.UID
	if only != nil {
		uid = only.UID
	}
	err := op.name(ctx, uid)
	if err != nil && ctx.Err() == nil {
		op.options.Log.ErrorContext(ctx, "who is the only replica could not be told; it is tried again", "error", err)
		op.again.Reset(retryAfter)
	}
	op.book.keeps(err == nil && only != nil && op.publisher.Appointed(uid) && serves(only) && only.Labels[storeLabel] == storeMemory)
}

// name writes a name. A cache can show, while it is filled anew, what never was: an
// answer of the API server cannot.
func (op *Operator) name(ctx context.Context, uid types.UID) error {
	if op.publisher.Appointed(uid) {
		return nil
	}
	if uid != "" {
		var now corev1.PodList
		if err := op.api.List(ctx, &now, client.InNamespace(op.options.Namespace), client.MatchingLabelsSelector{Selector: op.options.Replicas}); err != nil {
			return err
		}
		if only := onlyOf(now.Items); only == nil || only.UID != uid {
			uid = "" // The cache is about to say so, too.
		}
	}
	return op.publisher.Appoint(ctx, uid)
}

// onlyOf returns the only Pod of which anything runs or is going to; nil when there
// are several or none.
func onlyOf(pods []corev1.Pod) *corev1.Pod {
	var only *corev1.Pod
	for i := range pods {
		switch {
		case pods[i].Status.Phase == corev1.PodSucceeded || pods[i].Status.Phase == corev1.PodFailed:
		case only != nil:
			return nil
		default:
			only = &pods[i]
		}
	}
	return only
}

// keeps notes whether the only replica serves and keeps one-time state.
func (b *book) keeps(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.world.Memory = yes
}
