// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"sync"
	"time"
)

const (
	// tolerated failures in a row open the circuit.
	tolerated = 5
	// pause is how long it stays open before one call tries.
	pause = 5 * time.Second
)

// circuit keeps callers from a signer that fails: waiting for a deadline costs
// every one of them as much as a working signer costs hundreds.
type circuit struct {
	mu       sync.Mutex
	failures int
	closedAt time.Time // when a call may try again
	trying   bool
}

// admit says whether a call may be made; it is followed by report or abandoned.
func (c *circuit) admit(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures < tolerated {
		return true
	}
	if c.trying || now.Before(c.closedAt) {
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
	c.closedAt = now.Add(pause)
}

func (c *circuit) abandoned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trying = false
}
