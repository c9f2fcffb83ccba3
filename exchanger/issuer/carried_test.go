// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// carrier is whoever carries keys, and whether it is heard of.
type carrier struct {
	w     *world
	quiet atomic.Bool
}

// withCarrier runs f in a world where corp's present keys are carried, and where
// nothing was fetched.
func withCarrier(t *testing.T, tune func(*issuer.Options), f func(w *world, c *carrier)) {
	t.Helper()
	c := &carrier{}
	inWorld(t, func(o *issuer.Options) {
		o.CarrierFresh = func() bool { return !c.quiet.Load() }
		if tune != nil {
			tune(o)
		}
	}, func(w *world) {
		c.w = w
		w.m.SetSources(nil)
		before := w.iss.Requests(fake.JWKS)
		if before != 0 {
			t.Fatalf("%d fetches before anything was asked", before)
		}
		c.bring(w.iss.KeySet())
		f(w, c)
	})
}

// bring carries another set.
func (c *carrier) bring(set []byte) {
	src := c.w.src
	src.Carried = set
	c.w.m.SetSources([]issuer.Source{src})
}

func (w *world) fetches(want int) {
	w.t.Helper()
	if got := w.iss.Requests(fake.JWKS); got != want {
		w.t.Fatalf("%d fetches, want %d", got, want)
	}
}

func TestCarriedKeysAreInForceWithoutANetwork(t *testing.T) {
	t.Parallel()
	t.Run("F179: at once, with the issuer down, and as long as the carrier is heard of", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, _ *carrier) {
			w.iss.Break(fake.Discovery, fake.Drop())
			w.wants("key-1", nil)
			w.wantState(issuer.Ready)
			w.pass(100 * time.Hour)
			w.wants("key-1", nil)
			w.wantState(issuer.Ready)
			if w.iss.Requests(fake.Discovery) != 0 {
				t.Error("it was polled although somebody carries")
			}
			if _, ok := w.m.Age(corp); ok {
				t.Error("an age is told that nobody here knows")
			}
		})
	})
	t.Run("before Run", func(t *testing.T) {
		t.Parallel()
		iss, err := fake.New(fake.Options{URL: "https://login.corp.example"})
		if err != nil {
			t.Fatal(err)
		}
		m := issuer.New(issuer.Options{Logger: discard(), CarrierFresh: func() bool { return true }})
		m.SetSources([]issuer.Source{{Name: corp, Digest: digest, URL: iss.URL(), Carried: iss.KeySet()}})
		if _, err := m.Keys(t.Context(), corp, digest, "key-1"); err != nil {
			t.Error(err)
		}
		if err := m.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a set that cannot be read is none, and one that comes later is in force", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, c *carrier) {
			w.m.SetSources(nil)
			c.bring([]byte(`{"keys":[]}`))
			if st := w.status(corp); st.State != issuer.Pending || len(st.Warnings) != 1 {
				t.Errorf("status %+v", st)
			}
			c.bring(w.iss.KeySet())
			w.wants("key-1", nil)
			w.fetches(0)
			c.bring([]byte("nonsense"))
			w.wants("key-1", nil)
		})
	})
}

func TestAChangedCarriedSetIsTheWholeTruth(t *testing.T) {
	t.Parallel()
	t.Run("F173: a key that it lacks is gone at once, and the generation changes", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, c *carrier) {
			w.iss.Break(fake.Discovery, fake.Drop())
			rotate(t, w.iss)
			c.bring(w.iss.KeySet())
			w.wants("key-2", nil)
			before := w.m.Generation(corp)
			w.iss.Remove("key-1")
			c.bring(w.iss.KeySet())
			if _, ok := w.m.Peek(corp, digest, "key-1"); ok {
				t.Error("a key that is gone serves")
			}
			if after := w.m.Generation(corp); after == before || after == 0 {
				t.Errorf("generation %d after %d", after, before)
			}
			w.wants("key-2", nil)
		})
	})
	t.Run("a key that stays is the very same key, so that what it verified stays verified", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, c *carrier) {
			before, _ := w.m.Peek(corp, digest, "key-1")
			generation := w.m.Generation(corp)
			rotate(t, w.iss)
			c.bring(w.iss.KeySet())
			after, _ := w.m.Peek(corp, digest, "key-1")
			if before == nil || before != after || w.m.Generation(corp) != generation {
				t.Error("a key that was added makes every token be verified again")
			}
			if w.rec.changesOf(corp) == 0 || len(w.status(corp).KeyIDs) != 2 {
				t.Error("nobody is told")
			}
		})
	})
	t.Run("F174: a key replaced under its kid is the new one, with a warning", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, c *carrier) {
			before, _ := w.m.Peek(corp, digest, "key-1")
			other, err := fake.New(fake.Options{URL: w.iss.URL()})
			if err != nil {
				t.Fatal(err)
			}
			c.bring(other.KeySet())
			after, ok := w.m.Peek(corp, digest, "key-1")
			if !ok || before == after || len(w.status(corp).Warnings) != 1 {
				t.Errorf("key %v, status %+v", after, w.status(corp))
			}
		})
	})
	t.Run("F182: keys carried under one configuration are never served for another", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, _ *carrier) {
			changed := w.src
			changed.Digest = "digest-2"
			w.iss.Break(fake.Discovery, fake.Drop())
			w.m.SetSources([]issuer.Source{changed})
			if _, err := w.m.Keys(w.t.Context(), corp, "digest-2", "key-1"); !errors.Is(err, issuer.ErrUnable) {
				t.Errorf("keys of the old configuration: %v", err)
			}
		})
	})
	t.Run("a source that is carried no more has no keys until it has fetched some", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, _ *carrier) {
			w.m.SetSources([]issuer.Source{w.src})
			if w.m.Generation(corp) != 0 {
				t.Error("keys that the carrier took back serve")
			}
			w.wants("key-1", nil) // a token hurries the fetch
			w.fetches(1)
		})
	})
}

func TestAnUnknownKeyOfACarriedIssuer(t *testing.T) {
	t.Parallel()
	t.Run("F170: a herd of 10,000 tokens with random kids is one fetch per cool-down", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, _ *carrier) {
			herd := func(n, from int) {
				var wg sync.WaitGroup
				for i := range n {
					wg.Go(func() {
						if _, err := w.m.Keys(w.t.Context(), corp, digest, fmt.Sprint("random-", from+i)); err == nil {
							t.Error("a key that nobody has")
						}
					})
				}
				wg.Wait()
			}
			herd(5000, 0)
			w.fetches(1)
			w.pass(29 * time.Second)
			herd(5000, 5000)
			w.fetches(1)
			w.pass(time.Second)
			herd(100, 10_000)
			w.fetches(2)
			w.wants("key-1", nil)
		})
	})
	t.Run("F171: a fetch that fails takes no carried key away, and is no verdict", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, _ *carrier) {
			w.iss.Break(fake.JWKS, fake.Status(503))
			w.wants("random", issuer.ErrUnable)
			w.wants("key-1", nil)
			w.wantState(issuer.Stale)
			w.iss.Fix()
			w.pass(time.Minute)
			w.wants("random", issuer.ErrKeyUnknown)
			w.wantState(issuer.Ready)
		})
	})
	t.Run("F172: a key that was not carried yet serves at once, beside those that are", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, c *carrier) {
			old := w.iss.KeySet()
			rotate(t, w.iss)
			w.iss.Remove("key-1")
			w.wants("key-2", nil)
			w.wants("key-1", nil) // its removal is for the carrier to tell
			w.fetches(1)
			c.bring(w.iss.KeySet())
			w.wants("key-1", issuer.ErrKeyUnknown)
			c.bring(old) // restored: key-2 is what the next set lacks
			if _, ok := w.m.Peek(corp, digest, "key-2"); ok {
				t.Error("what was found outlives the next carried set")
			}
		})
	})
	t.Run("F173: a key that was found and never carried ends, for the carrier has looked since", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, _ *carrier) {
			rotate(t, w.iss)
			w.wants("key-2", nil)
			w.iss.Remove("key-2")
			w.pass(20*time.Minute - time.Second)
			w.wants("key-2", nil)
			before := w.m.Generation(corp)
			w.pass(time.Minute)
			w.wants("key-2", issuer.ErrKeyUnknown)
			w.wants("key-1", nil)
			if w.m.Generation(corp) == before {
				t.Error("what it verified counts on")
			}
		})
	})
}

func TestWhenTheCarrierIsQuiet(t *testing.T) {
	t.Parallel()
	t.Run("the keys are polled, and end at their bound", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, func(o *issuer.Options) { o.Jitter = func() float64 { return 0.5 } }, func(w *world, c *carrier) {
			c.quiet.Store(true)
			w.pass(time.Minute)
			w.fetches(0) // not all replicas in the same minute
			w.pass(6 * time.Minute)
			w.fetches(1)
			rotate(t, w.iss)
			w.iss.Remove("key-1")
			w.pass(11 * time.Minute)
			w.wants("key-1", issuer.ErrKeyUnknown)
			w.wants("key-2", nil)
			w.iss.Break(fake.Discovery, fake.Drop())
			w.pass(25 * time.Hour)
			w.wants("key-2", issuer.ErrUnable)
		})
	})
	t.Run("F173: what was polled meanwhile is not undone by the carrier's return with an old set", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, c *carrier) {
			c.quiet.Store(true)
			rotate(t, w.iss)
			w.iss.Remove("key-1")
			w.pass(12 * time.Minute)
			w.wants("key-2", nil)
			c.quiet.Store(false)
			w.pass(2 * time.Minute)
			w.wants("key-1", issuer.ErrKeyUnknown)
			fetches := w.iss.Requests(fake.JWKS)
			w.pass(10 * time.Minute)
			w.fetches(fetches) // it polls no more
			c.bring(w.iss.KeySet())
			w.pass(time.Hour)
			w.wants("key-2", nil)
			if _, ok := w.m.Peek(corp, digest, "key-1"); ok {
				t.Error("a key that its issuer removed is back")
			}
		})
	})
	t.Run("F188: in an outage of the names the last good keys serve, say so, and end at the bound; the carrier heals it", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, c *carrier) {
			w.dns.set(func(string) error { return errors.New("server misbehaving") })
			c.quiet.Store(true)
			w.pass(10 * time.Minute)
			w.wants("key-1", nil)
			w.wantState(issuer.Stale)
			if got := w.rec.last(corp); got != issuer.ResultDNS {
				t.Errorf("result %q", got)
			}
			w.pass(25 * time.Hour)
			w.wants("key-1", issuer.ErrUnable)
			c.quiet.Store(false)
			w.pass(2 * time.Minute)
			w.wants("key-1", nil)
			w.wantState(issuer.Ready)
		})
	})
}

func TestTheOneThatFetchesBeginsWithWhatWasCarried(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		published := w.iss.KeySet()
		rotate(t, w.iss)
		src := w.src
		src.Carried = published
		w.iss.Break(fake.Discovery, fake.Drop())
		w.m.SetSources(nil)
		w.m.SetSources([]issuer.Source{src})
		w.wants("key-1", nil) // a restart blanks nothing
		set, of, ok := w.m.JWKS(corp)
		if !ok || of != digest || !sameKeys(t, set, published) {
			t.Errorf("carried on: %s under %q, %v", set, of, ok)
		}
		w.iss.Fix()
		w.pass(time.Minute)
		w.wants("key-2", nil)
		// What it fetched itself is the truth, whatever is said to be carried.
		w.m.SetSources([]issuer.Source{src})
		w.m.SetSources([]issuer.Source{w.src})
		w.wants("key-2", nil)
		w.iss.Break(fake.Discovery, fake.Drop())
		w.pass(25 * time.Hour)
		if _, _, ok := w.m.JWKS(corp); ok {
			t.Error("keys past their bound are carried on")
		}
	})
}

func TestCarriedKeysHaveOneForm(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		rotate(t, w.iss)
		w.pass(11 * time.Minute)
		first, _, _ := w.m.JWKS(corp)
		var doc struct {
			Keys []map[string]any `json:"keys"`
		}
		if err := json.Unmarshal(w.iss.KeySet(), &doc); err != nil {
			t.Fatal(err)
		}
		slices.Reverse(doc.Keys)
		doc.Keys[0]["x-comment"] = "of no meaning"
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		other := w.src
		other.Name, other.Carried = "other", text
		w.m.SetSources([]issuer.Source{other})
		second, _, ok := w.m.JWKS("other")
		if !ok || string(first) != string(second) {
			t.Errorf("%s\n%s\n%+v", first, second, w.status("other"))
		}
		if _, _, ok := w.m.JWKS("nobody"); ok {
			t.Error("nobody's keys")
		}
		w.m.SetSources([]issuer.Source{{Name: "inline", Digest: digest, URL: w.src.URL, Inline: text}})
		if _, _, ok := w.m.JWKS("inline"); ok {
			t.Error("keys that stand in the object are carried besides")
		}
	})
}

func TestTheLocalClustersKeysAreNeverDialledFor(t *testing.T) {
	t.Parallel()
	t.Run("F187: its URL is a private address, and nothing asks it", func(t *testing.T) {
		t.Parallel()
		withCarrier(t, nil, func(w *world, c *carrier) {
			asked := func(string) error { t.Error("a name was looked up"); return errors.New("no") }
			w.dns.set(asked)
			c.quiet.Store(true)
			src := issuer.Source{Name: corp, Digest: digest, URL: "https://kubernetes.default.svc.cluster.local", Local: true}
			w.m.SetSources([]issuer.Source{src})
			w.wants("key-1", issuer.ErrUnable) // not known yet is no verdict
			src.Carried = w.iss.KeySet()
			w.m.SetSources([]issuer.Source{src})
			w.wants("key-1", nil)
			w.pass(100 * time.Hour)
			w.wants("key-1", nil)
			w.wants("random", issuer.ErrKeyUnknown)
			rotate(t, w.iss)
			w.iss.Remove("key-1")
			src.Carried = w.iss.KeySet()
			w.m.SetSources([]issuer.Source{src})
			w.wants("key-1", issuer.ErrKeyUnknown)
			w.wants("key-2", nil)
		})
	})
	t.Run("F187: declared as remote it is dialled only where network.allowedCIDRs says so", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			w.dns.point("kubernetes.default.svc", "10.96.0.1")
			src := issuer.Source{Name: corp, Digest: digest, URL: "https://kubernetes.default.svc"}
			w.m.SetSources([]issuer.Source{src})
			w.wants("key-1", issuer.ErrUnable)
			if got := w.rec.last(corp); got != issuer.ResultAddress {
				t.Errorf("result %q", got)
			}
			src.AllowedCIDRs = append(src.AllowedCIDRs, prefix("10.96.0.1/32"))
			w.m.SetSources([]issuer.Source{src})
			w.wants("key-1", issuer.ErrUnable) // nobody is there in this test, but it was dialled
			if got := w.rec.last(corp); got != issuer.ResultConnect {
				t.Errorf("result %q", got)
			}
		})
	})
}

func TestAHundredIssuersAtOnceDoNotBurst(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		quiet func(time.Duration) bool
		carry bool
		most  int // fetches that begin in one second
		all   time.Duration
	}{
		"when they are declared":                        {nil, false, 30, 10 * time.Second},
		"when the carrier goes quiet":                   {func(since time.Duration) bool { return since > time.Minute }, true, 30, 12 * time.Minute},
		"when they are declared and a carrier is there": {func(time.Duration) bool { return false }, false, 30, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const n = 100
				begun := map[int64]int{}
				var mu sync.Mutex
				started := time.Now()
				dns := &names{hook: func(string) error {
					mu.Lock()
					defer mu.Unlock()
					begun[int64(time.Since(started)/time.Second)]++
					return errors.New("no such name")
				}}
				o := issuer.Options{Logger: discard(), Resolver: dns}
				if of.quiet != nil {
					o.CarrierFresh = func() bool { return !of.quiet(time.Since(started)) }
				}
				m := issuer.New(o)
				iss, err := fake.New(fake.Options{URL: "https://corp.example"})
				if err != nil {
					t.Fatal(err)
				}
				var all []issuer.Source
				for i := range n {
					src := issuer.Source{Name: fmt.Sprint("i", i), Digest: digest, URL: fmt.Sprintf("https://i%d.example", i)}
					if of.carry {
						src.Carried = iss.KeySet()
					}
					all = append(all, src)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- m.Run(ctx) }()
				defer func() { cancel(); <-done }()
				m.SetSources(all)
				time.Sleep(of.all)
				mu.Lock()
				defer mu.Unlock()
				sum := 0
				for second, k := range begun {
					sum += k
					if k > of.most {
						t.Errorf("%d fetches began in second %d", k, second)
					}
				}
				if sum < n {
					t.Errorf("%d fetches began in %v, want all %d", sum, of.all, n)
				}
			})
		})
	}
}

// sameKeys says whether two sets have the same keys.
func sameKeys(t *testing.T, a, b []byte) bool {
	t.Helper()
	read := func(text []byte) []string {
		set, _, err := jose.ParseKeySet(text, jose.KeySetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, kid := range set.KeyIDs() {
			key, _ := set.Key(kid)
			one, err := key.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(one))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(read(a), read(b))
}
