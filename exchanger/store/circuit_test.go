// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"
	"time"
)

func TestTheCircuit(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	opened := func(t *testing.T) (*circuit, *time.Time) {
		t.Helper()
		now := at
		c := &circuit{now: func() time.Time { return now }}
		for i := range circuitFailures {
			if !c.allow() {
				t.Fatalf("open after %d failures", i)
			}
			c.report(false)
		}
		return c, &now
	}
	t.Run("F287: it opens after failures in a row, and an answer begins the row anew", func(t *testing.T) {
		t.Parallel()
		c := &circuit{now: time.Now}
		for range 10 * circuitFailures {
			if !c.allow() {
				t.Fatal("open")
			}
			c.report(false)
			c.report(true)
		}
		c, _ = opened(t)
		if c.allow() || c.closed() {
			t.Error("not open")
		}
	})
	t.Run("F287: half open, exactly one asks", func(t *testing.T) {
		t.Parallel()
		c, now := opened(t)
		*now = now.Add(circuitLeast - 1)
		if c.allow() {
			t.Error("asked while it is open")
		}
		*now = now.Add(1)
		var asked int
		for range 3 {
			if c.allow() {
				asked++
			}
		}
		if asked != 1 {
			t.Errorf("%d ask", asked)
		}
		c.report(true)
		for range 3 {
			if !c.allow() {
				t.Error("not closed after an answer")
			}
		}
	})
	t.Run("F287: a probe that fails doubles the pause, up to a bound", func(t *testing.T) {
		t.Parallel()
		c, now := opened(t)
		for pause := circuitLeast; ; pause = min(2*pause, circuitMost) {
			*now = now.Add(pause - 1)
			if c.allow() {
				t.Fatalf("asked %s early", pause)
			}
			*now = now.Add(1)
			if !c.allow() {
				t.Fatalf("not asked after %s", pause)
			}
			c.report(false)
			if now.Sub(at) > 5*circuitMost {
				return
			}
		}
	})
	t.Run("a probe that nobody waited for leaves the next one free", func(t *testing.T) {
		t.Parallel()
		c, now := opened(t)
		*now = now.Add(circuitLeast)
		c.allow()
		c.abandon()
		if !c.allow() {
			t.Error("nobody asks any more")
		}
	})
	t.Run("whoever asked before it opened does not prolong it", func(t *testing.T) {
		t.Parallel()
		c, now := opened(t)
		c.report(false)
		*now = now.Add(circuitLeast)
		if !c.allow() {
			t.Error("prolonged")
		}
	})
}
