// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"sync"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const (
	// generationEntries bounds one of the cache's two generations: a snapshot of
	// 10,000 policies with three expressions each fits into one, so that
	// compiling it again finds every one of them.
	generationEntries = 32_768
	// generationBytes bounds the same by what the programs take: 1 to 2 KB is
	// usual, so 30,000 of them fit. All of it but what was changed lately is what
	// the snapshot holds on to anyway.
	generationBytes = 64 << 20
)

type key struct {
	env  policy.Environment
	want policy.ResultType
	text string
}

type entry struct {
	program *program
	err     error
	// verdict is what Check found, nil until it has looked.
	verdict *verdict
}

// size is about what an entry takes: 20 bytes for a character of its text, as
// measured, and 40 for a state of its patterns.
func (e entry) size(k key) int {
	n := 200 + 20*len(k.text)
	if e.program != nil {
		n += 40 * int(e.program.states)
	}
	return n
}

// cache remembers what was compiled, errors too. It has two generations: what
// is used moves to the young one, and when that is full, the old one is dropped.
type cache struct {
	mu         sync.Mutex
	young, old map[key]entry
	bytes      int
}

func (c *cache) get(k key) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.young[k]; ok {
		return e, true
	}
	e, ok := c.old[k]
	if ok {
		c.add(k, e)
	}
	return e, ok
}

func (c *cache) put(k key, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(k, e)
}

func (c *cache) add(k key, e entry) {
	if _, known := c.young[k]; !known {
		size := e.size(k)
		if c.young == nil || len(c.young) >= generationEntries || c.bytes+size > generationBytes {
			c.old, c.young, c.bytes = c.young, map[key]entry{}, 0
		}
		c.bytes += size
	}
	c.young[k] = e
}
