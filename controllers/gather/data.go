// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// SecretReader is the name of the ClusterRole that a RoleBinding in a namespace
// binds to let its Secrets be read, and of the RoleBinding that is noticed at once.
const SecretReader = "exchequer-secret-reader"

const (
	// maxSecretValue bounds what is kept of one value of a Secret: translation takes
	// client secrets of 4 KiB at most, and keys are smaller than 16 KiB. A namespace
	// may have 10,000 objects, so that it can make us keep 160 MiB at worst.
	maxSecretValue = 16 << 10
	// maxConfigValue is the same for ConfigMaps, which hold key sets of 256 KiB.
	maxConfigValue = 256 << 10
	// readTimeout bounds one read.
	readTimeout = 10 * time.Second
	// patience is how long a Secret that cannot be read holds everything up.
	patience = 10 * time.Second
	// readsAtOnce bounds how many reads run beside each other.
	readsAtOnce = 8
	// accessCheck is how often it is asked whether a namespace may still be read: a
	// watch that was permitted once goes on for minutes after its permission ended.
	// With 200 namespaces these are 14 requests a second, each for one name.
	accessCheck = 15 * time.Second
	// firstCheck is when a namespace that may not be read is asked for again: somebody
	// is perhaps about to permit it. Each wait is twice the one before.
	firstCheck = 2 * time.Second
)

// Data reads the Secrets and ConfigMaps that objects refer to. It watches the
// metadata of those in the namespaces where that happens, and gets only what is
// referred to: the data of no other Secret is ever asked for.
type Data struct {
	api       client.Reader
	meta      metadata.Interface
	namespace string
	account   string
	onChange  func()

	mu     sync.Mutex
	run    context.Context //nolint:containedctx // informers live as long as Start does
	places map[place]*watched
}

// place is the Secrets, or the ConfigMaps, of one namespace.
type place struct {
	source    source
	namespace string
}

// NewData returns a Data that reads with api, which must not be a cache. account is
// the ServiceAccount that a RoleBinding has to name. onChange must not block.
func NewData(api client.Reader, meta metadata.Interface, operatorNamespace, account string, onChange func()) *Data {
	return &Data{api: api, meta: meta, namespace: operatorNamespace, account: account, onChange: onChange, places: map[place]*watched{}}
}

// Start watches until ctx ends.
func (d *Data) Start(ctx context.Context) error {
	d.mu.Lock()
	d.run = ctx
	for _, w := range d.places {
		w.start(ctx)
	}
	d.mu.Unlock()
	<-ctx.Done()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.run, d.places = nil, map[place]*watched{}
	return nil
}

// references are what to read: the keys by place and name.
type references map[place]map[string][]string

func (r references) add(namespace string, refs []ref) {
	for _, each := range refs {
		if len(validation.IsDNS1123Subdomain(each.name)) > 0 {
			continue // No object has that name, and the API server must not be asked for it.
		}
		at := place{each.source, namespace}
		if r[at] == nil {
			r[at] = map[string][]string{}
		}
		if !slices.Contains(r[at][each.name], each.key) {
			r[at][each.name] = append(r[at][each.name], each.key)
		}
	}
}

// resolve reads what is referred to into in.
func (d *Data) resolve(ctx context.Context, wanted references, in *translate.Input) error {
	in.Secrets, in.SecretVersions = map[types.NamespacedName]map[string][]byte{}, map[types.NamespacedName]string{}
	in.ConfigMaps, in.ConfigMapVersions = map[types.NamespacedName]map[string]string{}, map[types.NamespacedName]string{}
	in.SecretsDenied = map[string]string{}
	list := d.watch(wanted)
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for _, w := range list {
		group.Go(func() error { return w.read(each, wanted[w.place]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, w := range list {
		if w.into(in) && w.place.source == secrets {
			in.SecretsDenied[w.place.namespace] = d.permit(w.place.namespace)
		}
	}
	return nil
}

// watch watches just the places where something is referred to.
func (d *Data) watch(wanted references) []*watched {
	d.mu.Lock()
	defer d.mu.Unlock()
	for at, w := range d.places {
		if _, still := wanted[at]; !still {
			w.end()
			delete(d.places, at)
		}
	}
	var list []*watched
	for at := range wanted {
		w, ok := d.places[at]
		if !ok {
			w = &watched{data: d, place: at, values: map[string]value{}, kick: make(chan struct{}, 1)}
			d.places[at] = w
			if d.run != nil {
				w.start(d.run)
			}
		}
		list = append(list, w)
	}
	return list
}

// permit is the RoleBinding that would let a namespace's Secrets be read.
func (d *Data) permit(namespace string) string {
	if namespace == d.namespace {
		return "the controller's Role of this namespace lacks get, list and watch of secrets: install the chart's RBAC again"
	}
	return fmt.Sprintf("permit it with the RoleBinding {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: %s, namespace: %s}, "+
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}, subjects: [{kind: ServiceAccount, name: %s, namespace: %s}]}",
		SecretReader, namespace, SecretReader, d.account, d.namespace)
}

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
	_ = i.SetTransform(Slim)                                                                              // fails after the start only
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

// access asks whether the place may be listed, and notes the answer.
func (w *watched) access(ctx context.Context) (denied bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	_, err = w.data.meta.Resource(w.resource()).Namespace(w.place.namespace).List(ctx, metav1.ListOptions{Limit: 1})
	switch {
	case err == nil:
	case apierrors.IsForbidden(err) || apierrors.IsNotFound(err):
		denied = true
	default:
		return false, err
	}
	w.mu.Lock()
	changed := w.checked && w.denied != denied
	w.checked, w.denied = true, denied
	if denied {
		clear(w.values) // Nothing that may not be read any more is kept.
		w.store = nil
	}
	w.mu.Unlock()
	if changed {
		w.data.onChange()
	}
	return denied, nil
}

// read gets what is wanted and not known as it is now.
func (w *watched) read(ctx context.Context, wanted map[string][]string) error {
	w.reading.Lock()
	defer w.reading.Unlock()
	w.mu.Lock()
	checked, denied := w.checked, w.denied
	w.mu.Unlock()
	if !checked {
		var err error
		if denied, err = w.access(ctx); err != nil {
			return fmt.Errorf("list %s in namespace %s: %w", w.resource().Resource, w.place.namespace, err)
		}
	}
	if denied {
		return nil
	}
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for name, keys := range wanted {
		slices.Sort(keys)
		if w.stale(name, keys) {
			group.Go(func() error { return w.get(each, name, keys) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	w.forget(wanted)
	return nil
}

// stale says whether something has to be read. A change that is noticed from here on
// is one more.
func (w *watched) stale(name string, keys []string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.values[name]
	if ok && !v.dirty && slices.Equal(v.keys, keys) {
		return false
	}
	if ok {
		v.dirty = false
		w.values[name] = v
	}
	return true
}

func (w *watched) get(ctx context.Context, name string, keys []string) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	at := types.NamespacedName{Namespace: w.place.namespace, Name: name}
	v := value{keys: keys, data: map[string][]byte{}}
	var err error
	if w.place.source == secrets {
		var s corev1.Secret
		err = w.data.api.Get(ctx, at, &s)
		v.version = s.ResourceVersion
		for _, key := range keys {
			if b, ok := s.Data[key]; ok {
				v.data[key] = slices.Clone(b[:min(len(b), maxSecretValue)])
			}
		}
		for _, b := range s.Data {
			clear(b)
		}
	} else {
		var c corev1.ConfigMap
		err = w.data.api.Get(ctx, at, &c)
		v.version = c.ResourceVersion
		for _, key := range keys {
			if text, ok := c.Data[key]; ok {
				v.data[key] = []byte(text[:min(len(text), maxConfigValue+1)])
			}
		}
	}
	switch {
	case apierrors.IsNotFound(err):
		v.gone = true
	case apierrors.IsForbidden(err):
		v.forbidden = true
	case err != nil:
		return w.failed(name, fmt.Errorf("read %s %s: %w", w.resource().Resource, at, err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.denied && w.values != nil {
		w.values[name] = v
	}
	return nil
}

// failed judges a read that failed. What was read before goes on. What never was holds
// everything up for a time, since it cannot be told from an API server that is not
// well; then it counts as not there, since one Secret that cannot be decrypted must
// not keep everybody else's revocations from being published.
func (w *watched) failed(name string, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.values == nil {
		return nil // nobody refers to it any more
	}
	old, ok := w.values[name]
	if !ok {
		old = value{failing: time.Now()}
	}
	old.dirty = true
	w.values[name] = old
	if !old.failing.IsZero() && time.Since(old.failing) < patience {
		return err
	}
	time.AfterFunc(patience, w.data.onChange)
	return nil
}

// forget drops what nobody refers to any more.
func (w *watched) forget(wanted map[string][]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.values {
		if _, ok := wanted[name]; !ok {
			delete(w.values, name)
		}
	}
}

// into adds what is known to in. It says whether the place may not be read.
func (w *watched) into(in *translate.Input) (denied bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	denied = w.denied
	for name, v := range w.values {
		at := types.NamespacedName{Namespace: w.place.namespace, Name: name}
		switch {
		case v.gone || !v.failing.IsZero():
		case v.forbidden:
			denied = true
		case w.place.source == secrets:
			in.Secrets[at], in.SecretVersions[at] = v.data, v.version
		default:
			text := make(map[string]string, len(v.data))
			for k, b := range v.data {
				text[k] = string(b)
			}
			in.ConfigMaps[at], in.ConfigMapVersions[at] = text, v.version
		}
	}
	return denied
}
