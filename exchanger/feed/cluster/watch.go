// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// state is what is known of one Secret.
type state struct {
	// known is false before anything was read.
	known bool
	// secret is nil where there is none.
	secret *corev1.Secret
	// at is when the API server last said that it is so.
	at time.Time
}

// same says whether both are the same version of the Secret.
func (s state) same(other state) bool {
	if s.known != other.known || (s.secret == nil) != (other.secret == nil) {
		return false
	}
	return s.secret == nil || s.secret.UID == other.secret.UID && s.secret.ResourceVersion == other.secret.ResourceVersion
}

func (s state) data() map[string][]byte {
	if s.secret == nil {
		return nil
	}
	return s.secret.Data
}

// cell holds what is known of one Secret. A watch fills it, and reads that find out
// whether the watch still does.
type cell struct {
	name string
	wake func()
	now  func() time.Time

	mu sync.Mutex
	// state is the newest that is known, watched what the watch told last.
	state, watched state
	// told counts what the watch has told, bookmarks included.
	told int
	// failed is why the last attempt to watch did.
	failed error
	// restart ends the watch, so that another begins.
	restart context.CancelFunc
}

func newCell(name string, wake func(), now func() time.Time) *cell {
	return &cell{name: name, wake: wake, now: now}
}

func (c *cell) get() state {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// tell takes what the watch says.
func (c *cell) tell(secret *corev1.Secret) {
	c.mu.Lock()
	c.told++
	c.state = state{known: true, secret: secret, at: c.now()}
	c.watched = c.state
	c.mu.Unlock()
	c.wake()
}

// confirm is a bookmark: nothing has changed up to now since the watch last told. A
// read may have found what the watch has yet to tell.
func (c *cell) confirm() {
	c.mu.Lock()
	c.told++
	if c.state.same(c.watched) {
		c.state.at = c.now()
	}
	c.mu.Unlock()
	c.wake()
}

// read asks the API server, and reports whether the watch is behind. What the watch
// told meanwhile is newer than the answer, or as new.
func (c *cell) read(ctx context.Context, secrets v1.SecretInterface, timeout time.Duration) (behind bool, err error) {
	c.mu.Lock()
	told, began := c.told, c.now()
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	secret, err := secrets.Get(ctx, c.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		secret = nil
	case err != nil:
		return false, err
	}
	c.mu.Lock()
	if c.told != told {
		c.mu.Unlock()
		return false, nil
	}
	c.state = state{known: true, secret: secret, at: began}
	behind = !c.state.same(c.watched)
	c.mu.Unlock()
	c.wake()
	return behind, nil
}

// silentSince reports whether the watch has told nothing since.
func (c *cell) silentSince(told int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told == told
}

func (c *cell) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told
}

// again begins another watch.
func (c *cell) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.restart != nil {
		c.restart()
	}
}

// watch watches until ctx ends.
func (c *cell) watch(ctx context.Context, secrets v1.SecretInterface, t *times) error {
	for ctx.Err() == nil {
		one, cancel := context.WithCancel(ctx)
		c.mu.Lock()
		c.restart = cancel
		c.mu.Unlock()
		// Its own words would repeat every failed attempt; the feed says it in its own.
		c.reflector(secrets, t).RunWithContext(klog.NewContext(one, logr.Discard()))
		cancel()
	}
	return nil
}

// reflector lists and watches this one Secret: a Role that names it allows both
// where the field selector names it, too.
func (c *cell) reflector(secrets v1.SecretInterface, t *times) *cache.Reflector {
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, c.name).String()
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = only
			ctx, cancel := context.WithTimeout(ctx, t.request)
			defer cancel()
			list, err := secrets.List(ctx, o)
			return list, c.note(err)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector, o.AllowWatchBookmarks = only, true
			w, err := secrets.Watch(ctx, o)
			if c.note(err) != nil {
				return nil, err
			}
			return watch.Filter(w, c.overhear), nil
		},
	}
	return cache.NewReflectorWithOptions(lw, &corev1.Secret{}, teller{c}, cache.ReflectorOptions{
		Name: "secret " + c.name,
		// As quick as the reads: after an outage replicas come back within seconds,
		// spread by the jitter.
		Backoff: &wait.Backoff{Duration: t.retry / 20, Factor: 2, Jitter: 1, Steps: 8, Cap: t.retry},
	})
}

func (c *cell) note(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
	return err
}

// missing says what is not known, and why.
func (c *cell) missing() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state.known:
		return nil
	case c.failed != nil:
		return fmt.Errorf("secret %s: %w", c.name, c.failed)
	}
	return fmt.Errorf("secret %s: no answer yet", c.name)
}

// overhear notes bookmarks, which a reflector keeps to itself. The one that ends a
// list comes before what was listed has been told.
func (c *cell) overhear(e watch.Event) (watch.Event, bool) {
	if e.Type != watch.Bookmark {
		return e, true
	}
	if m, err := meta.Accessor(e.Object); err == nil && m.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "" {
		c.confirm()
	}
	return e, true
}

// teller is the store of a reflector.
type teller struct{ cell *cell }

func (t teller) Add(o any) error {
	if secret, ok := o.(*corev1.Secret); ok && secret.Name == t.cell.name {
		t.cell.tell(secret)
	}
	return nil
}

func (t teller) Update(o any) error { return t.Add(o) }

func (t teller) Delete(any) error {
	t.cell.tell(nil)
	return nil
}

func (t teller) Replace(list []any, _ string) error {
	if len(list) == 0 {
		t.cell.tell(nil)
	}
	for _, o := range list {
		if err := t.Add(o); err != nil {
			return err
		}
	}
	return nil
}

func (t teller) Resync() error { return nil }

// confirm reads the Secrets every minute, whatever the watches say: what counts is
// an answer, not a connection that seems to be open. Where a read finds what the
// watch did not tell, and the watch goes on not telling, another watch begins.
func (f *Feed) confirm(ctx context.Context) error {
	next := time.NewTimer(f.times.confirm)
	defer next.Stop()
	var said time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		if err := f.readAll(ctx); err != nil && ctx.Err() == nil {
			if time.Since(said) >= f.times.confirm {
				f.o.Log.WarnContext(ctx, "the API server does not confirm the published policy; what is in force goes on until it is too old", "error", err)
				said = time.Now()
			}
			next.Reset(f.times.retry)
			continue
		}
		next.Reset(f.times.confirm)
	}
}

func (f *Feed) readAll(ctx context.Context) error {
	var errs []error
	behind := map[*cell]int{}
	for _, c := range f.cells() {
		told := c.count()
		late, err := c.read(ctx, f.secrets, f.times.request)
		if err != nil {
			errs = append(errs, err)
		}
		if late {
			behind[c] = told
		}
	}
	if len(behind) > 0 {
		f.restartSilent(ctx, behind)
	}
	return errors.Join(errs...)
}

// restartSilent begins another watch where one has not told what a read found, and
// does not within a moment either.
func (f *Feed) restartSilent(ctx context.Context, behind map[*cell]int) {
	moment := time.NewTimer(f.times.request / 5)
	defer moment.Stop()
	select {
	case <-ctx.Done():
		return
	case <-moment.C:
	}
	for c, told := range behind {
		if c.silentSince(told) {
			f.o.Log.WarnContext(ctx, "a watch has fallen silent; another one begins", "secret", c.name)
			c.again()
		}
	}
}
