// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"sync"
	"time"
)

const (
	// circuitFailures in a row are taken for an outage: one answer that is late is
	// not, and of five in a row at 250 ms each the fifth comes a second later.
	circuitFailures = 5
	// circuitLeast and circuitMost bound how long nothing is asked then. It doubles
	// with every probe that fails: a store that comes back is used again within 8 s.
	circuitLeast = 500 * time.Millisecond
	circuitMost  = 8 * time.Second
)

// circuit keeps callers from waiting for a store that does not answer, and the store
// from being asked by all of them at once when it comes back. Closed, everybody asks;
// open, nobody; half open, one does, and the others wait for what it hears.
type circuit struct {
	now func() time.Time

	mu       sync.Mutex
	failures int
	pause    time.Duration
	until    time.Time // open until then; the zero time is closed
	probing  bool
}

// allow says whether the caller may ask; who may has to report.
func (c *circuit) allow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.until.IsZero():
		return true
	case c.probing || c.now().Before(c.until):
		return false
	}
	c.probing = true
	return true
}

// report says how asking went.
func (c *circuit) report(answered bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wasProbe := c.probing
	switch {
	case answered:
		c.failures, c.pause, c.until, c.probing = 0, 0, time.Time{}, false
	case !c.until.IsZero() && !wasProbe:
		// Somebody who had asked before it opened.
	default:
		if c.failures++; c.failures >= circuitFailures {
			c.pause = min(max(2*c.pause, circuitLeast), circuitMost)
			c.until, c.probing = c.now().Add(c.pause), false
		}
	}
}

// abandon says that whoever asked did not wait for the answer.
func (c *circuit) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probing = false
}

// closed says whether everybody may ask.
func (c *circuit) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.until.IsZero()
}
