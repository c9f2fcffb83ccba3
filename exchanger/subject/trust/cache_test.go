// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

var at = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func key(service string, n int) *trust.Key {
	return &trust.Key{Service: service, Digest: sha256.Sum256(fmt.Append(nil, n))}
}

func TestACacheRemembersUntilTheEnd(t *testing.T) {
	t.Parallel()
	c := trust.NewCache[int](trust.Limits{})
	c.Put(*key("a", 1), 7, 100, at.Add(time.Minute))
	for name, test := range map[string]struct {
		key *trust.Key
		now time.Time
		hit bool
	}{
		"before its end":                {key("a", 1), at.Add(time.Minute - 1), true},
		"another token":                 {key("a", 2), at, false},
		"the token of another service":  {key("b", 1), at, false},
		"the token of a service beside": {key("", 1), at, false},
	} {
		t.Run(name, func(t *testing.T) {
			if v, hit := c.Get(test.key, test.now); hit != test.hit || hit && v != 7 {
				t.Errorf("%d %v", v, hit)
			}
		})
	}
	if _, hit := c.Get(key("a", 1), at.Add(time.Minute)); hit {
		t.Error("a hit at its end")
	}
	if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 || s.Hits != 1 || s.Misses != 4 {
		t.Errorf("%+v", s)
	}
}

func TestAResultIsReplacedAndDropped(t *testing.T) {
	t.Parallel()
	c := trust.NewCache[int](trust.Limits{})
	k := key("a", 1)
	c.Put(*k, 1, 100, at.Add(time.Minute))
	c.Put(*k, 2, 300, at.Add(time.Minute))
	if v, hit := c.Get(k, at); !hit || v != 2 {
		t.Errorf("%d %v", v, hit)
	}
	if s := c.Stats(); s.Entries != 1 || s.Bytes != 300 {
		t.Errorf("%+v", s)
	}
	c.Drop(k)
	c.Drop(key("a", 1))
	if _, hit := c.Get(k, at); hit {
		t.Error("a hit after Drop")
	}
	if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 {
		t.Errorf("%+v", s)
	}
}

func TestACacheHasBounds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limits trust.Limits
		cost   int
	}{
		"of entries": {trust.Limits{Entries: 640, Bytes: 1 << 30}, 1},
		"of bytes":   {trust.Limits{Entries: 1 << 20, Bytes: 64_000}, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := trust.NewCache[int](test.limits)
			for n := range 10_000 {
				c.Put(*key("a", n), n, test.cost, at.Add(time.Minute))
			}
			s := c.Stats()
			if s.Entries > 640 || s.Bytes != s.Entries*test.cost {
				t.Errorf("%+v", s)
			}
			// A few shards have got less than their share: never more than a few.
			if s.Entries < 600 {
				t.Errorf("only %d entries: the room is not used", s.Entries)
			}
			if v, hit := c.Get(key("a", 9_999), at); !hit || v != 9_999 {
				t.Error("the newest is not there")
			}
		})
	}
	t.Run("what is larger than a shard is not remembered, and nothing makes room for it", func(t *testing.T) {
		t.Parallel()
		c := trust.NewCache[int](trust.Limits{Bytes: 64_000})
		c.Put(*key("a", 1), 1, 1000, at.Add(time.Minute))
		c.Put(*key("a", 1), 2, 1001, at.Add(time.Minute))
		if v, hit := c.Get(key("a", 1), at); !hit || v != 1 {
			t.Errorf("%d %v", v, hit)
		}
	})
}

func TestWhatIsUsedStays(t *testing.T) {
	t.Parallel()
	// All in one shard, which has room for four.
	in := func(n int) *trust.Key { return &trust.Key{Digest: [sha256.Size]byte{1: byte(n >> 8), 2: byte(n)}} }
	for position := range 4 {
		c := trust.NewCache[int](trust.Limits{Entries: 4 * 64})
		for n := range 1000 {
			c.Put(*in(n), n, 1, at.Add(time.Minute))
			if n < position {
				continue
			}
			if _, hit := c.Get(in(position), at); !hit {
				t.Fatalf("the result in constant use, put as number %d, is gone after %d", position, n)
			}
		}
		if n := c.Stats().Entries; n != 4 {
			t.Errorf("%d entries", n)
		}
	}
}

func TestACacheStaysWholeUnderConcurrentUse(t *testing.T) {
	t.Parallel()
	c := trust.NewCache[int](trust.Limits{Entries: 128})
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 2000 {
				n := (i*7 + worker) % 400
				k := key("a", n)
				switch v, hit := c.Get(k, at); {
				case hit && v != n:
					t.Errorf("under %d stands %d", n, v)
				case hit && i%5 == 0:
					c.Drop(k)
				case !hit:
					c.Put(*k, n, 10, at.Add(time.Minute))
				}
			}
		})
	}
	all.Wait()
	if s := c.Stats(); s.Entries > 128 || s.Bytes != 10*s.Entries || s.Hits+s.Misses != 16_000 {
		t.Errorf("%+v", s)
	}
}
