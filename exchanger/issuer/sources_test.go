// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

func TestSourcesAreTheWholeTruth(t *testing.T) {
	t.Parallel()
	t.Run("a source that is gone has no keys at once", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			w.m.SetSources(nil)
			w.wants("key-1", issuer.ErrUnable)
			if _, ok := w.m.Status(corp); ok || w.m.Generation(corp) != 0 || len(w.m.Names()) != 0 {
				t.Error("something is left of it")
			}
			fetches := w.iss.Requests(fake.JWKS)
			w.pass(time.Hour)
			if w.iss.Requests(fake.JWKS) != fetches {
				t.Error("it is still fetched")
			}
		})
	})
	t.Run("a source that comes back has another generation", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			before := w.m.Generation(corp)
			w.m.SetSources(nil)
			w.m.SetSources([]issuer.Source{w.src})
			w.wants("key-1", nil)
			if after := w.m.Generation(corp); after == before || after == 0 {
				t.Errorf("generation %d after %d", after, before)
			}
		})
	})
	t.Run("an unchanged source is not fetched again", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			same := w.src
			same.AllowedCIDRs = append([]netip.Prefix{}, same.AllowedCIDRs...)
			before := w.m.Generation(corp)
			w.m.SetSources([]issuer.Source{same})
			synctest.Wait()
			if w.iss.Requests(fake.JWKS) != 1 || w.m.Generation(corp) != before {
				t.Error("it was")
			}
		})
	})
	t.Run("a source that went while a caller waited gives nothing", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			rotate(t, w.iss)
			entered := make(chan struct{}, 1)
			w.iss.Break(fake.JWKS, fake.HangUntil(make(chan struct{}), entered))
			got := make(chan error)
			go func() {
				_, err := w.m.Keys(w.t.Context(), corp, digest, "key-2")
				got <- err
			}()
			<-entered
			results := w.rec.count(corp)
			w.m.SetSources(nil)
			if err := <-got; !errors.Is(err, issuer.ErrUnable) {
				t.Errorf("got %v", err)
			}
			if w.rec.count(corp) != results {
				t.Error("a fetch that we ended counts as the issuer's failure")
			}
		})
	})
	t.Run("of two sources with one name neither is used", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			other, src := w.issuer("other")
			src.Name = corp
			w.m.SetSources([]issuer.Source{w.src, src})
			w.wants("key-1", issuer.ErrUnable)
			if other.Requests(fake.Discovery) != 0 {
				t.Error("one was fetched")
			}
		})
	})
	t.Run("F182: keys of one configuration are never served for another", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			// Two trusted issuers with one URL, whose keys differ in origin.
			inline, err := fake.New(fake.Options{URL: w.iss.URL()})
			if err != nil {
				t.Fatal(err)
			}
			rotate(t, inline)
			inline.Remove("key-1")
			twin := issuer.Source{Name: "twin", Digest: digest, URL: w.iss.URL(), Inline: inline.KeySet()}
			w.m.SetSources([]issuer.Source{w.src, twin})
			w.wants("key-1", nil)
			w.wants("key-2", issuer.ErrKeyUnknown)
			if _, err := w.m.Keys(w.t.Context(), "twin", digest, "key-2"); err != nil {
				t.Error(err)
			}
			if _, err := w.m.Keys(w.t.Context(), "twin", digest, "key-1"); !errors.Is(err, issuer.ErrKeyUnknown) {
				t.Errorf("the other's key: %v", err)
			}
			// The same name and URL under a new digest starts without keys.
			w.iss.Break(fake.JWKS, fake.Status(500))
			changed := w.src
			changed.Digest = "digest-2"
			w.m.SetSources([]issuer.Source{changed})
			if _, err := w.m.Keys(w.t.Context(), corp, "digest-2", "key-1"); !errors.Is(err, issuer.ErrUnable) {
				t.Errorf("keys of the old configuration: %v", err)
			}
			w.wants("key-1", issuer.ErrUnable) // nor for the old digest
		})
	})
}

func TestInlineKeysNeverGoStale(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		src := issuer.Source{Name: corp, Digest: "inline", URL: "https://login.corp.example", Inline: w.iss.KeySet()}
		w.m.SetSources([]issuer.Source{src})
		fetches := w.iss.Requests(fake.JWKS)
		w.pass(1000 * time.Hour)
		if _, err := w.m.Keys(w.t.Context(), corp, "inline", "key-1"); err != nil {
			t.Error(err)
		}
		if _, err := w.m.Keys(w.t.Context(), corp, "inline", "random"); !errors.Is(err, issuer.ErrKeyUnknown) {
			t.Errorf("an unknown key: %v", err)
		}
		if _, ok := w.m.Age(corp); ok || w.m.Generation(corp) == 0 || w.iss.Requests(fake.JWKS) != fetches {
			t.Error("inline keys have an age, no generation, or were fetched")
		}
		w.wantState(issuer.Ready)
	})
}

func TestAConfigurationThatCannotWorkSaysWhy(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		src  issuer.Source
		says string
	}{
		"F154: an http URL":                  {issuer.Source{URL: "http://login.corp.example"}, "scheme https"},
		"F154: a URL with a query":           {issuer.Source{URL: "https://login.corp.example?a=b"}, "query"},
		"F154: a private address":            {issuer.Source{URL: "https://10.0.0.1"}, "private"},
		"F162: a number for a host":          {issuer.Source{URL: "https://0x7f.1"}, "number"},
		"a key address that may not be":      {issuer.Source{URL: "https://a.example", JWKSURL: "https://169.254.169.254/"}, "link-local"},
		"a discovery address that may not":   {issuer.Source{URL: "https://a.example", DiscoveryURL: "http://b.example/"}, "discoveryURL"},
		"two addresses for the keys":         {issuer.Source{URL: "https://a.example", DiscoveryURL: "https://b.example/", JWKSURL: "https://b.example/"}, "expected one"},
		"inline keys and an address":         {issuer.Source{URL: "https://a.example", JWKSURL: "https://b.example/", Inline: []byte("{}")}, "expected one"},
		"inline keys that are none":          {issuer.Source{URL: "https://a.example", Inline: []byte(`{"keys":[]}`)}, "no keys"},
		"inline keys that are not JSON":      {issuer.Source{URL: "https://a.example", Inline: []byte(`{`)}, "inline keys"},
		"F181: a bundle that does not parse": {issuer.Source{URL: "https://a.example", CABundle: []byte("x")}, "CA bundle"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, rec := manage(t)
			tc.src.Name, tc.src.Digest = corp, digest
			settle(t, m, tc.src)
			st, _ := m.Status(corp)
			if st.State != issuer.Failed || !strings.Contains(st.Message, tc.says) {
				t.Fatalf("status %+v, want Failed with %q", st, tc.says)
			}
			if _, err := m.Keys(t.Context(), corp, digest, "key-1"); !errors.Is(err, issuer.ErrUnable) {
				t.Fatalf("keys: %v", err)
			}
			if rec.count(corp) != 0 || rec.changesOf(corp) != 1 {
				t.Fatalf("%d fetches, %d changes told", rec.count(corp), rec.changesOf(corp))
			}
		})
	}
}

func TestRunOwnsTheWorkers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := issuer.New(issuer.Options{Logger: discard(), Resolver: &names{}})
		m.SetSources([]issuer.Source{{Name: corp, Digest: digest, URL: "https://login.corp.example"}})
		started := time.Now()
		if _, err := m.Keys(t.Context(), corp, digest, "key-1"); !errors.Is(err, issuer.ErrUnable) {
			t.Errorf("before Run: %v", err)
		}
		if took := time.Since(started); took != 11*time.Second {
			t.Errorf("before Run, a caller waited %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone, cancelGone := context.WithTimeout(t.Context(), time.Second)
		defer cancelGone()
		if err := m.Wait(gone); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait before Run: %v", err)
		}
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		if st, _ := m.Status(corp); st.State != issuer.Failed {
			t.Errorf("a source from before Run was not fetched: %+v", st)
		}
		if err := m.Run(ctx); err == nil {
			t.Error("Run ran twice")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		m.SetSources([]issuer.Source{{Name: "late", Digest: digest, URL: "https://login.corp.example"}})
		synctest.Wait()
		if st, _ := m.Status("late"); st.State != issuer.Pending {
			t.Errorf("a worker started after the end: %+v", st)
		}
	})
}

// A fetch that hangs until the process ends leaves nothing due: the worker must
// not take that for "due at once".
func TestRunEndsWhileAnIssuersFirstFetchHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := &hangingNames{asked: make(chan struct{})}
		m := issuer.New(issuer.Options{Logger: discard(), Resolver: hang})
		m.SetSources([]issuer.Source{{Name: corp, Digest: digest, URL: "https://login.corp.example"}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		<-hang.asked
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

type hangingNames struct {
	once  sync.Once
	asked chan struct{}
}

func (h *hangingNames) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	h.once.Do(func() { close(h.asked) })
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestTheSetOfResultsIsClosed(t *testing.T) {
	t.Parallel()
	seen := map[issuer.Result]bool{}
	for _, r := range issuer.Results() {
		if r == "" || seen[r] {
			t.Errorf("result %q", r)
		}
		seen[r] = true
	}
}
