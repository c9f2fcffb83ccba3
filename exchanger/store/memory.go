// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// MemoryLimits bound a Memory. A zero field means its default.
type MemoryLimits struct {
	// PerOwner bounds what is remembered for one owner; default 65,536. A client
	// assertion is remembered for at most six minutes, so this is 180 assertions
	// a second from one client without a break.
	PerOwner int
	// Total bounds what is remembered for all; default 524,288. An entry costs
	// about 130 bytes (a 32-byte key and a time, in a map and in a heap), so that
	// is 70 MiB, and eight owners at their quota.
	Total int
	// Bytes bounds the values that are kept for all, and OwnerBytes those of one
	// owner; default 256 MiB and 32 MiB. A refresh family or an opaque token has 1 to
	// 2 KiB, so that is a hundred thousand of them, and eight owners at their quota.
	Bytes, OwnerBytes int
}

// The defaults of MemoryLimits.
const (
	DefaultPerOwner = 1 << 16
	DefaultTotal    = 1 << 19

	DefaultBytes      = 256 << 20
	DefaultOwnerBytes = 32 << 20
)

// shards spread owners over locks. All uses of one owner meet in one shard,
// where counting them needs nothing more.
const shards = 64

// Memory is a Store in the memory of one process, for one replica.
type Memory struct {
	now    func() time.Time
	since  time.Time
	limits MemoryLimits
	seed   maphash.Seed
	total  atomic.Int64
	shards [shards]shard
	values values
}

type shard struct {
	mu     sync.Mutex
	owners map[ownerKey]*owner
}

type ownerKey struct {
	purpose Purpose
	name    string
}

// owner has its uses twice: by key, to find one, and as a heap by time, to
// forget those that are over before anything is added.
type owner struct {
	used  map[Key]struct{}
	queue uses
}

// NewMemory makes an empty store that reads the time from now.
func NewMemory(now func() time.Time, limits MemoryLimits) *Memory {
	if limits.PerOwner <= 0 {
		limits.PerOwner = DefaultPerOwner
	}
	if limits.Total <= 0 {
		limits.Total = DefaultTotal
	}
	if limits.Bytes <= 0 {
		limits.Bytes = DefaultBytes
	}
	if limits.OwnerBytes <= 0 {
		limits.OwnerBytes = DefaultOwnerBytes
	}
	m := &Memory{now: now, since: nextSecond(now()), limits: limits, seed: maphash.MakeSeed(), values: newValues(limits)}
	for i := range m.shards {
		m.shards[i].owners = map[ownerKey]*owner{}
	}
	return m
}

// nextSecond rounds up: tokens say their times in whole seconds, so of those
// that say the second in which we started, some are older than we are.
func nextSecond(t time.Time) time.Time {
	if floor := t.Truncate(time.Second); !floor.Equal(t) {
		return floor.Add(time.Second)
	}
	return t.Round(0)
}

// Since is when the store began to watch, rounded up to a whole second.
func (m *Memory) Since() time.Time { return m.since }

// First says that there was no process before this one, so that nothing can have
// been used before it watched. It is called before the store is used.
func (m *Memory) First() { m.since = time.Time{} }

// Wait returns at Since, or with ctx. What is issued in the second of the start
// is refused, however fresh it is; a program that waits before it serves refuses
// nobody.
func (m *Memory) Wait(ctx context.Context) error {
	timer := time.NewTimer(m.since.Sub(m.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sweepInterval is how long a use that is over may stay in memory.
const sweepInterval = time.Minute

// Run forgets what is over, now and then, until ctx ends. It returns nil.
func (m *Memory) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.Sweep()
		case <-ctx.Done():
			return nil
		}
	}
}

// Len is the number of uses and values that are held in memory, over or not.
func (m *Memory) Len() int { return int(m.total.Load()) + m.values.len() }

// Once implements [Store].
func (m *Memory) Once(ctx context.Context, purpose Purpose, ownerName, id string, until time.Time) (bool, error) {
	if ctx.Err() != nil {
		return false, ErrUnavailable
	}
	key := KeyOf(purpose, ownerName, id)
	s := &m.shards[maphash.String(m.seed, ownerName)%shards]
	now, end := m.now().UnixNano(), until.UnixNano()

	s.mu.Lock()
	defer s.mu.Unlock()
	ok := ownerKey{purpose, ownerName}
	o := s.owners[ok]
	if o == nil {
		o = &owner{used: map[Key]struct{}{}}
	}
	m.forget(o, now)
	if _, used := o.used[key]; used {
		return false, nil
	}
	if end <= now {
		// Nothing to remember; whoever asks has let something expired through.
		return false, ErrUnavailable
	}
	if len(o.queue) >= m.limits.PerOwner {
		return false, ErrQuota
	}
	if !m.room(now, s, o) {
		return false, ErrUnavailable
	}
	s.owners[ok] = o
	o.used[key] = struct{}{}
	o.queue.push(use{end, key})
	return true, nil
}

// room takes one place of the total. When none is left it first forgets what is
// over in this shard, then in the others, skipping those that are busy: whatever
// the attempt costs, it is bounded by what has expired.
func (m *Memory) room(now int64, mine *shard, o *owner) bool {
	if m.take() {
		return true
	}
	m.sweep(mine, now, o)
	for i := range m.shards {
		if s := &m.shards[i]; s != mine && s.mu.TryLock() {
			m.sweep(s, now, nil)
			s.mu.Unlock()
		}
	}
	return m.take()
}

func (m *Memory) take() bool {
	if m.total.Add(1) <= int64(m.limits.Total) {
		return true
	}
	m.total.Add(-1)
	return false
}

// sweep forgets what is over in one shard, and owners without anything left.
func (m *Memory) sweep(s *shard, now int64, keep *owner) {
	for k, o := range s.owners {
		m.forget(o, now)
		if len(o.queue) == 0 && o != keep {
			delete(s.owners, k)
		}
	}
}

// Sweep forgets what is over. Uses are forgotten when their owner comes back
// anyway; Sweep is for owners that do not.
func (m *Memory) Sweep() {
	now := m.now().UnixNano()
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		m.sweep(s, now, nil)
		s.mu.Unlock()
	}
	m.values.mu.Lock()
	defer m.values.mu.Unlock()
	m.values.forget(now)
}

// forget drops the uses that are over at now, at that very moment included.
func (m *Memory) forget(o *owner, now int64) {
	n := 0
	for len(o.queue) > 0 && o.queue[0].until <= now {
		delete(o.used, o.queue.pop().key)
		n++
	}
	if n > 0 {
		m.total.Add(int64(-n))
	}
	if len(o.queue) == 0 && n > 0 {
		// A Go map keeps the memory of its largest moment.
		o.used, o.queue = map[Key]struct{}{}, nil
	}
}
