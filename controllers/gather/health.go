// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Health knows which kinds' caches follow the API server. A cache whose list or
// watch was refused still has its last objects; they must not be taken for the
// present ones. The zero value is ready.
type Health struct {
	mu     sync.Mutex
	states map[string]error
	// since is when the first of those began that are behind now.
	since time.Time
	// OnChange is called when a kind falls behind or catches up. It must not block.
	OnChange func()
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

func (h *Health) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

// behind is called with the lock held.
func (h *Health) behind() bool {
	for _, err := range h.states {
		if err != nil {
			return true
		}
	}
	return false
}

// Behind is how long some kind has been behind, without a moment at which all were
// followed; 0 when none is.
func (h *Health) Behind() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() {
		return 0
	}
	return h.now().Sub(h.since)
}

// errNotListed is the state of a kind before its first list.
var errNotListed = errors.New("it was not listed yet")

// NewInformer makes the informers of a cache, watched.
func (h *Health) NewInformer(lw cache.ListerWatcher, o runtime.Object, resync time.Duration, indexers cache.Indexers) cache.SharedIndexInformer {
	name := o.GetObjectKind().GroupVersionKind().Kind
	if name == "" {
		name = strings.TrimPrefix(fmt.Sprintf("%T", o), "*")
	}
	h.note(name, errNotListed)
	return cache.NewSharedIndexInformer(&observed{ListerWatcherWithContext: cache.ToListerWatcherWithContext(lw), health: h, name: name}, o, resync, indexers)
}

func (h *Health) note(name string, err error) {
	h.mu.Lock()
	if h.states == nil {
		h.states = map[string]error{}
	}
	was, known := h.states[name]
	h.states[name] = err
	switch behind := h.behind(); {
	case !behind:
		h.since = time.Time{}
	case h.since.IsZero():
		h.since = h.now()
	}
	h.mu.Unlock()
	if known && (was == nil) != (err == nil) && h.OnChange != nil {
		h.OnChange()
	}
}

// Problem returns what is behind, or nil.
func (h *Health) Problem() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var behind []string
	for name, err := range h.states {
		if err != nil {
			behind = append(behind, fmt.Sprintf("%s cannot be listed or watched: %s", name, err))
		}
	}
	if behind == nil {
		return nil
	}
	slices.Sort(behind)
	return errors.New(strings.Join(behind, "; "))
}

// observed tells the health of what it lists and watches.
type observed struct {
	cache.ListerWatcherWithContext

	health *Health
	name   string
}

// List is for callers of old; the reflector uses the one with a context.
func (o *observed) List(options metav1.ListOptions) (runtime.Object, error) {
	return o.ListWithContext(context.Background(), options)
}

// Watch is for callers of old; the reflector uses the one with a context.
func (o *observed) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return o.WatchWithContext(context.Background(), options)
}

// ListWithContext lists.
func (o *observed) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list, err := o.ListerWatcherWithContext.ListWithContext(ctx, options)
	o.note(ctx, err)
	return list, err
}

// WatchWithContext watches.
func (o *observed) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	err := o.reached(ctx, options.ResourceVersion)
	var w watch.Interface
	if err == nil {
		w, err = o.ListerWatcherWithContext.WatchWithContext(ctx, options)
	}
	o.note(ctx, err)
	return w, err
}

// reached refuses to watch from a version that the API server has yet to reach: its
// etcd was restored, and it would neither fail nor say a word until it gets there.
// Told that the version is gone, the reflector lists everything anew. Every watch
// ends with its API server, so that each is asked about before it goes on.
func (o *observed) reached(ctx context.Context, version string) error {
	if version == "" || version == "0" {
		return nil
	}
	list, err := o.ListerWatcherWithContext.ListWithContext(ctx, metav1.ListOptions{Limit: 1}) // no version: what etcd has now
	if err != nil {
		return err
	}
	now, err := meta.ListAccessor(list)
	if err != nil {
		return err
	}
	order, err := resourceversion.CompareResourceVersion(version, now.GetResourceVersion())
	if err == nil && order > 0 {
		return apierrors.NewResourceExpired(fmt.Sprintf("version %s was seen, the API server is at %s: was etcd restored?", version, now.GetResourceVersion()))
	}
	return nil // versions that cannot be compared are left to the API server
}

func (o *observed) note(ctx context.Context, err error) {
	if ctx.Err() == nil { // whoever stops is not behind
		o.health.note(o.name, err)
	}
}
