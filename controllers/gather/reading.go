// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

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
