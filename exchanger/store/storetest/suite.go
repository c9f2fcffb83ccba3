// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// Backend makes stores for the suite.
type Backend struct {
	// New returns as many stores that share one state as there are replicas; a
	// backend that cannot share returns the same store several times.
	New func(t *testing.T, replicas int) []store.Store
	// Limited returns a store with other bounds.
	Limited func(t *testing.T, limits store.MemoryLimits) store.Store
	// Advance moves the backend's own clock, or waits until it has moved.
	Advance func(d time.Duration)
	// Now is the backend's own clock.
	Now func() time.Time
	// Unit is what the suite's times are multiples of.
	Unit time.Duration
}

const purpose = store.ClientAssertion

// in is a moment so many units ahead.
func (b Backend) in(units int) time.Time { return b.Now().Add(b.units(units)) }

func (b Backend) units(n int) time.Duration { return time.Duration(n) * b.Unit }

// later is a moment that no test lives to see.
func (b Backend) later() time.Time { return b.Now().Add(time.Hour) }

// Run runs the suite against one backend.
func Run(t *testing.T, b Backend) {
	t.Run("F285: of one identifier only the first use is fresh", func(t *testing.T) { b.first(t) })
	t.Run("F285, F291: ten replicas and a hundred callers each have exactly one fresh use", func(t *testing.T) { b.atomic(t) })
	t.Run("F292: owners and purposes do not touch each other", func(t *testing.T) { b.separate(t) })
	t.Run("F293: no choice of characters makes two uses one", func(t *testing.T) { b.separators(t) })
	t.Run("F295: a use is forgotten exactly when it is over", func(t *testing.T) { b.expiry(t) })
	t.Run("F295: uses are forgotten in the order of their ends, whatever the order they came in", func(t *testing.T) { b.order(t) })
	t.Run("a use that is over already is an error, not fresh", func(t *testing.T) { b.over(t) })
	t.Run("a context that has ended is an error, not fresh", func(t *testing.T) { b.ended(t) })
	t.Run("F294: one owner's flood of uses meets its quota, and others go on", func(t *testing.T) { b.flood(t) })
	b.values(t)
}

func (b Backend) one(t *testing.T) store.Store {
	t.Helper()
	return b.New(t, 1)[0]
}

func once(t *testing.T, s store.Store, p store.Purpose, owner, id string, until time.Time) bool {
	t.Helper()
	fresh, err := s.Once(t.Context(), p, owner, id, until)
	if err != nil {
		t.Fatalf("Once(%q, %q, %q): %v", p, owner, id, err)
	}
	return fresh
}

func (b Backend) first(t *testing.T) {
	s, until := b.one(t), b.later()
	if !once(t, s, purpose, "o", "a", until) {
		t.Error("the first use is not fresh")
	}
	if once(t, s, purpose, "o", "a", until) {
		t.Error("the second use is fresh")
	}
	if once(t, s, purpose, "o", "a", until.Add(time.Minute)) {
		t.Error("a second use with another end is fresh")
	}
	if !once(t, s, purpose, "o", "b", until) {
		t.Error("another identifier is not fresh")
	}
}

func (b Backend) atomic(t *testing.T) {
	const replicas, callers = 10, 100
	stores, until := b.New(t, replicas), b.later()
	var fresh, failed atomic.Int64
	var all sync.WaitGroup
	start := make(chan struct{})
	for _, s := range stores {
		for range callers {
			all.Go(func() {
				<-start
				ok, err := s.Once(t.Context(), purpose, "owner", "the-one", until)
				if err != nil {
					failed.Add(1)
				}
				if ok {
					fresh.Add(1)
				}
			})
		}
	}
	close(start)
	all.Wait()
	if fresh.Load() != 1 || failed.Load() != 0 {
		t.Errorf("fresh %d times, failed %d times; want once and never", fresh.Load(), failed.Load())
	}
}

func (b Backend) separate(t *testing.T) {
	s, until := b.one(t), b.later()
	for _, use := range []struct {
		purpose store.Purpose
		owner   string
	}{{purpose, "one"}, {purpose, "two"}, {"another-purpose", "one"}} {
		if !once(t, s, use.purpose, use.owner, "same", until) {
			t.Errorf("%v: not fresh, because of another owner or purpose", use)
		}
		if once(t, s, use.purpose, use.owner, "same", until) {
			t.Errorf("%v: fresh twice", use)
		}
	}
}

func (b Backend) separators(t *testing.T) {
	s, until := b.one(t), b.later()
	long := strings.Repeat("ä", 128) // 256 bytes
	for _, use := range [][2]string{
		{"a:b", "c"},
		{"a", "b:c"},
		{"a:b:c", ""},
		{"", "a:b:c"},
		{"a\x00b", "c"},
		{"a", "\x00b" + "c"},
		{"a", "*"},
		{"a", "{b}c"},
		{"a", "b c\r\n"},
		{"a", "ä"},
		{"a", "a\u0308"},
		{long, "x"},
		{"x", long},
		{"x", long + "y"},
	} {
		if !once(t, s, purpose, use[0], use[1], until) {
			t.Errorf("%q %q: not fresh", use[0], use[1])
		}
	}
	if !once(t, s, purpose+":a", "b", "c", until) {
		t.Error("a separator in the purpose: not fresh")
	}
}

func (b Backend) expiry(t *testing.T) {
	s, until := b.one(t), b.in(90)
	once(t, s, purpose, "o", "a", until)
	b.Advance(b.units(89))
	b.untilFound(t, until, func() bool { return once(t, s, purpose, "o", "a", until.Add(time.Hour)) })
}

// tolerance is what a backend may remember too long: it counts milliseconds.
const tolerance = 2 * time.Millisecond

// untilFound asks until something is over, by a clock that cannot be stopped between
// two calls: what is over after an answer was not, and what is not over before one is
// not, or the backend's clock is not what it goes by.
func (b Backend) untilFound(t *testing.T, until time.Time, over func() bool) {
	t.Helper()
	for {
		before := b.Now()
		yes := over()
		after := b.Now()
		switch {
		case yes && after.Before(until):
			t.Errorf("forgotten %v too early", until.Sub(after))
			return
		case yes:
			return
		case !before.Before(until.Add(tolerance)):
			t.Errorf("still remembered %v after its end", before.Sub(until))
			return
		}
		b.Advance(b.Unit)
	}
}

func (b Backend) order(t *testing.T) {
	const n = 50
	s, start := b.one(t), b.Now()
	end := func(i int) time.Time { return start.Add(b.units(2*n + i*37%n + 1)) }
	for i := range n {
		once(t, s, purpose, "o", fmt.Sprint(i), end(i))
	}
	b.Advance(b.units(2*n+n/2) - b.Now().Sub(start))
	for i := range n {
		before := b.Now()
		got := once(t, s, purpose, "o", fmt.Sprint(i), start.Add(time.Hour))
		if after := b.Now(); got && after.Before(end(i)) || !got && !before.Before(end(i).Add(tolerance)) {
			t.Errorf("use %d, over %v after its start: fresh %v", i, end(i).Sub(start), got)
		}
	}
}

func (b Backend) over(t *testing.T) {
	s := b.one(t)
	for _, until := range []time.Time{b.Now(), b.Now().Add(-time.Hour), {}} {
		if fresh, err := s.Once(t.Context(), purpose, "o", "a", until); fresh || err == nil {
			t.Errorf("until %v: fresh %v, error %v", until, fresh, err)
		}
	}
}

func (b Backend) ended(t *testing.T) {
	s := b.one(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if fresh, err := s.Once(ctx, purpose, "o", "a", b.later()); fresh || err == nil {
		t.Errorf("fresh %v, error %v", fresh, err)
	}
}

func (b Backend) flood(t *testing.T) {
	s := b.Limited(t, store.MemoryLimits{PerOwner: 20})
	until := b.in(100)
	for i := range 60 {
		_, err := s.Once(t.Context(), purpose, "flood", fmt.Sprint(i), until)
		if full := i >= 20; full != errors.Is(err, store.ErrQuota) || !full && err != nil {
			t.Fatalf("use %d: %v", i, err)
		}
	}
	if !once(t, s, purpose, "other", "0", until) || !once(t, s, purpose+"2", "flood", "0", until) {
		t.Error("another owner, or purpose, suffers")
	}
	if once(t, s, purpose, "flood", "7", until) {
		t.Error("a use from before the flood is fresh")
	}
	b.Advance(until.Sub(b.Now()) + tolerance)
	if !once(t, s, purpose, "flood", "7", b.later()) {
		t.Error("not fresh after the uses are over")
	}
}
