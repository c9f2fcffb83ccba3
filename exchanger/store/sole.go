// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"sync"
	"time"
)

// Sole is a Memory for a process that others like it may run beside, though none
// should: it is a Store only while the process is told that it is the only one. It
// cannot tell otherwise, as None.
//
// Why nothing is used twice then, in whatever order processes come and go, and
// however late they hear of it: whoever tells (the controller) names a process only
// after a moment at which it was the only one that there was, and none that was gone
// at such a moment comes back. Of two processes that were ever named, the one whose
// moment was earlier was therefore gone at the other's: all that it has accepted was
// issued before that. And the other one's memory starts, and starts anew each time,
// when it hears its name, which is later still: what was issued before is refused.
// That a name is heard late, or taken back late, changes nothing about it, since
// no other process is named while the one that had the name is there.
//
// What remains is what remains after a restart: something that was issued by a clock
// that runs ahead of ours.
type Sole struct {
	memory *Memory

	mu   sync.RWMutex
	held bool
	// since is when the memory started last, before when it had started until then.
	// Neither ever goes back.
	since, before time.Time
}

// NewSole makes an empty store that cannot tell, until it is held.
func NewSole(now func() time.Time, limits MemoryLimits) *Sole {
	return &Sole{memory: NewMemory(now, limits)}
}

// Hold says whether the process is the only one, and reports whether that is news.
// Each time that it becomes so, the memory starts anew: another process may have
// been the only one meanwhile.
func (s *Sole) Hold(yes bool) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if yes == s.held {
		return false
	}
	if s.held = yes; yes {
		now := s.memory.now()
		s.before = s.started(now)
		if start := nextSecond(now); start.After(s.since) {
			s.since = start
		}
	}
	return true
}

// started is the start that counts: one that lies ahead does not yet.
func (s *Sole) started(now time.Time) time.Time {
	if now.Before(s.since) {
		return s.before
	}
	return s.since
}

// Since implements [Store]. It never goes back; it is the zero time before the
// process was ever the only one.
func (s *Sole) Since() time.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.started(s.memory.now())
}

// Once implements [Store]: it is [ErrUnavailable] while the process is not the only
// one, and up to the first whole second after it has become that.
func (s *Sole) Once(ctx context.Context, purpose Purpose, owner, id string, until time.Time) (bool, error) {
	end, err := s.begin()
	if err != nil {
		return false, err
	}
	defer end()
	return s.memory.Once(ctx, purpose, owner, id, until)
}

// begin keeps the answer to Hold as it is until end is called.
func (s *Sole) begin() (end func(), err error) {
	s.mu.RLock()
	if !s.held || s.memory.now().Before(s.since) {
		s.mu.RUnlock()
		return nil, ErrUnavailable
	}
	return s.mu.RUnlock, nil
}

// Put implements [Store], as Once does. What it keeps it keeps while others are the
// only one: they cannot have used it, for it is here alone.
func (s *Sole) Put(ctx context.Context, purpose Purpose, owner, id string, value []byte, until time.Time) error {
	end, err := s.begin()
	if err != nil {
		return err
	}
	defer end()
	return s.memory.Put(ctx, purpose, owner, id, value, until)
}

// Get implements [Store], as Once does.
func (s *Sole) Get(ctx context.Context, purpose Purpose, id string) ([]byte, bool, error) {
	end, err := s.begin()
	if err != nil {
		return nil, false, err
	}
	defer end()
	return s.memory.Get(ctx, purpose, id)
}

// Take implements [Store], as Once does.
func (s *Sole) Take(ctx context.Context, purpose Purpose, id string) ([]byte, bool, error) {
	end, err := s.begin()
	if err != nil {
		return nil, false, err
	}
	defer end()
	return s.memory.Take(ctx, purpose, id)
}

// Swap implements [Store], as Once does.
func (s *Sole) Swap(ctx context.Context, purpose Purpose, id string, old, replacement []byte, until time.Time) (bool, error) {
	end, err := s.begin()
	if err != nil {
		return false, err
	}
	defer end()
	return s.memory.Swap(ctx, purpose, id, old, replacement, until)
}

// Any implements [Store]. It tells what this process was told, whether it is the only
// one or not: a memory forgets what was revoked when its process ends, and so it is no
// worse beside another one. Answering nobody during a rollout would be.
func (s *Sole) Any(ctx context.Context, purpose Purpose, ids []string) (bool, error) {
	return s.memory.Any(ctx, purpose, ids)
}

// Run forgets what is over, now and then, until ctx ends. It returns nil.
func (s *Sole) Run(ctx context.Context) error { return s.memory.Run(ctx) }
