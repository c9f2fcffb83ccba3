// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The bounds on failed client authentication. A person who mistypes, or a
// workload that restarts with an old secret, stays below, and so does a suite of
// tests; a guesser gets sixty tries and then one a second for one client, and ten
// a second in all: at that pace a secret of 48 random bits holds for 400,000
// years, and ours have 32 characters.
const (
	pairBurst    = 60
	pairInterval = time.Second
	peerBurst    = 200
	peerInterval = 100 * time.Millisecond
)

// table is a bounded set of token buckets; the one that was used longest ago
// makes room.
type table[K comparable] struct {
	mu      sync.Mutex
	max     int
	entries map[K]*list.Element
	order   *list.List // front is the most recently used
}

type entry[K comparable] struct {
	key     K
	limiter *rate.Limiter
}

func newTable[K comparable](size int) *table[K] {
	return &table[K]{max: max(size, 1), entries: make(map[K]*list.Element), order: list.New()}
}

// get returns the key's bucket, nil when there is none.
func (t *table[K]) get(key K) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.entries[key]
	if !ok {
		return nil
	}
	t.order.MoveToFront(e)
	return e.Value.(*entry[K]).limiter //nolint:errcheck // the list holds nothing else
}

// obtain returns the key's bucket and makes one where there is none.
func (t *table[K]) obtain(key K, limit rate.Limit, burst int) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.entries[key]; ok {
		t.order.MoveToFront(e)
		return e.Value.(*entry[K]).limiter //nolint:errcheck // the list holds nothing else
	}
	for t.order.Len() >= t.max {
		last := t.order.Back()
		delete(t.entries, last.Value.(*entry[K]).key) //nolint:errcheck // the list holds nothing else
		t.order.Remove(last)
	}
	l := rate.NewLimiter(limit, burst)
	t.entries[key] = t.order.PushFront(&entry[K]{key, l})
	return l
}

func (t *table[K]) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.order.Len()
}

// Rates bounds the requests of authenticated clients.
type Rates struct {
	buckets *table[client]
}

type client struct{ service, id string }

// NewRates keeps at most size clients in mind.
func NewRates(size int) *Rates { return &Rates{newTable[client](size)} }

// Allow takes one from the client's bucket of the token service: perSecond on
// average, burst at once (perSecond when burst is 0). A perSecond of 0 is no
// bound. When the figures change, the bucket follows.
func (r *Rates) Allow(service, id string, perSecond, burst int, now time.Time) bool {
	if perSecond <= 0 {
		return true
	}
	if burst <= 0 {
		burst = perSecond
	}
	l := r.buckets.obtain(client{service, id}, rate.Limit(perSecond), burst)
	if l.Limit() != rate.Limit(perSecond) {
		l.SetLimitAt(now, rate.Limit(perSecond))
	}
	if l.Burst() != burst {
		l.SetBurstAt(now, burst)
	}
	return l.AllowN(now, 1)
}

// Failures bounds failed client authentication.
type Failures struct {
	pairs *table[pair]
	peers *table[netip.Prefix]
}

type pair struct {
	client string
	peer   netip.Prefix
}

// NewFailures keeps at most size addresses, and as many pairs of client and
// address, in mind: at 10,000 that is at most 2 × 10,000 × ~450 bytes (a
// client_id of 253 and the bucket) = 9 MB, and only while it is attacked.
func NewFailures(size int) *Failures {
	return &Failures{newTable[pair](size), newTable[netip.Prefix](size)}
}

// Allow says whether a credential may be looked at. It takes nothing: a client
// that authenticates never has a bucket. An empty clientID, of a client that lets
// its assertion say who it is, is no pair: all such clients behind one proxy would
// share it, and a signature is not found by guessing.
func (f *Failures) Allow(clientID string, peer netip.Addr, now time.Time) bool {
	p := network(peer)
	return some(f.peers.get(p), now) && (clientID == "" || some(f.pairs.get(pair{clientID, p}), now))
}

// Failed takes one from the buckets of the pair, if there is one, and of the
// address.
func (f *Failures) Failed(clientID string, peer netip.Addr, now time.Time) {
	p := network(peer)
	f.peers.obtain(p, rate.Every(peerInterval), peerBurst).AllowN(now, 1)
	if clientID != "" {
		f.pairs.obtain(pair{clientID, p}, rate.Every(pairInterval), pairBurst).AllowN(now, 1)
	}
}

func some(l *rate.Limiter, now time.Time) bool {
	return l == nil || l.TokensAt(now) >= 1
}

// network is what one holder has: an IPv4 address, an IPv6 /64.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // No address (a unix socket): all of them are one.
	}
	return p
}
