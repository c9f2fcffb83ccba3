// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/controllers"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
	"github.com/exchequer-dev/exchequer/test/cluster"
)

// bench is one measurement's surroundings.
type bench struct {
	*testing.B

	api       client.WithWatch
	namespace string
}

func (b *bench) apply(doc string) error {
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
		return err
	}
	return b.api.Apply(b.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("bench"), client.ForceOwnership)
}

// fill makes policies, ten to a namespace, each with a client and a target.
func (b *bench) fill(policies int) []string {
	var names []string
	group, _ := errgroup.WithContext(b.Context())
	group.SetLimit(16)
	for i := range (policies + 9) / 10 {
		ns := fmt.Sprintf("%s-%d", b.namespace, i)
		names = append(names, ns)
		group.Go(func() error {
			if err := b.api.Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}); err != nil {
				return err
			}
			docs := split(clients(ns))
			for n := range min(10, policies-10*i) {
				docs = append(docs, grant(ns, fmt.Sprintf("policy-%d", n)))
			}
			for _, doc := range docs {
				if err := b.apply(doc); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for _, doc := range split(platform()) {
		group.Go(func() error { return b.apply(doc) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return names
}

// moves follows the pointer.
func (b *bench) moves() <-chan wire.Pointer {
	out := make(chan wire.Pointer, 64)
	w, err := b.api.Watch(b.Context(), &corev1.SecretList{}, client.InNamespace(b.namespace),
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", wire.PointerName)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.Stop)
	go func() {
		defer close(out)
		for e := range w.ResultChan() {
			if s, ok := e.Object.(*corev1.Secret); ok {
				if p, err := wire.ParsePointer(s.Data[wire.PointerKey]); err == nil {
					out <- p
				}
			}
		}
	}()
	return out
}

// BenchmarkApplyToPointer measures the way of one changed policy from kubectl to the
// pointer, and what it writes.
func BenchmarkApplyToPointer(b *testing.B) {
	plane := cluster.Shared(b)
	for _, policies := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("policies=%d", policies), func(b *testing.B) {
			config := plane.Admin()
			config.QPS = -1
			api, err := client.NewWithWatch(config, client.Options{})
			if err != nil {
				b.Fatal(err)
			}
			m := &bench{B: b, api: api, namespace: plane.Namespace(b)}
			namespaces := m.fill(policies)
			b.Cleanup(func() { m.empty(namespaces) })
			moves := m.moves()
			mgr, op, err := controllers.New(config, controllers.Options{
				Namespace: m.namespace, Replicas: labels.SelectorFromSet(replicaLabels), Log: slog.New(slog.DiscardHandler),
			}, controllers.Process{Logger: logr.Discard()})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error, 1)
			start := time.Now()
			go func() { done <- mgr.Start(ctx) }()
			<-moves
			b.ReportMetric(time.Since(start).Seconds(), "s/start")
			b.Cleanup(func() { cancel(); <-done })
			m.measure(op, moves, namespaces[0])
		})
	}
}

func (b *bench) measure(op *controllers.Operator, moves <-chan wire.Pointer, namespace string) {
	var took []time.Duration
	before := op.Written()
	i := 0
	for b.Loop() {
		i++
		doc := grant(namespace, "policy-0")
		doc += fmt.Sprintf("  token: {lifetime: %ds}\n", 60+i)
		start := time.Now()
		if err := b.apply(doc); err != nil {
			b.Fatal(err)
		}
		<-moves
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "ms/p50")
	b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "ms/p99")
	b.ReportMetric(float64(op.Written()-before)/float64(len(took)), "B/change")
}

func (b *bench) empty(namespaces []string) {
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(16)
	for _, ns := range namespaces {
		for _, kind := range []string{"ExchangePolicy", "ExchangeClient"} {
			group.Go(func() error {
				u := &unstructured.Unstructured{}
				u.SetAPIVersion("exchequer.dev/v1alpha1")
				u.SetKind(kind)
				return b.api.DeleteAllOf(ctx, u, client.InNamespace(ns))
			})
		}
	}
	if err := group.Wait(); err != nil {
		b.Error(err)
	}
}
