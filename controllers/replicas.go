// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

const (
	// maxRevision is the largest revision that a pointer can have.
	maxRevision = 1<<53 - 1
	// maxAhead is how far beyond what is published a replica can know more: etcd was
	// set back that many publications. One every second takes 194 days for it. It is a
	// small part of what replicas follow at once: one that was cut off from the API
	// server while forged acknowledgements moved the number 256 times, which takes them
	// 42 minutes, still follows.
	maxAhead = wire.MaxAhead >> 8
	// maxUnpublished is the same where nothing is published: what is published next is
	// followed by a replica of any smaller revision. One every second takes 136 years.
	maxUnpublished = wire.MaxAhead - 1
	// maxFollowed leaves room for a replica that starts to follow.
	maxFollowed = maxRevision - wire.MaxAhead - 1
	// raiseEvery is how often everything is published anew, with nothing changed, since
	// a replica knows of a newer revision. Once is enough after etcd was set back.
	raiseEvery = 10 * time.Second
	// complainEvery is how often it is told that a replica says what cannot be.
	complainEvery = time.Minute
)

// ears are what the operator remembers of what it heard.
type ears struct {
	// published is the revision that is published, as far as it is known.
	published uint64
	// floor is the largest revision that a replica has spoken of, as far as it can be
	// true and may be followed now. What is published must be beyond it.
	floor uint64
	// formats are what those can read that serve or are about to.
	formats [][]int32
	// raised is when something was last published because of the floor.
	raised time.Time
	// complained is when a revision that cannot be was last told of.
	complained time.Time
	// later asks for another look when the floor may be followed again.
	later *time.Timer
}

// voice is what one replica that serves has said.
type voice struct {
	revision, refused uint64
	digest            string
}

// hear reads what the replicas have acknowledged, and which of them serve.
func (op *Operator) hear(ctx context.Context) error {
	if err := op.health.Problem(); err != nil {
		return err
	}
	var pods corev1.PodList
	if err := op.cache.List(ctx, &pods, client.InNamespace(op.options.Namespace), client.MatchingLabelsSelector{Selector: op.options.Replicas}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list the exchanger's Pods: %w", err)
	}
	op.appoint(ctx, pods.Items)
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gather.GVK(gather.ExchangerReplica + "List"))
	if err := op.cache.List(ctx, list, client.InNamespace(op.options.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list ExchangerReplicas: %w", err)
	}
	var err error
	if op.ears.published, err = op.published(ctx); err != nil {
		return err
	}
	spoken := map[string]*v1alpha1.ExchangerReplica{}
	floor := uint64(0)
	for i := range list.Items {
		r, err := replicaOf(&list.Items[i])
		if err != nil {
			continue // one that cannot be read has acknowledged nothing
		}
		spoken[r.Name] = r
		for _, n := range [...]uint64{numbered(r.Spec.Revision), refused(r)} {
			if n > most(op.ears.published) {
				op.complain(ctx, &list.Items[i], n)
				continue
			}
			floor = max(floor, n)
		}
	}
	op.follow(floor)
	op.ears.formats = nil
	var heard []voice
	for i := range pods.Items {
		pod := &pods.Items[i]
		r := spoken[pod.Name]
		if r != nil && ownedBy(r, pod) && pod.DeletionTimestamp == nil {
			// What one reads that is coming up counts, too: after a rollback it does not
			// serve before it can read what is published.
			op.ears.formats = append(op.ears.formats, r.Spec.ReadsFormats)
		}
		if !serves(pod) {
			continue
		}
		if r == nil || !ownedBy(r, pod) {
			heard = append(heard, voice{})
			continue
		}
		heard = append(heard, voice{numbered(r.Spec.Revision), refused(r), r.Spec.Digest})
	}
	op.book.hear(heard, op.options.SharedStore)
	return nil
}

// published is the revision that is published; 0 is none, or none that can be told.
// Before this process has published, or found that there is nothing to publish, the
// pointer says it.
func (op *Operator) published(ctx context.Context) (uint64, error) {
	if n := op.book.revision(); n > 0 {
		return n, nil
	}
	var secret corev1.Secret
	err := op.api.Get(ctx, client.ObjectKey{Namespace: op.options.Namespace, Name: wire.PointerName}, &secret)
	if client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("read the pointer: %w", err)
	}
	p, err := wire.ParsePointer(secret.Data[wire.PointerKey])
	if err != nil {
		return 0, nil //nolint:nilerr // none, or one that is going to be replaced
	}
	return p.Revision, nil
}

// most is the largest revision that a replica can know of.
func most(published uint64) uint64 {
	if published == 0 {
		return maxUnpublished
	}
	return min(published+maxAhead, maxFollowed)
}

// complain tells of a revision that no controller can have published.
func (op *Operator) complain(ctx context.Context, of *unstructured.Unstructured, revision uint64) {
	if time.Since(op.ears.complained) < complainEvery {
		return
	}
	op.ears.complained = time.Now()
	op.options.Log.WarnContext(ctx, "a replica speaks of a revision that cannot have been published, which counts for nothing: "+
		"look into its Pod, and delete it; if etcd was set back very far, restart all of the exchanger's Pods",
		"pod", of.GetName(), "revision", revision, "published", op.ears.published)
	op.events.implausible(of)
}

// follow takes over a floor. What is published is moved beyond it at once, and then
// not again for a time: whoever speaks of more and more must not have everything
// published without end.
func (op *Operator) follow(floor uint64) {
	op.ears.floor = floor
	wait := raiseEvery - time.Since(op.ears.raised)
	if floor <= op.ears.published || wait <= 0 {
		return
	}
	op.ears.floor = op.ears.published
	if op.ears.later == nil {
		op.ears.later = time.AfterFunc(wait, op.Spoken)
		return
	}
	op.ears.later.Reset(wait)
}

// raising notes that a run is about to move what is published beyond a floor.
func (op *Operator) raising() {
	if op.ears.floor > op.ears.published {
		op.ears.raised = time.Now()
	}
}

// behind says whether a replica knows of a newer revision than the one published:
// the API server was set back to an older state. Or whether the replicas read another
// format than the one that is published.
func (op *Operator) behind() bool {
	format, ok := wire.ChooseFormat(op.ears.formats)
	return op.ears.floor > op.ears.published || (ok && op.format != 0 && format != op.format)
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

// numbered is a revision; 0 when it cannot be one.
func numbered(revision int64) uint64 {
	if revision < 0 || revision > maxRevision {
		return 0
	}
	return uint64(revision)
}

func refused(r *v1alpha1.ExchangerReplica) uint64 {
	if r.Spec.Refused == nil {
		return 0
	}
	return numbered(r.Spec.Refused.Revision)
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
