// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
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
	// Advance moves the backend's own clock.
	Advance func(d time.Duration)
	// Now is the backend's own clock.
	Now func() time.Time
}

const purpose = store.ClientAssertion

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
	s, until := b.one(t), b.Now().Add(time.Minute)
	if !once(t, s, purpose, "o", "a", until) {
		t.Error("the first use is not fresh")
	}
	if once(t, s, purpose, "o", "a", until) {
		t.Error("the second use is fresh")
	}
	if once(t, s, purpose, "o", "a", until.Add(time.Hour)) {
		t.Error("a second use with another end is fresh")
	}
	if !once(t, s, purpose, "o", "b", until) {
		t.Error("another identifier is not fresh")
	}
}

func (b Backend) atomic(t *testing.T) {
	const replicas, callers = 10, 100
	stores, until := b.New(t, replicas), b.Now().Add(time.Minute)
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
	s, until := b.one(t), b.Now().Add(time.Minute)
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
	s, until := b.one(t), b.Now().Add(time.Minute)
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
	s, until := b.one(t), b.Now().Add(90*time.Second)
	once(t, s, purpose, "o", "a", until)
	b.Advance(89 * time.Second)
	if once(t, s, purpose, "o", "a", until) {
		t.Error("forgotten one second too early")
	}
	b.Advance(time.Second)
	if !once(t, s, purpose, "o", "a", until.Add(time.Minute)) {
		t.Error("still remembered at its end")
	}
}

func (b Backend) order(t *testing.T) {
	const n = 50
	s, start := b.one(t), b.Now()
	end := func(i int) time.Time { return start.Add(time.Duration(i*37%n+1) * time.Second) }
	for i := range n {
		once(t, s, purpose, "o", fmt.Sprint(i), end(i))
	}
	b.Advance(n / 2 * time.Second)
	for i := range n {
		want := !end(i).After(b.Now())
		if got := once(t, s, purpose, "o", fmt.Sprint(i), start.Add(time.Hour)); got != want {
			t.Errorf("use %d, over %v after its start: fresh %v, want %v", i, end(i).Sub(start), got, want)
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
	if fresh, err := s.Once(ctx, purpose, "o", "a", b.Now().Add(time.Minute)); fresh || err == nil {
		t.Errorf("fresh %v, error %v", fresh, err)
	}
}
