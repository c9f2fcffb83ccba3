// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maxObject bounds what is kept and decoded of one object of our kinds: its labels
// and its spec as JSON. The schema alone would admit megabytes, up to etcd's 1.5 MiB
// for a request. No object that anybody writes comes near: 50 inline keys, each with a
// certificate, are about 150 KiB; 32 rules with expressions of 4 KiB, 128 KiB; 256
// delegations of 512 bytes, 128 KiB. kubectl apply, which keeps the object in an
// annotation, stores none beyond it: all annotations together end at 256 KiB.
const maxObject = 256 << 10

// maxPrefix is far beyond the schema's bound of an identity prefix.
const maxPrefix = 1 << 10

// stubMark is the member that a stub has and no stored object: the API server prunes
// what stands beside metadata, spec and status.
const stubMark = "exchequer.dev/largerThan"

// Slim takes from an object what nobody here reads, before it is cached: of our
// kinds managed fields, annotations, finalizers and owners, which can be a megabyte;
// of namespaces, of which metadata alone is cached, all but their labels. Whoever may
// write objects and nothing else must not be able to fill the memory.
func Slim(in any) (any, error) {
	switch o := in.(type) {
	case *unstructured.Unstructured:
		slimOurs(o)
	case *metav1.PartialObjectMetadata:
		o.ObjectMeta = metav1.ObjectMeta{
			Name: o.Name, Namespace: o.Namespace, UID: o.UID, ResourceVersion: o.ResourceVersion,
			Labels: o.Labels, DeletionTimestamp: o.DeletionTimestamp,
		}
	case *corev1.Pod:
		*o = corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: o.Name, Namespace: o.Namespace, UID: o.UID, ResourceVersion: o.ResourceVersion,
				Labels: o.Labels, DeletionTimestamp: o.DeletionTimestamp,
			},
			Status: corev1.PodStatus{Phase: o.Status.Phase, Conditions: o.Status.Conditions},
		}
	default:
		if m, err := meta.Accessor(in); err == nil { // a tombstone has no metadata to slim
			m.SetManagedFields(nil)
		}
	}
	return in, nil
}

// identify leaves of a Secret's or a ConfigMap's metadata what tells that it changed.
func identify(in any) (any, error) {
	if o, ok := in.(*metav1.PartialObjectMetadata); ok {
		o.ObjectMeta = metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace, UID: o.UID, ResourceVersion: o.ResourceVersion}
	}
	return in, nil
}

// slimOurs leaves of an object's metadata what is read, and of one that is too large
// a stub, which says so. Its status is what we wrote, and does not count.
func slimOurs(u *unstructured.Unstructured) {
	if _, done := tooLarge(u); done {
		return // A cache may hand over twice what it has.
	}
	from, _ := u.Object["metadata"].(map[string]any)
	kept := map[string]any{}
	for _, field := range [...]string{"name", "namespace", "uid", "resourceVersion", "generation", "labels", "deletionTimestamp"} {
		if v, ok := from[field]; ok {
			kept[field] = v
		}
	}
	if u.GetKind() == ExchangerReplica {
		for _, o := range u.GetOwnerReferences() {
			if o.Kind == "Pod" { // It has one, unless somebody else wrote it.
				kept["ownerReferences"] = []any{map[string]any{"apiVersion": o.APIVersion, "kind": o.Kind, "name": o.Name, "uid": string(o.UID)}}
				break
			}
		}
	}
	u.Object["metadata"] = kept
	if left := weigh(u.Object["spec"], weigh(kept["labels"], maxObject)); left >= 0 {
		return
	}
	stub := map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(), "metadata": kept, stubMark: int64(maxObject)}
	// Labels do not count in the generation. Without them, whoever compares what was
	// with what is sees by the annotation, which only stubs have, that it is another.
	delete(kept, "labels")
	kept["annotations"] = map[string]any{stubMark: "true"}
	if status, ok := u.Object["status"]; ok {
		stub["status"] = status
	}
	if spec, ok := u.Object["spec"].(map[string]any); ok && u.GetKind() == TrustedIssuer {
		stub["spec"] = prefixOf(spec)
	}
	u.Object = stub
}

// prefixOf is the one field that others hang on when an issuer cannot be read.
func prefixOf(spec map[string]any) map[string]any {
	v, present := spec["identityPrefix"]
	if !present {
		return map[string]any{}
	}
	if s, ok := v.(string); ok && len(s) <= maxPrefix {
		return map[string]any{"identityPrefix": s}
	}
	return map[string]any{"identityPrefix": nil}
}

// tooLarge says of a stub what it is.
func tooLarge(u *unstructured.Unstructured) (message string, is bool) {
	if _, is = u.Object[stubMark]; !is {
		return "", false
	}
	return fmt.Sprintf("labels and spec are larger than %d KiB: make several objects of it", maxObject>>10), true
}

// weigh takes the length of a value as JSON from what is left, and ends when nothing
// is.
func weigh(v any, left int) int {
	switch v := v.(type) {
	case map[string]any:
		left -= len("{}")
		for key, each := range v {
			if left -= len(key) + len(`"":,`); left < 0 {
				return left
			}
			left = weigh(each, left)
		}
		return left
	case []any:
		left -= len("[]")
		for _, each := range v {
			if left--; left < 0 {
				return left
			}
			left = weigh(each, left)
		}
		return left
	case string:
		return left - len(v) - len(`""`)
	case int64:
		return left - len(strconv.FormatInt(v, 10))
	default:
		return left - len("false") // about, like a number with a fraction
	}
}
