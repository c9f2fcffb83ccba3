// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/controllers/publish"
	"github.com/exchequer-dev/exchequer/controllers/status"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// book is what was last said about every object. The operator writes it, the
// reconcilers read it.
type book struct {
	mu       sync.RWMutex
	verdicts map[gather.Key]*status.Verdict
	world    status.World
}

// judge takes over the verdicts of a run. published is nil when it published
// nothing; held says why, where every TokenService has to say so.
func (b *book) judge(all *gather.Gathered, result *translate.Result, published *publish.Published, held *status.Held, extras func(*translate.Result, *status.Verdict)) {
	next := make(map[gather.Key]*status.Verdict, len(result.Statuses))
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range result.Statuses {
		said := &result.Statuses[i]
		key := gather.Key{Kind: said.Kind, NamespacedName: types.NamespacedName{Namespace: said.Namespace, Name: said.Name}}
		v := &status.Verdict{Said: said}
		if u := all.Stored[key]; u != nil {
			v.UID = string(u.GetUID())
		}
		if was := b.verdicts[key]; was != nil && was.UID == v.UID && was.Said.InputDigest == said.InputDigest {
			v.Since = was.Since
		}
		if v.Since == 0 && published != nil {
			v.Since = published.Revision
		}
		extras(result, v)
		next[key] = v
	}
	b.verdicts = next
	b.world.Held = held
	if published != nil {
		b.world.Revision = published.Revision
		if published.Moved {
			b.world.PublishedAt = all.Input.Now
		}
	}
}

func (b *book) hear(r status.Replicas) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.world.Replicas = r
}

// revision is the newest that was published by, or is known to, this process.
func (b *book) revision() uint64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.world.Revision
}

// about returns what is known about an object.
func (b *book) about(key gather.Key) (*status.Verdict, status.World, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	v, ok := b.verdicts[key]
	return v, b.world, ok
}

// everything returns the verdicts, which are not altered any more.
func (b *book) everything() (map[gather.Key]*status.Verdict, status.World) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.verdicts, b.world
}
