// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/limit"
	fake "github.com/exchequer-dev/exchequer/test/fakes/signer"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) later(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClient(t *testing.T, address string) (*Client, *clock) {
	t.Helper()
	c, err := New(Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	at := &clock{now: time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)}
	c.now = at.Now
	return c, at
}

func first(t *testing.T, c *Client) Offer {
	t.Helper()
	offers, _, err := c.FetchKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return offers[0]
}

func TestEveryAlgorithmIsSignedAndProved(t *testing.T) {
	t.Parallel()
	for _, algorithm := range jose.Algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			s := fake.Start(t)
			s.Offer(t, "arn:key/1", algorithm)
			c, _ := newClient(t, s.Address)
			o := first(t, c)
			if o.Label != "arn:key/1" || o.Public.Algorithm() != algorithm {
				t.Errorf("offer %+v", o)
			}
			if err := c.Prove(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("metadata", func(t *testing.T) {
		t.Parallel()
		c, _ := newClient(t, fake.Start(t).Address)
		if name, version, err := c.Metadata(t.Context()); err != nil || name != "fake" || version != "1" {
			t.Errorf("%s %s %v", name, version, err)
		}
	})
}

func TestASlowSigner(t *testing.T) {
	t.Parallel()
	t.Run("F307: its deadline ends the wait, and no call is left behind", func(t *testing.T) {
		t.Parallel()
		s := fake.Start(t)
		s.Offer(t, "k", "ES256")
		s.Before(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		c, _ := newClient(t, s.Address)
		c.timeout = 30 * time.Millisecond
		if _, err := c.Key("k").Sign(t.Context(), "h", "p"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("F307: at most 64 calls are under way and 192 wait, whatever comes", func(t *testing.T) {
		t.Parallel()
		s := fake.Start(t)
		s.Offer(t, "k", "ES256")
		full, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		s.Before(func(context.Context) error {
			if s.UnderWay.Load() == mostCalls {
				once.Do(func() { close(full) })
			}
			<-release
			return nil
		})
		c, _ := newClient(t, s.Address)
		c.timeout = time.Minute
		var callers sync.WaitGroup
		results := make(chan error, 400)
		call := func() {
			callers.Go(func() {
				_, err := c.Key("k").Sign(t.Context(), "h", "p")
				results <- err
			})
		}
		for range mostCalls {
			call()
		}
		<-full
		const more = 300
		for range more {
			call()
		}
		for range more - mostWaiting { // those that have no place to wait in are told at once
			if err := <-results; err == nil || !strings.Contains(err.Error(), "too many tokens wait") {
				t.Errorf("error %v", err)
			}
		}
		if got := s.Signed.Load(); got != mostCalls {
			t.Errorf("the signer has seen %d calls at once, want %d", got, mostCalls)
		}
		close(release)
		callers.Wait()
		for range mostCalls + mostWaiting {
			if err := <-results; err != nil {
				t.Errorf("whoever waited has no signature: %v", err)
			}
		}
	})
	t.Run("F307: whoever gives up while waiting frees his place", func(t *testing.T) {
		t.Parallel()
		s := fake.Start(t)
		c, _ := newClient(t, s.Address)
		for range mostCalls {
			c.calls <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Key("k").Sign(ctx, "h", "p"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v", err)
		}
		if len(c.waiting) != 0 {
			t.Error("a place is lost")
		}
	})
	t.Run("F307: after five failures nobody asks it for five seconds, then one tries", func(t *testing.T) {
		t.Parallel()
		s := fake.Start(t)
		s.Offer(t, "k", "ES256")
		failing := status.Error(codes.ResourceExhausted, "secret words of the signer")
		s.Before(func(context.Context) error { return failing })
		c, at := newClient(t, s.Address)
		try := func() error { _, err := c.Key("k").Sign(t.Context(), "h", "p"); return err }
		for range 20 {
			err := try()
			if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "secret words") {
				t.Errorf("error %v", err)
			}
		}
		if got := s.Signed.Load(); got != limit.CircuitFailures {
			t.Errorf("the signer was asked %d times, want %d", got, limit.CircuitFailures)
		}
		at.later(limit.CircuitPause)
		_, _ = try(), try()
		if got := s.Signed.Load(); got != limit.CircuitFailures+1 {
			t.Errorf("after the pause it was asked %d times, want once", got-limit.CircuitFailures)
		}
		s.Before(nil)
		at.later(limit.CircuitPause)
		if err := errors.Join(try(), try()); err != nil {
			t.Errorf("a signer that is well again is not used: %v", err)
		}
	})
	t.Run("F307: a client that went away says nothing about the signer", func(t *testing.T) {
		t.Parallel()
		s := fake.Start(t)
		s.Offer(t, "k", "ES256")
		c, _ := newClient(t, s.Address)
		for range 2 * limit.CircuitFailures {
			ctx, cancel := context.WithCancel(t.Context())
			s.Before(func(context.Context) error { cancel(); <-ctx.Done(); return nil })
			_, _ = c.Key("k").Sign(ctx, "h", "p")
		}
		s.Before(nil)
		if _, err := c.Key("k").Sign(t.Context(), "h", "p"); err != nil {
			t.Error(err)
		}
	})
	t.Run("a signer that does not run", func(t *testing.T) {
		t.Parallel()
		c, _ := newClient(t, "unix:///nonexistent/socket")
		if _, err := c.Key("k").Sign(t.Context(), "h", "p"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v", err)
		}
		if _, _, err := c.FetchKeys(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	})
}

func TestASignerThatSignsWrongly(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func([]byte) []byte{
		"F308: a bit is flipped":  func(b []byte) []byte { b[5] ^= 1; return b },
		"F308: half a signature":  func(b []byte) []byte { return b[:32] },
		"F308: DER instead":       func(b []byte) []byte { return append([]byte{0x30, 0x44, 2, 32}, b...) },
		"F308: nothing at all":    func([]byte) []byte { return nil },
		"F308: another signature": func(b []byte) []byte { return append([]byte(nil), make([]byte, len(b))...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fake.Start(t)
			s.Offer(t, "k", "ES256")
			s.Spoil(spoil)
			c, at := newClient(t, s.Address)
			o := first(t, c)
			if err := c.Prove(t.Context(), o); err == nil {
				t.Fatal("it is not noticed")
			}
			if !c.Key("k").Quarantined() {
				t.Error("the key is not in quarantine")
			}
			asked := s.Signed.Load()
			if _, err := c.Key("k").Sign(t.Context(), "h", "p"); !errors.Is(err, ErrUnavailable) || s.Signed.Load() != asked {
				t.Errorf("a key in quarantine is used: %v", err)
			}
			s.Spoil(nil)
			at.later(quarantine)
			if err := c.Prove(t.Context(), o); err != nil {
				t.Errorf("a key that was mended is not used: %v", err)
			}
		})
	}
}

func TestSetsOfKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		make func(t *testing.T, s *fake.Signer)
		want string
	}{
		"none":          {func(*testing.T, *fake.Signer) {}, "0 keys"},
		"seventeen":     {func(t *testing.T, s *fake.Signer) { t.Helper(); offerMany(t, s, 17) }, "17 keys"},
		"a label twice": {func(t *testing.T, s *fake.Signer) { t.Helper(); s.Offer(t, "k", "ES256"); s.Offer(t, "k", "ES256") }, "there twice"},
		"no label":      {func(t *testing.T, s *fake.Signer) { t.Helper(); s.Offer(t, "", "ES256") }, "label of 0 bytes"},
		"a long label":  {func(t *testing.T, s *fake.Signer) { t.Helper(); s.Offer(t, strings.Repeat("k", 1025), "ES256") }, "label of 1025 bytes"},
		"an algorithm of its own": {
			func(t *testing.T, s *fake.Signer) { t.Helper(); s.Offer(t, "k", "RS512") }, "alg",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fake.Start(t)
			tc.make(t, s)
			c, _ := newClient(t, s.Address)
			if _, _, err := c.FetchKeys(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func offerMany(t *testing.T, s *fake.Signer, n int) {
	t.Helper()
	for i := range n {
		s.Offer(t, fmt.Sprint(i), "ES256")
	}
}
