// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// onChange calls f for objects that come, go or change in what counts: the
// generation, the labels, the annotations, which only stubs have here, and whether
// they are being deleted. A status that is written wakes nobody.
func onChange(f func(metav1.Object)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { call(f, o) },
		DeleteFunc: func(o any) { call(f, o) },
		UpdateFunc: func(before, after any) {
			a, ok := before.(metav1.Object)
			b, ok2 := after.(metav1.Object)
			if ok && ok2 && a.GetUID() == b.GetUID() && a.GetGeneration() == b.GetGeneration() && maps.Equal(a.GetLabels(), b.GetLabels()) &&
				maps.Equal(a.GetAnnotations(), b.GetAnnotations()) && (a.GetDeletionTimestamp() == nil) == (b.GetDeletionTimestamp() == nil) {
				return
			}
			call(f, after)
		},
	}
}

// onEvery calls f for every event.
func onEvery(f func(metav1.Object)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { call(f, o) }, DeleteFunc: func(o any) { call(f, o) }, UpdateFunc: func(_, o any) { call(f, o) },
	}
}

func call(f func(metav1.Object), o any) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	if m, ok := o.(metav1.Object); ok {
		f(m)
	}
}
