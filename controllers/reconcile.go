// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/controllers/status"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// FieldOwner owns the fields of every status.
const FieldOwner = "exchequer-controller"

// later is when a status is written that is about to change.
const later = time.Second

// raced is when a status is looked at again whose object somebody else wrote just
// then: a watch tells of it within milliseconds.
const raced = 20 * time.Millisecond

// statuses writes the statuses of one kind. It decides nothing: what an object's
// status should be stands in the book.
type statuses struct {
	kind    string
	cache   client.Reader
	client  client.Client
	book    *book
	now     func() metav1.Time
	rate    *rate.Limiter
	metrics *metrics
	events  *announcer
	// idle says that another controller may write statuses now, and this one must not.
	idle func() bool
	// attachedTo is called when the controller runs.
	attachedTo func()
	mu         sync.Mutex // guards queue
	queue      workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Reconcile writes one object's status, if it is not what it should be.
func (s *statuses) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	if s.idle() {
		return reconcile.Result{}, nil // Who begins to work looks at everything.
	}
	key := gather.Key{Kind: s.kind, NamespacedName: request.NamespacedName}
	verdict, world, ok := s.book.about(key)
	if !ok {
		return reconcile.Result{}, nil
	}
	stored := gather.New(s.kind)
	if err := s.cache.Get(ctx, request.NamespacedName, stored, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if string(stored.GetUID()) != verdict.UID || stored.GetGeneration() != verdict.Said.Generation {
		return reconcile.Result{}, nil // It changed since, so that a run is coming.
	}
	world.Now = s.now().Time
	next, differs := status.Next(stored, verdict, &world)
	if differs == status.None {
		return reconcile.Result{}, nil
	}
	if err := s.rate.Wait(ctx); err != nil {
		return reconcile.Result{}, err
	}
	patch := gather.New(s.kind)
	patch.SetNamespace(request.Namespace)
	patch.SetName(request.Name)
	// An object that was made again meanwhile is another. The API server heeds the
	// version here, and not the UID: of what is written to a custom resource's status it
	// passes the metadata over.
	patch.SetResourceVersion(stored.GetResourceVersion())
	patch.Object["status"] = next
	err := s.client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(patch), client.FieldOwner(FieldOwner), client.ForceOwnership)
	switch {
	case apierrors.IsNotFound(err):
		return reconcile.Result{}, nil
	case apierrors.IsConflict(err): // Made again, or written by somebody else: the cache soon tells which.
		return reconcile.Result{RequeueAfter: raced}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("write the status of %s %s: %w", s.kind, request.NamespacedName, err)
	}
	s.metrics.writes.WithLabelValues(s.kind).Inc()
	s.events.tell(stored, next)
	return reconcile.Result{}, nil
}

// attach notes the queue of the kind's controller.
func (s *statuses) attach(q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	s.mu.Lock()
	s.queue = q
	s.mu.Unlock()
	s.attachedTo()
}

func (s *statuses) attached() workqueue.TypedRateLimitingInterface[reconcile.Request] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue
}

// sweep finds the objects whose status is not what it should be.
func (op *Operator) sweep(ctx context.Context) error {
	verdicts, world := op.book.everything()
	world.Now = op.options.Now()
	settled := make(map[gather.Key]asItIs, len(op.settled))
	for _, kind := range gather.Kinds() {
		queue := op.writers[kind].attached()
		if queue == nil {
			continue // Its controller is not running yet; it asks when it does.
		}
		list, err := gather.List(ctx, op.cache, kind)
		if err != nil {
			return err
		}
		for i := range list {
			u := &list[i]
			name := client.ObjectKeyFromObject(u)
			key := gather.Key{Kind: kind, NamespacedName: name}
			v, ok := verdicts[key]
			if !ok || v.UID != string(u.GetUID()) {
				continue
			}
			if was, ok := op.settled[key]; ok && was.still(u, v) {
				settled[key] = asItIs{u.Object, v}
				continue
			}
			switch _, differs := status.Next(u, v, &world); differs {
			case status.Now:
				queue.Add(reconcile.Request{NamespacedName: name})
			case status.Later:
				queue.AddAfter(reconcile.Request{NamespacedName: name}, later)
			case status.None:
				if v.Settled(u) {
					settled[key] = asItIs{u.Object, v}
				}
			}
		}
	}
	op.settled = settled
	return nil
}

// asItIs is an object whose status is what it should be, and the verdict that it was
// compared with. Of ten thousand objects, one changes; the others need not be
// compared by every member of their status, which takes longer than all the rest.
type asItIs struct {
	content map[string]any
	verdict *status.Verdict
}

// still says that neither has changed. The cache replaces an object when it changes
// and never alters it, so that the same map is the same content.
func (a asItIs) still(u *unstructured.Unstructured, v *status.Verdict) bool {
	return reflect.ValueOf(a.content).Pointer() == reflect.ValueOf(u.Object).Pointer() && a.verdict.Same(v)
}

// extras adds what translation does not know.
func (op *Operator) extras(result *translate.Result, v *status.Verdict) {
	switch v.Said.Kind {
	case gather.TokenService:
		v.Service = &status.Service{Keys: op.keys.Keys(v.Said.Name), Certificate: op.keys.Certificate(v.Said.Name)}
		if c, ok := op.keys.Condition(v.Said.Name, v.Said.Generation); ok {
			v.Service.KeysReady = &c
		}
		for i := range result.Spec.Clients {
			c := &result.Spec.Clients[i]
			if c.TokenService == v.Said.Name && !c.Suspended && len(c.AssertionKeys) > 0 {
				v.Service.OneTime++
			}
		}
	case gather.TrustedIssuer:
		if s, ok := op.issuers.Status(v.Said.Name); ok {
			v.KeyIDs = s.KeyIDs
		}
	}
}
