// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/store/storetest"
)

// clock is a time that only moves when it is told to.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) Advance(d time.Duration) { c.nanos.Add(int64(d)) }

func TestMemoryKeepsTheContractOfStores(t *testing.T) {
	t.Parallel()
	c := newClock()
	t.Run("F285, F291, F292, F293, F295: the suite that every backend runs", func(t *testing.T) {
		storetest.Run(t, storetest.Backend{
			New: func(_ *testing.T, replicas int) []store.Store {
				m := store.NewMemory(c.Now, store.MemoryLimits{})
				all := make([]store.Store, replicas)
				for i := range all {
					all[i] = m
				}
				return all
			},
			Limited: func(_ *testing.T, limits store.MemoryLimits) store.Store { return store.NewMemory(c.Now, limits) },
			Advance: c.Advance,
			Now:     c.Now,
			Unit:    time.Second,
		})
	})
}

func TestMemoryHasBounds(t *testing.T) {
	t.Parallel()
	once := func(t *testing.T, m *store.Memory, owner string, id int, until time.Time) error {
		t.Helper()
		_, err := m.Once(t.Context(), store.ClientAssertion, owner, fmt.Sprint(id), until)
		return err
	}

	t.Run("F294: one owner's flood meets its quota, others go on, memory stays bounded", func(t *testing.T) {
		t.Parallel()
		c := newClock()
		m := store.NewMemory(c.Now, store.MemoryLimits{PerOwner: 100, Total: 1000})
		until := c.Now().Add(time.Minute)
		for i := range 10_000 {
			if err := once(t, m, "flood", i, until); (i >= 100) != errors.Is(err, store.ErrQuota) {
				t.Fatalf("use %d: %v", i, err)
			}
		}
		if err := once(t, m, "other", 0, until); err != nil {
			t.Errorf("another owner: %v", err)
		}
		if m.Len() != 101 {
			t.Errorf("%d uses in memory, want 101", m.Len())
		}
		if fresh, err := m.Once(t.Context(), store.ClientAssertion, "flood", "7", until); fresh || err != nil {
			t.Errorf("a use from before the flood: fresh %v, error %v", fresh, err)
		}
		c.Advance(time.Minute)
		if err := once(t, m, "flood", 1, c.Now().Add(time.Minute)); err != nil {
			t.Errorf("after the uses are over: %v", err)
		}
	})

	t.Run("F294: when the total is used up the answer is unavailable, until uses are over", func(t *testing.T) {
		t.Parallel()
		c := newClock()
		m := store.NewMemory(c.Now, store.MemoryLimits{PerOwner: 10, Total: 50})
		until := c.Now().Add(time.Minute)
		for o := range 5 {
			for i := range 10 {
				if err := once(t, m, fmt.Sprint("owner", o), i, until); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := once(t, m, "late", 0, until); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("above the total: %v", err)
		}
		if fresh, err := m.Once(t.Context(), store.ClientAssertion, "owner3", "3", until); fresh || err != nil {
			t.Errorf("a known use when full: fresh %v, error %v", fresh, err)
		}
		c.Advance(time.Minute)
		if err := once(t, m, "late", 0, c.Now().Add(time.Minute)); err != nil {
			t.Errorf("after the uses are over: %v", err)
		}
		if m.Len() != 1 {
			t.Errorf("%d uses in memory, want 1", m.Len())
		}
	})

	t.Run("Sweep forgets what is over and nothing else", func(t *testing.T) {
		t.Parallel()
		c := newClock()
		m := store.NewMemory(c.Now, store.MemoryLimits{})
		for i := range 100 {
			if err := once(t, m, fmt.Sprint(i), 0, c.Now().Add(time.Duration(i+1)*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		c.Advance(40 * time.Second)
		m.Sweep()
		if m.Len() != 60 {
			t.Errorf("%d uses in memory, want 60", m.Len())
		}
	})
}

func TestMemorySaysSinceWhenItHasWatched(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 1, 12, 0, 0, 1, time.UTC)
	for name, test := range map[string]struct{ now, want time.Time }{
		"F298: a start within a second counts from the next one": {at, at.Add(time.Second - 1)},
		"F298: a start on a second counts from it":               {at.Add(-1), at.Add(-1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := store.NewMemory(func() time.Time { return test.now }, store.MemoryLimits{})
			if !m.Since().Equal(test.want) {
				t.Errorf("since %v, want %v", m.Since(), test.want)
			}
		})
	}
}

func TestMemoryWaitsAndSweepsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // the bubble begins on a second
		m := store.NewMemory(time.Now, store.MemoryLimits{})
		if err := m.Wait(t.Context()); err != nil || !time.Now().Equal(m.Since()) {
			t.Errorf("%v at %v, since %v", err, time.Now(), m.Since())
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			if err := m.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		if _, err := m.Once(ctx, store.ClientAssertion, "o", "a", time.Now().Add(90*time.Second)); err != nil {
			t.Error(err)
		}
		for minute, want := range []int{1, 0} {
			time.Sleep(time.Minute)
			synctest.Wait()
			if m.Len() != want {
				t.Errorf("%d uses in memory after %d minutes, want %d", m.Len(), minute+1, want)
			}
		}
	})
	t.Run("Wait ends with its context", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Millisecond)
			m := store.NewMemory(time.Now, store.MemoryLimits{})
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := m.Wait(ctx); err == nil {
				t.Error("no error")
			}
		})
	})
}

func BenchmarkOnce(b *testing.B) {
	m := store.NewMemory(time.Now, store.MemoryLimits{PerOwner: 1 << 30, Total: 1 << 30})
	var n atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := fmt.Sprint(n.Add(1))
			if _, err := m.Once(b.Context(), store.ClientAssertion, "owner", id, time.Now().Add(time.Second)); err != nil {
				b.Error(err)
			}
		}
	})
}
