// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"sync"
	"time"
)

const (
	// tolerated failures in a row open the circuit.
	tolerated = 5
	// pause is how long it stays open before one question tries.
	pause = 5 * time.Second
)

// circuit keeps callers from a server that fails: waiting for a deadline costs every
// one of them as much as a working server costs hundreds.
type circuit struct {
	mu       sync.Mutex
	failures int
	next     time.Time // when a question may try again
	trying   bool
}

// admit says whether a question may be put; it is followed by report or abandoned.
func (c *circuit) admit(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures < tolerated {
		return true
	}
	if c.trying || now.Before(c.next) {
		return false
	}
	c.trying = true
	return true
}

func (c *circuit) report(ok bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trying = false
	if ok {
		c.failures = 0
		return
	}
	c.failures++
	c.next = now.Add(pause)
}

func (c *circuit) abandoned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trying = false
}
