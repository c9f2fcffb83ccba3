// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"maps"
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
	// digest is that of what was published, heard what the replicas said last.
	digest string
	heard  []voice
}

// forget forgets everything that was said.
func (b *book) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.verdicts, b.world, b.digest, b.heard = nil, status.World{}, "", nil
}

// judge takes over the verdicts of a run. published is nil when it published
// nothing; held says why, where every TokenService has to say so.
func (b *book) judge(all *gather.Gathered, result *translate.Result, published *publish.Published, held *status.Held, extras func(*translate.Result, *status.Verdict)) {
	next := make(map[gather.Key]*status.Verdict, len(result.Statuses))
	b.mu.Lock()
	defer b.mu.Unlock()
	// A number beyond the next one was taken because replicas have acknowledged or
	// refused what this history does not have, as after a restored etcd: what they said
	// of the numbers between is about something else.
	leapt := published != nil && published.Revision > b.world.Revision+1
	for i := range result.Statuses {
		said := &result.Statuses[i]
		key := gather.Key{Kind: said.Kind, NamespacedName: types.NamespacedName{Namespace: said.Namespace, Name: said.Name}}
		v := &status.Verdict{Said: said}
		if u := all.Stored[key]; u != nil {
			v.UID = string(u.GetUID())
		}
		if was := b.verdicts[key]; was != nil && was.UID == v.UID && was.Said.InputDigest == said.InputDigest {
			v.Since, v.Anew = was.Since, was.Anew
			if leapt {
				v.Since = 0
			}
		} else {
			// Back at what it was before, it is not what a stored status speaks of.
			v.Anew = was != nil && was.UID == v.UID
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
		b.world.Revision, b.digest = published.Revision, published.Digest
		if published.Moved {
			b.world.PublishedAt = all.Input.Now
		}
	}
	b.count()
}

func (b *book) hear(heard []voice, sharedStore bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard, b.world.Replicas.SharedStore = heard, sharedStore
	b.count()
}

// count says what the acknowledgements are worth. One of a number beyond what is
// published is of something that nobody knows, unless it is the same by its digest.
func (b *book) count() {
	r := status.Replicas{SharedStore: b.world.Replicas.SharedStore}
	for _, v := range b.heard {
		if v.revision > b.world.Revision && v.digest != b.digest {
			v.revision = 0
		}
		r.Acknowledged, r.Refused = append(r.Acknowledged, v.revision), append(r.Refused, v.refused)
	}
	b.world.Replicas = r
	// Readers have the verdicts that are there, so that other ones take their place.
	var next map[gather.Key]*status.Verdict
	for key, v := range b.verdicts {
		if !v.Anew || !v.Acknowledged(&r) {
			continue
		}
		if next == nil {
			next = maps.Clone(b.verdicts)
		}
		known := *v
		known.Anew = false
		next[key] = &known
	}
	if next != nil {
		b.verdicts = next
	}
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
