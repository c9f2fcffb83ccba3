// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"sync"
	"time"
)

const (
	// CircuitFailures in a row open a circuit.
	CircuitFailures = 5
	// CircuitPause is how long it stays open before one call tries.
	CircuitPause = 5 * time.Second
)

// Circuit keeps callers from a server that fails: waiting for a deadline costs every
// one of them as much as a working server costs hundreds. After five failures in a
// row it is open for five seconds; then one call tries, and the others wait for what
// that hears. The zero value is ready; it is safe for concurrent use.
type Circuit struct {
	mu       sync.Mutex
	failures int
	next     time.Time // when a call may try again
	trying   bool
}

// Admit says whether a call may be made; who may calls Report or Abandoned after it.
func (c *Circuit) Admit(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures < CircuitFailures {
		return true
	}
	if c.trying || now.Before(c.next) {
		return false
	}
	c.trying = true
	return true
}

// Report says how a call went.
func (c *Circuit) Report(ok bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trying = false
	if ok {
		c.failures = 0
		return
	}
	c.failures++
	c.next = now.Add(CircuitPause)
}

// Abandoned says that the caller went away before there was an answer, which tells
// nothing of the server.
func (c *Circuit) Abandoned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trying = false
}
