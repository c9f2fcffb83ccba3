// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// NamespaceGVK is the kind of namespaces, of which metadata alone is cached.
func NamespaceGVK() schema.GroupVersionKind { return corev1.SchemeGroupVersion.WithKind("Namespace") }

// CRDGVK is the kind of CRDs, of which metadata alone is cached.
func CRDGVK() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
}

// Metadata is an empty object of a kind of which metadata alone is cached.
func Metadata(gvk schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(gvk)
	return o
}

// Slim takes from an object what nobody here reads, before it is cached: managed
// fields, which are often longer than the object, and, of our kinds, annotations,
// which can be 256 KiB.
func Slim(in any) (any, error) {
	o, err := meta.Accessor(in)
	if err != nil {
		return in, nil //nolint:nilerr // a tombstone has no metadata to slim
	}
	o.SetManagedFields(nil)
	if _, ours := in.(*unstructured.Unstructured); ours {
		o.SetAnnotations(nil)
	}
	if pod, ok := in.(*corev1.Pod); ok {
		*pod = corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
				Labels: pod.Labels, DeletionTimestamp: pod.DeletionTimestamp,
			},
			Status: corev1.PodStatus{Phase: pod.Status.Phase, Conditions: pod.Status.Conditions},
		}
	}
	return in, nil
}

// same says whether two contents are one.
func same(a, b map[string]any) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}
