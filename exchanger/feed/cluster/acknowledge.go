// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// maxMessage is the schema's bound of a refusal's message.
const maxMessage = 1024

// acknowledgement is what a replica says about itself.
type acknowledgement struct {
	revision uint64
	digest   string
	refused  *refusal
}

// acknowledger writes this replica's ExchangerReplica. What it has to say waits for
// nobody: the newest is written, and what came between is not.
type acknowledger struct {
	replicas dynamic.ResourceInterface
	pod, uid string
	log      *slog.Logger
	wake     chan struct{}

	mu   sync.Mutex
	want *acknowledgement

	// last is what was written or read last, for run alone.
	last *unstructured.Unstructured
}

func newAcknowledger(objects dynamic.Interface, o Options) *acknowledger {
	resource := v1alpha1.GroupVersion.WithResource("exchangerreplicas")
	return &acknowledger{
		replicas: objects.Resource(resource).Namespace(o.Namespace), pod: o.Pod, uid: o.PodUID, log: o.Log, wake: make(chan struct{}, 1),
	}
}

// say has the acknowledgement written.
func (a *acknowledger) say(what acknowledgement) {
	a.mu.Lock()
	a.want = &what
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *acknowledger) wanted() *acknowledgement {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.want
}

// run writes what there is to say, and once a minute looks whether it still stands
// there: an etcd that was restored has forgotten it.
func (a *acknowledger) run(ctx context.Context, t *times) error {
	look := time.NewTimer(t.confirm)
	defer look.Stop()
	pace := backoff{least: min(time.Second, t.confirm/2), most: t.confirm / 2}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		case <-look.C:
			a.last = nil
		}
		want := a.wanted()
		if want == nil {
			look.Reset(t.confirm)
			continue
		}
		if err := a.write(ctx, want, t.request); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "the acknowledgement was not written; it is tried again", "revision", want.revision, "error", err)
			a.last = nil
			look.Reset(pace.next())
			continue
		}
		pace.reset()
		look.Reset(t.confirm)
	}
}

// write brings the object to say what is wanted. Two tries: what was read last may
// be outdated once.
func (a *acknowledger) write(ctx context.Context, want *acknowledgement, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var err error
	for range 2 {
		if a.last == nil {
			a.last, err = a.replicas.Get(ctx, a.pod, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				a.last, err = nil, nil
			}
			if err != nil {
				return err
			}
		}
		var written *unstructured.Unstructured
		if a.last == nil {
			written, err = a.replicas.Create(ctx, a.object(want), metav1.CreateOptions{})
		} else {
			next := a.object(want)
			if reflect.DeepEqual(next.Object["spec"], a.last.Object["spec"]) && reflect.DeepEqual(next.GetOwnerReferences(), a.last.GetOwnerReferences()) {
				return nil
			}
			next.SetResourceVersion(a.last.GetResourceVersion())
			written, err = a.replicas.Update(ctx, next, metav1.UpdateOptions{})
		}
		if err == nil {
			a.last = written
			return nil
		}
		a.last = nil
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return err
}

func (a *acknowledger) object(want *acknowledgement) *unstructured.Unstructured {
	formats := []any{}
	for _, f := range wire.ReadsFormats() {
		formats = append(formats, int64(f))
	}
	spec := map[string]any{"revision": int64(want.revision), "readsFormats": formats}
	if want.digest != "" {
		spec["digest"] = want.digest
	}
	if r := want.refused; r != nil {
		spec["refused"] = map[string]any{"revision": int64(r.revision), "reason": r.reason, "message": shorten(r.message)}
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetAPIVersion(v1alpha1.GroupVersion.String())
	u.SetKind("ExchangerReplica")
	u.SetName(a.pod)
	// The Pod's end is the end of what it says.
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: a.pod, UID: types.UID(a.uid)}
	u.SetOwnerReferences([]metav1.OwnerReference{owner})
	return u
}

// shorten keeps a message within the schema's bound, which counts characters.
func shorten(message string) string {
	message = strings.ToValidUTF8(message, "\uFFFD")
	if utf8.RuneCountInString(message) <= maxMessage {
		return message
	}
	return string([]rune(message)[:maxMessage-1]) + "…"
}
