// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// values are what a Memory keeps under keys. One lock is enough: each operation is a
// look-up and a copy of a kilobyte, a microsecond, beside a signature of fifty.
type values struct {
	limits MemoryLimits

	mu     sync.Mutex
	kept   map[Key]*kept
	owners map[string]*account
	bytes  int
	// queue has an entry for every end that a value ever had; those that are not a
	// value's end any more are dropped when they come up.
	queue uses
}

// kept is one value, which is never altered.
type kept struct {
	owner string
	value []byte
	until int64
}

// account is what one owner has.
type account struct{ entries, bytes int }

func newValues(limits MemoryLimits) values {
	return values{limits: limits, kept: map[Key]*kept{}, owners: map[string]*account{}}
}

func (v *values) len() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.kept)
}

// forget drops what is over at now, at that very moment included.
func (v *values) forget(now int64) {
	for len(v.queue) > 0 && v.queue[0].until <= now {
		u := v.queue.pop()
		if k := v.kept[u.key]; k != nil && k.until == u.until {
			v.remove(u.key, k)
		}
	}
	// Values that are replaced or taken leave their ends behind; so that a client that
	// does nothing else fills no memory with them, they are cleared out when they are
	// the most of it.
	if len(v.queue) > 2*len(v.kept)+1024 {
		v.queue = v.queue[:0]
		for key, k := range v.kept {
			v.queue.push(use{k.until, key})
		}
	}
}

func (v *values) remove(key Key, k *kept) {
	delete(v.kept, key)
	a := v.owners[k.owner]
	a.entries--
	a.bytes -= len(k.value)
	v.bytes -= len(k.value)
	if a.entries == 0 {
		delete(v.owners, k.owner)
	}
}

// put keeps a value in place of the one before, if there is room for it.
func (v *values) put(key Key, next *kept, now int64) error {
	before := v.kept[key]
	if before != nil {
		v.remove(key, before)
	}
	a := v.owners[next.owner]
	if a == nil {
		a = &account{}
	}
	var err error
	switch {
	case next.until <= now:
		err = ErrUnavailable // nothing to keep; whoever asks has let something expired through
	case a.entries >= v.limits.PerOwner || a.bytes+len(next.value) > v.limits.OwnerBytes:
		err = ErrQuota
	case len(v.kept) >= v.limits.Total || v.bytes+len(next.value) > v.limits.Bytes:
		err = ErrUnavailable
	}
	if err != nil {
		if before == nil {
			return err
		}
		next, a = before, v.owners[before.owner]
		if a == nil {
			a = &account{}
		}
	}
	v.owners[next.owner] = a
	a.entries++
	a.bytes += len(next.value)
	v.bytes += len(next.value)
	v.kept[key] = next
	v.queue.push(use{next.until, key})
	return err
}

// begin takes the lock and forgets what is over.
func (m *Memory) begin() (now int64, end func()) {
	now = m.now().UnixNano()
	m.values.mu.Lock()
	m.values.forget(now)
	return now, m.values.mu.Unlock
}

// Put implements [Store].
func (m *Memory) Put(ctx context.Context, purpose Purpose, owner, id string, value []byte, until time.Time) error {
	switch {
	case ctx.Err() != nil:
		return ErrUnavailable
	case len(value) > MaxValue:
		return ErrTooLarge
	}
	now, end := m.begin()
	defer end()
	return m.values.put(KeyOf(purpose, "", id), &kept{owner, bytes.Clone(value), until.UnixNano()}, now)
}

// Get implements [Store].
func (m *Memory) Get(ctx context.Context, purpose Purpose, id string) ([]byte, bool, error) {
	if ctx.Err() != nil {
		return nil, false, ErrUnavailable
	}
	_, end := m.begin()
	defer end()
	k := m.values.kept[KeyOf(purpose, "", id)]
	if k == nil {
		return nil, false, nil
	}
	return bytes.Clone(k.value), true, nil
}

// Take implements [Store].
func (m *Memory) Take(ctx context.Context, purpose Purpose, id string) ([]byte, bool, error) {
	if ctx.Err() != nil {
		return nil, false, ErrUnavailable
	}
	_, end := m.begin()
	defer end()
	key := KeyOf(purpose, "", id)
	k := m.values.kept[key]
	if k == nil {
		return nil, false, nil
	}
	m.values.remove(key, k)
	return k.value, true, nil
}

// Swap implements [Store].
func (m *Memory) Swap(ctx context.Context, purpose Purpose, id string, old, replacement []byte, until time.Time) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return false, ErrUnavailable
	case len(replacement) > MaxValue:
		return false, ErrTooLarge
	}
	now, end := m.begin()
	defer end()
	key := KeyOf(purpose, "", id)
	k := m.values.kept[key]
	if k == nil || !bytes.Equal(k.value, old) {
		return false, nil
	}
	if err := m.values.put(key, &kept{k.owner, bytes.Clone(replacement), until.UnixNano()}, now); err != nil {
		return false, err
	}
	return true, nil
}

// Any implements [Store].
func (m *Memory) Any(ctx context.Context, purpose Purpose, ids []string) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return false, ErrUnavailable
	case len(ids) > MaxAny:
		return false, ErrTooLarge
	}
	_, end := m.begin()
	defer end()
	for _, id := range ids {
		if m.values.kept[KeyOf(purpose, "", id)] != nil {
			return true, nil
		}
	}
	return false, nil
}
