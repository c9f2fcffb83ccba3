// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

func TestKeysAreThereOnceFetched(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		w.wantState(issuer.Ready)
		w.wants("key-1", nil)
		if _, ok := w.m.Peek(corp, digest, "key-1"); !ok {
			t.Error("Peek does not find the key")
		}
		if _, ok := w.m.Peek(corp, digest, "key-2"); ok || w.iss.Requests(fake.JWKS) != 1 {
			t.Error("Peek found an unknown key or fetched")
		}
		if st := w.status(corp); !slices.Equal(st.KeyIDs, []string{"key-1"}) || len(st.Warnings) != 0 || st.LastFetch.IsZero() {
			t.Errorf("status %+v", st)
		}
		if w.rec.last(corp) != issuer.ResultOK {
			t.Errorf("result %q", w.rec.last(corp))
		}
		w.pass(3 * time.Minute)
		if age, ok := w.m.Age(corp); !ok || age != 3*time.Minute {
			t.Errorf("age %v, %v", age, ok)
		}
		if got := w.m.Names(); !slices.Equal(got, []string{corp}) {
			t.Errorf("names %q", got)
		}
	})
}

func TestAStrangeNameCostsNoNetwork(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		before := w.iss.Requests(fake.Discovery)
		for _, id := range [][2]string{{"stranger", digest}, {corp, "digest-0"}} {
			if _, err := w.m.Keys(w.t.Context(), id[0], id[1], "key-9"); !errors.Is(err, issuer.ErrUnable) {
				t.Errorf("%q: %v, want ErrUnable", id, err)
			}
			if _, ok := w.m.Peek(id[0], id[1], "key-1"); ok {
				t.Errorf("%q: Peek found a key", id)
			}
		}
		for _, kid := range []string{"", strings.Repeat("k", 257)} {
			w.wants(kid, issuer.ErrKeyUnknown)
		}
		if w.iss.Requests(fake.Discovery) != before || w.m.Generation("stranger") != 0 {
			t.Error("a name or kid that can be nothing caused a fetch")
		}
	})
}

func TestUnknownKeysAreAskedForAtMostOncePerCooldown(t *testing.T) {
	t.Parallel()
	t.Run("F170: 10,000 random kids cost one fetch per 30 s", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			start := w.iss.Requests(fake.JWKS)
			for round := range 3 {
				for i := range 10_000 {
					w.wants(fmt.Sprintf("random-%d-%d", round, i), issuer.ErrKeyUnknown)
				}
				if got := w.iss.Requests(fake.JWKS) - start; got != round+1 {
					t.Fatalf("round %d: %d fetches", round, got)
				}
				w.pass(29 * time.Second)
				w.wants("random", issuer.ErrKeyUnknown)
				if got := w.iss.Requests(fake.JWKS) - start; got != round+1 {
					t.Fatalf("a fetch within the cool-down: %d", got)
				}
				w.pass(time.Second)
			}
		})
	})
	t.Run("F170: all who wait share one fetch, and only so many wait", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			release := make(chan struct{})
			w.iss.Break(fake.JWKS, fake.HangUntil(release, nil))
			var unknown, unable int
			var mu sync.Mutex
			var wg sync.WaitGroup
			for i := range 1000 {
				wg.Go(func() {
					_, err := w.m.Keys(w.t.Context(), corp, digest, fmt.Sprintf("random-%d", i))
					mu.Lock()
					defer mu.Unlock()
					switch {
					case errors.Is(err, issuer.ErrKeyUnknown):
						unknown++
					case errors.Is(err, issuer.ErrUnable):
						unable++
					}
				})
			}
			w.pass(time.Second)
			close(release)
			wg.Wait()
			if got := w.iss.Requests(fake.JWKS); got != 2 {
				t.Errorf("%d fetches, want the first and one more", got)
			}
			if unknown != 128 || unable != 1000-128 {
				t.Errorf("%d unknown, %d unable; want 128 and the rest", unknown, unable)
			}
		})
	})
	t.Run("F171: a refresh that fails for an unknown kid evicts no known key", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			before := w.m.Generation(corp)
			w.iss.Break(fake.JWKS, fake.Status(500))
			w.wants("random", issuer.ErrUnable)
			w.wants("key-1", nil)
			w.wantState(issuer.Stale)
			if w.m.Generation(corp) != before {
				t.Error("the generation changed although no key did")
			}
		})
	})
}

func TestTheIssuerDecidesWhichKeysThereAre(t *testing.T) {
	t.Parallel()
	t.Run("F172: the first token with a new kid is accepted, the old kid too", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			before := w.m.Generation(corp)
			w.pass(5 * time.Second) // sooner than any refresh, later than none
			rotate(t, w.iss)
			w.wants("key-2", nil)
			w.wants("key-1", nil)
			if w.m.Generation(corp) != before {
				t.Error("a key that was added changed the generation")
			}
		})
	})
	t.Run("F173: a removed key is gone within the refresh interval and stays gone", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			before := w.m.Generation(corp)
			rotate(t, w.iss)
			w.iss.Remove("key-1")
			w.wants("key-1", nil) // not yet noticed
			w.pass(10 * time.Minute)
			w.wants("key-1", issuer.ErrKeyUnknown)
			w.wants("key-2", nil)
			if after := w.m.Generation(corp); after == before || after == 0 {
				t.Errorf("generation %d after %d", after, before)
			}
			w.iss.Break(fake.JWKS, fake.Status(500))
			w.pass(time.Hour)
			w.wants("key-1", issuer.ErrUnable)
			if _, ok := w.m.Peek(corp, digest, "key-1"); ok {
				t.Error("an outage brought the removed key back")
			}
		})
	})
	t.Run("F174: a key replaced under its kid wins, with a warning", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			before := w.m.Generation(corp)
			old, _ := w.m.Peek(corp, digest, "key-1")
			if _, err := w.iss.Replace("key-1"); err != nil {
				t.Fatal(err)
			}
			w.pass(10 * time.Minute)
			fresh, _ := w.m.Peek(corp, digest, "key-1")
			a, _ := old.MarshalJSON()
			b, _ := fresh.MarshalJSON()
			if string(a) == string(b) {
				t.Error("the old key still serves")
			}
			if w.m.Generation(corp) == before {
				t.Error("the generation did not change")
			}
			for range 2 { // and it stays said while the keys stay
				if st := w.status(corp); len(st.Warnings) != 1 || !strings.Contains(st.Warnings[0], `"key-1" was replaced`) {
					t.Errorf("warnings %q", st.Warnings)
				}
				w.pass(10 * time.Minute)
			}
		})
	})
}

func TestReadersAndOtherIssuersNeverWait(t *testing.T) {
	t.Parallel()
	t.Run("F175: 1,000 reads of known keys end while a fetch hangs", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			entered := make(chan struct{}, 1)
			w.iss.Break(fake.JWKS, fake.HangUntil(make(chan struct{}), entered))
			go func() { _, _ = w.m.Keys(w.t.Context(), corp, digest, "random") }()
			<-entered
			started := time.Now()
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					if _, err := w.m.Keys(w.t.Context(), corp, digest, "key-1"); err != nil {
						t.Error(err)
					}
					_, _ = w.m.Status(corp)
					_ = w.m.Generation(corp)
				})
			}
			wg.Wait()
			if took := time.Since(started); took != 0 {
				t.Errorf("reads waited %v for the fetch", took)
			}
			w.pass(11 * time.Second)
		})
	})
	t.Run("F177: a caller that goes does not end the fetch for the others", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			rotate(t, w.iss)
			release, entered := make(chan struct{}), make(chan struct{}, 1)
			w.iss.Break(fake.JWKS, fake.HangUntil(release, entered))
			ctx, cancel := context.WithCancel(w.t.Context())
			first, second := make(chan error), make(chan error)
			ask := func(ctx context.Context, to chan error) {
				_, err := w.m.Keys(ctx, corp, digest, "key-2")
				to <- err
			}
			go ask(ctx, first)
			<-entered
			go ask(w.t.Context(), second)
			cancel()
			if err := <-first; !errors.Is(err, issuer.ErrUnable) || !errors.Is(err, context.Canceled) {
				t.Errorf("the caller that went: %v", err)
			}
			close(release)
			if err := <-second; err != nil {
				t.Errorf("the caller that stayed: %v", err)
			}
			if got := w.iss.Requests(fake.JWKS); got != 2 {
				t.Errorf("%d fetches, want 2", got)
			}
		})
	})
	t.Run("F178: one issuer that hangs delays only its own tokens", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			slow, src := w.issuer("slow")
			slow.Break(fake.Discovery, fake.Hang())
			w.m.SetSources([]issuer.Source{w.src, src})
			started := time.Now()
			rotate(t, w.iss)
			w.wants("key-2", nil)
			if took := time.Since(started); took != 0 {
				t.Errorf("the other issuer's key took %v", took)
			}
			if _, err := w.m.Keys(w.t.Context(), "slow", digest, "key-1"); !errors.Is(err, issuer.ErrUnable) {
				t.Errorf("the slow issuer's key: %v", err)
			}
			if took := time.Since(started); took != 10*time.Second {
				t.Errorf("its caller was told after %v, want the fetch timeout", took)
			}
		})
	})
}

func TestWhatCannotBeToldIsNotDenied(t *testing.T) {
	t.Parallel()
	t.Run("F179: an issuer that was never reached is unable, not unknown", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			down, src := w.issuer("down")
			down.Break(fake.Discovery, fake.Drop())
			w.m.SetSources([]issuer.Source{src})
			if err := w.m.Wait(w.t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err := w.m.Keys(w.t.Context(), "down", digest, "key-1")
			if !errors.Is(err, issuer.ErrUnable) || errors.Is(err, issuer.ErrKeyUnknown) {
				t.Errorf("got %v", err)
			}
			if st := w.status("down"); st.State != issuer.Failed || w.rec.last("down") != issuer.ResultConnect {
				t.Errorf("status %+v, result %q", st, w.rec.last("down"))
			}
			down.Fix()
			w.pass(time.Minute)
			if _, err := w.m.Keys(w.t.Context(), "down", digest, "key-1"); err != nil {
				t.Errorf("after its recovery: %v", err)
			}
		})
	})
	t.Run("F179: keys past their bound are unable, and nothing verified before counts", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			w.iss.Break(fake.Discovery, fake.Status(503))
			w.pass(24*time.Hour - time.Second)
			w.wants("key-1", nil)
			w.wantState(issuer.Stale)
			changes := w.rec.changesOf(corp)
			w.pass(time.Second)
			w.wantState(issuer.Failed)
			if w.m.Generation(corp) != 0 || w.rec.changesOf(corp) != changes+1 {
				t.Errorf("generation %d, %d changes told; want 0 and one more than %d", w.m.Generation(corp), w.rec.changesOf(corp), changes)
			}
			w.wants("key-1", issuer.ErrUnable)
			w.wants("random", issuer.ErrUnable)
			w.iss.Fix()
			w.pass(6 * time.Minute)
			w.wants("key-1", nil)
			w.wantState(issuer.Ready)
		})
	})
	t.Run("F188: a DNS outage ends in unable at the bound and heals by itself", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(o *issuer.Options) { o.StaleBound = 30 * time.Minute }, func(w *world) {
			w.dns.set(func(string) error { return errors.New("server misbehaving") })
			w.pass(20 * time.Minute)
			w.wants("key-1", nil)
			w.wantState(issuer.Stale)
			if w.rec.last(corp) != issuer.ResultDNS {
				t.Errorf("result %q", w.rec.last(corp))
			}
			w.pass(20 * time.Minute)
			w.wants("key-1", issuer.ErrUnable)
			w.dns.set(nil)
			w.pass(6 * time.Minute)
			w.wants("key-1", nil)
		})
	})
	t.Run("F189: a resolver that panics is a failed fetch; the worker lives", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			w.dns.set(func(string) error { panic("a reply of a strange shape") })
			w.wants("random", issuer.ErrUnable)
			w.wants("key-1", nil)
			w.dns.set(nil)
			rotate(t, w.iss)
			w.pass(time.Minute)
			w.wants("key-2", nil)
		})
	})
	t.Run("F189: an observer or listener that panics does not end the worker", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(o *issuer.Options) {
			o.OnChange = func(string) { panic("listener") }
			o.Observer = observerFunc(func() { panic("observer") })
		}, func(w *world) {
			rotate(t, w.iss)
			w.wants("key-2", nil)
		})
	})
}

type observerFunc func()

func (f observerFunc) Fetched(string, issuer.Result, time.Duration) { f() }

func rotate(t *testing.T, iss *fake.Issuer) {
	t.Helper()
	if _, err := iss.Rotate(); err != nil {
		t.Fatal(err)
	}
}
