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
	// generationText bounds the same by the length of the texts: a program takes
	// about 100 bytes for a character, so a generation ≤ 400 MB, and 130 MB for
	// 32,768 texts of the usual 40 characters. All of it but what was changed
	// lately is what the snapshot holds on to anyway.
	generationText = 4 << 20
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

// cache remembers what was compiled, errors too. It has two generations: what
// is used moves to the young one, and when that is full, the old one is dropped.
type cache struct {
	mu         sync.Mutex
	young, old map[key]entry
	text       int
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
		if c.young == nil || len(c.young) >= generationEntries || c.text+len(k.text) > generationText {
			c.old, c.young, c.text = c.young, map[key]entry{}, 0
		}
		c.text += len(k.text)
	}
	c.young[k] = e
}
