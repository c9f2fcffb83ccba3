// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var start = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func TestRates(t *testing.T) {
	t.Parallel()
	r := NewRates(10)
	allowed := func(id string, perSecond, burst int, at time.Duration) bool {
		return r.Allow("default", id, perSecond, burst, start.Add(at))
	}
	count := func(id string, perSecond, burst int, at time.Duration) (n int) {
		for range 100 {
			if allowed(id, perSecond, burst, at) {
				n++
			}
		}
		return n
	}
	if got := count("a", 0, 0, 0); got != 100 {
		t.Errorf("no bound: %d of 100", got)
	}
	if got := count("b", 5, 20, 0); got != 20 {
		t.Errorf("burst 20: %d at once", got)
	}
	if got := count("b", 5, 20, 2*time.Second); got != 10 {
		t.Errorf("5 per second: %d after two seconds", got)
	}
	if got := count("c", 5, 0, 0); got != 5 {
		t.Errorf("no burst is the rate: %d at once", got)
	}
	if got := count("b", 50, 50, 3*time.Second); got < 5 || got > 55 {
		t.Errorf("new figures: %d", got)
	}
	if !r.Allow("second", "b", 5, 20, start.Add(3*time.Second)) {
		t.Error("a client of the same ID at another token service shares the bucket")
	}
}

func TestFailedAuthenticationIsBounded(t *testing.T) {
	t.Parallel()
	attacker, honest := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	guess := func(f *Failures, client string, from netip.Addr, at time.Duration) bool {
		ok := f.Allow(client, from, start.Add(at))
		if ok {
			f.Failed(client, from, start.Add(at))
		}
		return ok
	}
	count := func(f *Failures, client string, from netip.Addr, at time.Duration, n int) (got int) {
		for range n {
			if guess(f, client, from, at) {
				got++
			}
		}
		return got
	}
	t.Run("F76: guesses at one client from one address", func(t *testing.T) {
		t.Parallel()
		f := NewFailures(100)
		if got := count(f, "shop/frontend", attacker, 0, 1000); got != pairBurst {
			t.Errorf("%d guesses at once", got)
		}
		if got := count(f, "shop/frontend", attacker, time.Minute, 1000); got != 60 {
			t.Errorf("%d guesses in the next minute", got)
		}
		if !f.Allow("shop/frontend", honest, start) {
			t.Error("the client is locked out elsewhere by a stranger's guesses")
		}
		if !f.Allow("shop/orders", attacker, start) {
			t.Error("another client at the same address is locked out by those guesses")
		}
	})
	t.Run("F76: guesses at many clients from one address", func(t *testing.T) {
		t.Parallel()
		f := NewFailures(1000)
		got := 0
		for i := range 1000 {
			got += count(f, fmt.Sprintf("ns/c%d", i), attacker, 0, 1)
		}
		if got != peerBurst {
			t.Errorf("%d guesses at once", got)
		}
		if got := count(f, "ns/c0", attacker, time.Second, 100); got != 10 {
			t.Errorf("%d guesses in the next second", got)
		}
	})
	t.Run("F76: clients that their assertions name do not lock each other out", func(t *testing.T) {
		t.Parallel()
		f := NewFailures(100)
		if got := count(f, "", attacker, 0, 1000); got != peerBurst {
			t.Errorf("%d failures at once", got)
		}
		if f.pairs.len() != 0 {
			t.Error("nobody has a bucket")
		}
	})
	t.Run("F76: an IPv6 network is one address, and a mapped IPv4 address is itself", func(t *testing.T) {
		t.Parallel()
		f := NewFailures(100)
		for i := range pairBurst {
			f.Failed("c", netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i+1)), start)
			f.Failed("d", netip.MustParseAddr("::ffff:192.0.2.1"), start)
		}
		if f.Allow("c", netip.MustParseAddr("2001:db8::ffff"), start) || !f.Allow("c", netip.MustParseAddr("2001:db8:0:1::1"), start) {
			t.Error("a /64 is not one holder")
		}
		if f.Allow("d", attacker, start) || !f.Allow("d", honest, start) {
			t.Error("an IPv4 address is not one holder")
		}
	})
	t.Run("F76: memory is bounded", func(t *testing.T) {
		t.Parallel()
		f := NewFailures(50)
		for i := range 10_000 {
			f.Failed(fmt.Sprintf("c%d", i), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), start)
		}
		if f.pairs.len() != 50 || f.peers.len() != 50 {
			t.Errorf("%d pairs, %d addresses", f.pairs.len(), f.peers.len())
		}
	})
	t.Run("whoever never fails leaves no trace", func(t *testing.T) {
		t.Parallel()
		f := NewFailures(50)
		if !f.Allow("c", netip.Addr{}, start) || f.pairs.len() != 0 || f.peers.len() != 0 {
			t.Errorf("%d pairs, %d addresses", f.pairs.len(), f.peers.len())
		}
	})
}

func TestTheBucketOfLongestAgoMakesRoom(t *testing.T) {
	t.Parallel()
	r := NewRates(2)
	r.Allow("s", "a", 1, 1, start)
	r.Allow("s", "b", 1, 1, start)
	r.Allow("s", "a", 1, 1, start)
	r.Allow("s", "c", 1, 1, start)
	if r.Allow("s", "a", 1, 1, start) {
		t.Error("a was used last but one, and its bucket was dropped")
	}
	if !r.Allow("s", "b", 1, 1, start) {
		t.Error("b was used longest ago, and its bucket is still there")
	}
}

func BenchmarkAllow(b *testing.B) {
	f := NewFailures(10_000)
	peer := netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		f.Allow("shop/frontend", peer, start)
	}
}
