// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/sha256"
	"math"
	"sync"
	"time"
)

// Limits bound a Cache. A zero field means its default.
type Limits struct {
	// Entries bounds the number of results; default 8,192.
	Entries int
	// Bytes bounds their estimated size; default 32 MiB, which is 8,192 times
	// 4 KiB: what a token of 600 bytes costs once it is decoded (see Cost).
	Bytes int
}

// The defaults of Limits.
const (
	DefaultEntries = 8 << 10
	DefaultBytes   = 32 << 20
)

// Cost estimates what a decoded token of that length holds in memory. Its text
// is kept once, at 3/4 of its length. Its shortest claims ("a":1,) are 6 bytes in
// JSON, 8 in the token, and about 40 in a map: five times. Facts that were mapped
// from it share its strings. 1 KiB is for the structs around it.
func Cost(tokenBytes int) int { return 6*tokenBytes + 1<<10 }

// shardCount spreads keys, which are digests and so evenly spread, over locks.
// A shard has 1/64 of the limits: with the defaults 1 MiB, ten times the cost of
// the largest token there is (16 KiB).
const shardCount = 64

// Key names a result: the SHA-256 of the token, and for whom it is a result.
type Key struct {
	Service string
	Digest  [sha256.Size]byte
}

// Cache remembers results about tokens. It is safe for concurrent use. When it
// is full it forgets what has not been asked for since the clock hand last came
// by: recently used results stay, and nothing is moved at a hit.
type Cache[V any] struct {
	shards [shardCount]cacheShard[V]
}

type cacheShard[V any] struct {
	mu      sync.Mutex
	index   map[Key]int
	slots   []slot[V]
	hand    int
	bytes   int
	entries int // limits
	limit   int
	hits    uint64
	misses  uint64
	_       [64]byte // keeps the locks of two shards off one cache line
}

type slot[V any] struct {
	key   Key
	value V
	cost  int
	until int64 // nanoseconds since 1970
	used  bool
}

// NewCache makes an empty cache.
func NewCache[V any](l Limits) *Cache[V] {
	if l.Entries <= 0 {
		l.Entries = DefaultEntries
	}
	if l.Bytes <= 0 {
		l.Bytes = DefaultBytes
	}
	c := &Cache[V]{}
	for i := range c.shards {
		s := &c.shards[i]
		s.index = map[Key]int{}
		s.entries, s.limit = max(1, l.Entries/shardCount), max(1, l.Bytes/shardCount)
	}
	return c
}

// Get returns the result under k, if there is one that has not ended at now. A
// result that the caller then finds out of date is one to Drop.
func (c *Cache[V]) Get(k *Key, now time.Time) (value V, ok bool) {
	s := &c.shards[k.Digest[0]%shardCount]
	at := now.UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.index[*k]
	if found && at < s.slots[i].until {
		s.slots[i].used = true
		s.hits++
		return s.slots[i].value, true
	}
	if found {
		s.remove(i)
	}
	s.misses++
	return value, false
}

// Put remembers a result until the given time. A result that is larger than a
// shard is not remembered.
func (c *Cache[V]) Put(k Key, value V, cost int, until time.Time) {
	s := &c.shards[k.Digest[0]%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	if cost > s.limit {
		return
	}
	if i, found := s.index[k]; found {
		s.remove(i)
	}
	for len(s.slots) >= s.entries || s.bytes+cost > s.limit {
		s.evict()
	}
	s.index[k] = len(s.slots)
	s.slots = append(s.slots, slot[V]{key: k, value: value, cost: cost, until: nanos(until)})
	s.bytes += cost
}

// nanos is UnixNano without its overflow in the year 2262.
func nanos(t time.Time) int64 {
	if t.Unix() > math.MaxInt64/int64(time.Second) {
		return math.MaxInt64
	}
	return t.UnixNano()
}

// Drop forgets a result, and takes back that it was a hit.
func (c *Cache[V]) Drop(k *Key) {
	s := &c.shards[k.Digest[0]%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hits--
	s.misses++
	if i, found := s.index[*k]; found {
		s.remove(i)
	}
}

// evict forgets one result: the first that was not used since the hand came by.
func (s *cacheShard[V]) evict() {
	for {
		if s.hand >= len(s.slots) {
			s.hand = 0
		}
		if !s.slots[s.hand].used {
			s.remove(s.hand)
			return
		}
		s.slots[s.hand].used = false
		s.hand++
	}
}

// remove fills the gap with the last slot.
func (s *cacheShard[V]) remove(i int) {
	s.bytes -= s.slots[i].cost
	delete(s.index, s.slots[i].key)
	last := len(s.slots) - 1
	if i != last {
		s.slots[i] = s.slots[last]
		s.index[s.slots[i].key] = i
	}
	s.slots[last] = slot[V]{}
	s.slots = s.slots[:last]
}

// Stats are the counts of a Cache.
type Stats struct {
	Hits, Misses   uint64
	Entries, Bytes int
}

// Stats adds up the counts, for metrics.
func (c *Cache[V]) Stats() Stats {
	var sum Stats
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		sum.Hits += s.hits
		sum.Misses += s.misses
		sum.Entries += len(s.slots)
		sum.Bytes += s.bytes
		s.mu.Unlock()
	}
	return sum
}
