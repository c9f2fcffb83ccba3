// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

// value is what one Secret or ConfigMap held when it was read.
type value struct {
	version string
	keys    []string
	data    map[string][]byte
	gone    bool
	// forbidden is one that may not be read, although its place may be listed.
	forbidden bool
	dirty     bool
	// failing is since when it could not be read, of one that never was.
	failing time.Time
}

// watched is the Secrets, or the ConfigMaps, of one namespace.
type watched struct {
	data  *Data
	place place
	kick  chan struct{}

	// reading keeps two reads of one place apart.
	reading sync.Mutex
	mu      sync.Mutex // guards the rest
	cancel  context.CancelFunc
	store   cache.Store
	synced  func() bool
	values  map[string]value
	checked bool
	denied  bool
}

func (w *watched) resource() schema.GroupVersionResource {
	if w.place.source == secrets {
		return corev1.SchemeGroupVersion.WithResource("secrets")
	}
	return corev1.SchemeGroupVersion.WithResource("configmaps")
}

func (w *watched) start(ctx context.Context) {
	ctx, w.cancel = context.WithCancel(ctx)
	go w.follow(ctx)
}

func (w *watched) end() {
	if w.cancel != nil {
		w.cancel()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.values = nil
}

func (w *watched) recheck() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// follow keeps a watch going while the place may be read.
func (w *watched) follow(ctx context.Context) {
	var informer *running
	defer func() { informer.stop() }()
	wait := firstCheck
	for {
		denied, err := w.access(ctx)
		switch {
		case err != nil: // It cannot be told; what is known goes on.
		case denied:
			informer.stop()
			informer = nil
			wait = min(2*wait, accessCheck)
		case informer == nil:
			informer = w.inform(ctx)
			wait = firstCheck
		default:
			w.compare()
			wait = accessCheck
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-w.kick:
			timer.Stop()
		}
	}
}

// running is an informer with its end.
type running struct{ cancel context.CancelFunc }

func (r *running) stop() {
	if r != nil {
		r.cancel()
	}
}

func (w *watched) inform(ctx context.Context) *running {
	ctx, cancel := context.WithCancel(ctx)
	i := metadatainformer.NewFilteredMetadataInformer(w.data.meta, w.resource(), w.place.namespace, 0, cache.Indexers{}, nil).Informer()
	_ = i.SetTransform(identify)                                                                          // fails after the start only
	_ = i.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) { w.recheck() }) // likewise
	_, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { w.noticed(o) },
		UpdateFunc: func(_, o any) { w.noticed(o) },
		DeleteFunc: func(o any) { w.noticed(o) },
	})
	if err != nil {
		cancel()
		return nil
	}
	w.mu.Lock()
	w.store, w.synced = i.GetStore(), i.HasSynced
	w.mu.Unlock()
	go i.RunWithContext(ctx)
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), i.HasSynced) {
			w.compare()
		}
	}()
	return &running{cancel}
}

// noticed marks what changed.
func (w *watched) noticed(o any) {
	name, version := "", ""
	switch o := o.(type) {
	case *metav1.PartialObjectMetadata:
		name, version = o.Name, o.ResourceVersion
	case cache.DeletedFinalStateUnknown:
		_, name, _ = cache.SplitMetaNamespaceKey(o.Key)
	}
	w.mu.Lock()
	v, wanted := w.values[name]
	_, there, _ := w.storeGet(name)
	changed := wanted && !v.forbidden && (v.version != version || v.gone == there)
	if changed {
		v.dirty = true
		w.values[name] = v
	}
	w.mu.Unlock()
	if changed {
		w.data.onChange()
	}
}

func (w *watched) storeGet(name string) (version string, there bool, known bool) {
	if w.store == nil {
		return "", false, false
	}
	o, there, err := w.store.GetByKey(w.place.namespace + "/" + name)
	if err != nil || !there {
		return "", false, w.synced()
	}
	m, ok := o.(*metav1.PartialObjectMetadata)
	if !ok {
		return "", false, false
	}
	return m.ResourceVersion, true, true
}

// compare finds what changed between a read and the beginning of the watch.
func (w *watched) compare() {
	w.mu.Lock()
	changed := false
	for name, v := range w.values {
		version, there, known := w.storeGet(name)
		if known && !v.dirty && (v.forbidden || v.gone == there || (there && version != v.version)) {
			v.dirty = true
			w.values[name] = v
			changed = true
		}
	}
	w.mu.Unlock()
	if changed {
		w.data.onChange()
	}
}
