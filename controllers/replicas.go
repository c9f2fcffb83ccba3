// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/controllers/status"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// maxPlausible is beyond every revision that was ever published: a thousand a second
// for a hundred years are 3e12. It keeps a forged acknowledgement from using up all
// numbers.
const maxPlausible = 1 << 42

// hear reads what the replicas have acknowledged, and which of them serve.
func (op *Operator) hear(ctx context.Context) error {
	if err := op.health.Problem(); err != nil {
		return err
	}
	var pods corev1.PodList
	if err := op.cache.List(ctx, &pods, client.InNamespace(op.options.Namespace), client.MatchingLabelsSelector{Selector: op.options.Replicas}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list the exchanger's Pods: %w", err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gather.GVK(gather.ExchangerReplica + "List"))
	if err := op.cache.List(ctx, list, client.InNamespace(op.options.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list ExchangerReplicas: %w", err)
	}
	spoken := map[string]*v1alpha1.ExchangerReplica{}
	op.floor, op.formats = 0, nil
	for i := range list.Items {
		r, err := replicaOf(&list.Items[i])
		if err != nil {
			continue // one that cannot be read has acknowledged nothing
		}
		spoken[r.Name] = r
		op.floor = max(op.floor, plausible(r.Spec.Revision), refused(r))
	}
	heard := status.Replicas{SharedStore: op.options.SharedStore}
	for i := range pods.Items {
		pod := &pods.Items[i]
		r := spoken[pod.Name]
		if r != nil && ownedBy(r, pod) && pod.DeletionTimestamp == nil {
			// What one reads that is coming up counts, too: after a rollback it does not
			// serve before it can read what is published.
			op.formats = append(op.formats, r.Spec.ReadsFormats)
		}
		if !serves(pod) {
			continue
		}
		if r == nil || !ownedBy(r, pod) {
			heard.Acknowledged, heard.Refused = append(heard.Acknowledged, 0), append(heard.Refused, 0)
			continue
		}
		heard.Acknowledged, heard.Refused = append(heard.Acknowledged, plausible(r.Spec.Revision)), append(heard.Refused, refused(r))
	}
	op.book.hear(heard)
	return nil
}

// behind says whether a replica knows of a newer revision than the one published:
// the API server was set back to an older state. Or whether the replicas read another
// format than the one that is published.
func (op *Operator) behind() bool {
	format, ok := wire.ChooseFormat(op.formats)
	return op.floor > op.book.revision() || (ok && op.format != 0 && format != op.format)
}

func replicaOf(u *unstructured.Unstructured) (*v1alpha1.ExchangerReplica, error) {
	r := &v1alpha1.ExchangerReplica{}
	text, err := json.Marshal(u.Object["spec"])
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &r.Spec); err != nil {
		return nil, err
	}
	r.Name, r.OwnerReferences = u.GetName(), u.GetOwnerReferences()
	return r, nil
}

func plausible(revision int64) uint64 {
	if revision < 0 || revision > maxPlausible {
		return 0
	}
	return uint64(revision)
}

func refused(r *v1alpha1.ExchangerReplica) uint64 {
	if r.Spec.Refused == nil {
		return 0
	}
	return plausible(r.Spec.Refused.Revision)
}

// ownedBy says whether the acknowledgement is of this Pod, and not of one before it
// that had its name.
func ownedBy(r *v1alpha1.ExchangerReplica, pod *corev1.Pod) bool {
	for _, o := range r.OwnerReferences {
		if o.Kind == "Pod" && o.UID == pod.UID {
			return true
		}
	}
	return false
}

// serves says whether requests may reach a Pod.
func serves(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
