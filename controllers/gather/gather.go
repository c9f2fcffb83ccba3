// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// Key names an object of one of our kinds.
type Key struct {
	Kind string
	types.NamespacedName
}

// Gathered is everything at one moment.
type Gathered struct {
	// Input has the objects and what they refer to; how to judge them is for the
	// caller to add.
	Input translate.Input
	// Stored are the objects as they are stored, with their status. They are shared
	// with the cache and must not be changed.
	Stored map[Key]*unstructured.Unstructured
}

// Gatherer reads a cluster. It is for one goroutine.
type Gatherer struct {
	cache     client.Reader
	data      *Data
	health    *Health
	namespace string
	known     map[Key]known
}

// known is an object that was decoded before. The cache replaces an object when it
// changes and never alters it, so that the same map is the same content: a resource
// version would say so too, but not after an etcd was restored.
type known struct {
	content map[string]any
	decoded decoded
}

// NewGatherer returns a Gatherer. The reader is a cache of unstructured objects;
// health watches over it.
func NewGatherer(cache client.Reader, data *Data, health *Health, operatorNamespace string) *Gatherer {
	return &Gatherer{cache: cache, data: data, health: health, namespace: operatorNamespace, known: map[Key]known{}}
}

// Gather reads everything. An error says that something cannot be told; then
// nothing may be made of the rest.
func (g *Gatherer) Gather(ctx context.Context) (*Gathered, error) {
	if err := g.health.Problem(); err != nil {
		return nil, err
	}
	out := &Gathered{Stored: map[Key]*unstructured.Unstructured{}}
	out.Input.OperatorNamespace = g.namespace
	wanted := references{}
	next := make(map[Key]known, len(g.known))
	for _, kind := range Kinds() {
		list, err := List(ctx, g.cache, kind)
		if err != nil {
			return nil, err
		}
		room(&out.Input.Objects, kind, len(list))
		for i := range list {
			u := &list[i]
			key := Key{kind, client.ObjectKeyFromObject(u)}
			k, ok := g.known[key]
			if !ok || !same(k.content, u.Object) {
				k = known{u.Object, decode(kind, u)}
			}
			next[key] = k
			out.Stored[key] = u
			k.decoded.add(&out.Input.Objects)
			wanted.add(g.namespaceOf(u), k.decoded.refs)
		}
	}
	g.known = next
	var err error
	if out.Input.Namespaces, err = g.namespaces(ctx); err != nil {
		return nil, err
	}
	if err := g.data.resolve(ctx, wanted, &out.Input); err != nil {
		return nil, err
	}
	// What fell behind while all this was read makes it a mixture of then and now.
	return out, g.health.Problem()
}

// namespaceOf is where the Secrets and ConfigMaps of an object lie.
func (g *Gatherer) namespaceOf(u *unstructured.Unstructured) string {
	if ns := u.GetNamespace(); ns != "" {
		return ns
	}
	return g.namespace
}

func (g *Gatherer) namespaces(ctx context.Context) (map[string]map[string]string, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(NamespaceGVK().GroupVersion().WithKind("NamespaceList"))
	if err := g.cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	out := make(map[string]map[string]string, len(list.Items))
	for i := range list.Items {
		out[list.Items[i].Name] = list.Items[i].Labels
	}
	return out, nil
}

// List lists the objects of a kind as they are cached. They must not be changed.
func List(ctx context.Context, cache client.Reader, kind string) ([]unstructured.Unstructured, error) {
	list := newList(kind)
	if err := cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list %s: %w", kind, err)
	}
	return list.Items, nil
}
