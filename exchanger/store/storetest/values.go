// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/store"
)

const kind = store.Refresh

func (b Backend) values(t *testing.T) {
	t.Run("what was put is there until it is replaced or taken", func(t *testing.T) { b.keeps(t) })
	t.Run("F285: a value is forgotten exactly when it is over", func(t *testing.T) { b.valueExpiry(t) })
	t.Run("F285: of ten replicas and a hundred callers exactly one takes a value", func(t *testing.T) { b.takers(t) })
	t.Run("F285: of ten replicas and a hundred callers exactly one swaps a value", func(t *testing.T) { b.swappers(t) })
	t.Run("a value is swapped only for what it is, byte by byte", func(t *testing.T) { b.swap(t) })
	t.Run("whether any is there is told of all at once", func(t *testing.T) { b.any(t) })
	t.Run("F292, F293: purposes and identifiers do not touch each other", func(t *testing.T) { b.apart(t) })
	t.Run("callers and store have bytes of their own", func(t *testing.T) { b.copies(t) })
	t.Run("F294: one owner's values meet their quota, by number and by size, and others go on", func(t *testing.T) { b.quota(t) })
	t.Run("what is too large, over, or asked by nobody any more is an error", func(t *testing.T) { b.refuses(t) })
}

func put(t *testing.T, s store.Store, id, value string, until time.Time) {
	t.Helper()
	if err := s.Put(t.Context(), kind, "o", id, []byte(value), until); err != nil {
		t.Fatalf("Put(%q): %v", id, err)
	}
}

// has compares what is there; "" is nothing.
func has(t *testing.T, s store.Store, id, want string) {
	t.Helper()
	got, found, err := s.Get(t.Context(), kind, id)
	if err != nil || found != (want != "") || string(got) != want {
		t.Errorf("Get(%q): %q, %v, %v; want %q", id, got, found, err, want)
	}
}

func (b Backend) keeps(t *testing.T) {
	s, until := b.one(t), b.later()
	has(t, s, "a", "")
	put(t, s, "a", "one\x00\xff", until)
	has(t, s, "a", "one\x00\xff")
	put(t, s, "a", "two", until)
	has(t, s, "a", "two")
	if err := s.Put(t.Context(), kind, "another owner", "a", []byte("three"), until); err != nil {
		t.Error(err)
	}
	has(t, s, "a", "three")
	got, found, err := s.Take(t.Context(), kind, "a")
	if string(got) != "three" || !found || err != nil {
		t.Errorf("taken: %q, %v, %v", got, found, err)
	}
	has(t, s, "a", "")
	if _, found, err := s.Take(t.Context(), kind, "a"); found || err != nil {
		t.Errorf("taken twice: %v, %v", found, err)
	}
	put(t, s, "a", "four", until)
	has(t, s, "a", "four")
}

func (b Backend) valueExpiry(t *testing.T) {
	s := b.one(t)
	until := b.in(60)
	for _, id := range []string{"get", "take", "swap", "any"} {
		put(t, s, id, "v", until)
	}
	put(t, s, "shortened", "v", b.later())
	put(t, s, "prolonged", "v", until)
	for id, end := range map[string]time.Time{"shortened": until, "prolonged": b.later()} {
		if ok, err := s.Swap(t.Context(), kind, id, []byte("v"), []byte("w"), end); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	b.Advance(b.units(50))
	b.untilFound(t, until, func() bool { _, found, _ := s.Get(t.Context(), kind, "get"); return !found })
	b.Advance(tolerance)
	if _, found, err := s.Take(t.Context(), kind, "take"); found || err != nil {
		t.Errorf("taken after its end: %v, %v", found, err)
	}
	if ok, err := s.Swap(t.Context(), kind, "swap", []byte("v"), []byte("w"), b.later()); ok || err != nil {
		t.Errorf("swapped after its end: %v, %v", ok, err)
	}
	if found, err := s.Any(t.Context(), kind, []string{"any", "shortened"}); found || err != nil {
		t.Errorf("any after its end: %v, %v", found, err)
	}
	has(t, s, "prolonged", "w")
}

// rush calls from ten replicas, a hundred times each, and counts who was told yes.
func (b Backend) rush(t *testing.T, prepare func(store.Store), call func(s store.Store, n int) (bool, error)) int64 {
	t.Helper()
	stores := b.New(t, 10)
	prepare(stores[0])
	var yes atomic.Int64
	var all sync.WaitGroup
	start := make(chan struct{})
	for r, s := range stores {
		for c := range 100 {
			all.Go(func() {
				<-start
				ok, err := call(s, 100*r+c)
				if err != nil {
					t.Errorf("replica %d: %v", r, err)
				}
				if ok {
					yes.Add(1)
				}
			})
		}
	}
	close(start)
	all.Wait()
	return yes.Load()
}

func (b Backend) takers(t *testing.T) {
	if n := b.rush(t, func(s store.Store) { put(t, s, "a", "v", b.later()) }, func(s store.Store, _ int) (bool, error) {
		_, found, err := s.Take(t.Context(), kind, "a")
		return found, err
	}); n != 1 {
		t.Errorf("taken %d times", n)
	}
}

func (b Backend) swappers(t *testing.T) {
	until := b.later()
	if n := b.rush(t, func(s store.Store) { put(t, s, "a", "v", until) }, func(s store.Store, n int) (bool, error) {
		return s.Swap(t.Context(), kind, "a", []byte("v"), fmt.Append(nil, "w", n), until)
	}); n != 1 {
		t.Errorf("swapped %d times", n)
	}
}

func (b Backend) swap(t *testing.T) {
	s, until := b.one(t), b.later()
	for _, step := range []struct {
		old, replacement string
		want             bool
		then             string
	}{
		{"", "new", false, "one"},
		{"on", "new", false, "one"},
		{"one ", "new", false, "one"},
		{"One", "new", false, "one"},
		{"one", "two", true, "two"},
		{"one", "three", false, "two"},
		{"two", strings.Repeat("long", 1000), true, strings.Repeat("long", 1000)},
		{strings.Repeat("long", 1000), "s", true, "s"},
	} {
		if step.then == "one" {
			put(t, s, "a", "one", until)
		}
		ok, err := s.Swap(t.Context(), kind, "a", []byte(step.old), []byte(step.replacement), until)
		if ok != step.want || err != nil {
			t.Errorf("%.9q for %.9q: %v, %v", step.replacement, step.old, ok, err)
		}
		has(t, s, "a", step.then)
	}
	if ok, err := s.Swap(t.Context(), kind, "absent", nil, []byte("x"), until); ok || err != nil {
		t.Errorf("what is not there was swapped: %v, %v", ok, err)
	}
	has(t, s, "absent", "")
}

func (b Backend) any(t *testing.T) {
	s := b.one(t)
	put(t, s, "here", "v", b.later())
	ids := make([]string, store.MaxAny)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	for name, test := range map[string]struct {
		ids  []string
		want bool
	}{
		"none":                 {nil, false},
		"the one":              {[]string{"here"}, true},
		"another":              {[]string{"there"}, false},
		"as many as there are": {ids, false},
		"the last of as many":  {append(ids[:len(ids)-1:len(ids)-1], "here"), true},
		"twice":                {[]string{"here", "here"}, true},
	} {
		if found, err := s.Any(t.Context(), kind, test.ids); found != test.want || err != nil {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	if found, err := s.Any(t.Context(), kind, slices.Concat(ids, []string{"here"})); found || !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("too many: %v, %v", found, err)
	}
	if found, err := s.Any(t.Context(), "another", []string{"here"}); found || err != nil {
		t.Errorf("another purpose: %v, %v", found, err)
	}
}

func (b Backend) apart(t *testing.T) {
	s, until := b.one(t), b.later()
	put(t, s, "a:b", "v", until)
	for _, id := range []string{"a", "b", "a:", "", "a:b:taken", "a:b ", "A:B"} {
		has(t, s, id, "")
	}
	if _, found, err := s.Get(t.Context(), kind+":a", "b"); found || err != nil {
		t.Errorf("another purpose: %v, %v", found, err)
	}
	if !once(t, s, kind, "", "a:b", until) {
		t.Error("a value is taken for a use")
	}
	has(t, s, "a:b", "v")
}

func (b Backend) copies(t *testing.T) {
	s, until := b.one(t), b.later()
	mine := []byte("mine")
	if err := s.Put(t.Context(), kind, "o", "a", mine, until); err != nil {
		t.Fatal(err)
	}
	copy(mine, "XXXX")
	has(t, s, "a", "mine")
	got, _, _ := s.Get(t.Context(), kind, "a")
	copy(got, "XXXX")
	has(t, s, "a", "mine")
	next := []byte("next")
	if ok, err := s.Swap(t.Context(), kind, "a", []byte("mine"), next, until); !ok || err != nil {
		t.Fatal(ok, err)
	}
	copy(next, "XXXX")
	has(t, s, "a", "next")
}

func (b Backend) quota(t *testing.T) {
	s := b.Limited(t, store.MemoryLimits{PerOwner: 10, OwnerBytes: 1000})
	until := b.in(150)
	store1 := func(owner, id string, size int) error {
		return s.Put(t.Context(), kind, owner, id, bytes.Repeat([]byte("x"), size), until)
	}
	for i := range 30 {
		err := store1("many", fmt.Sprint("m", i), 10)
		if full := i >= 10; full != errors.Is(err, store.ErrQuota) || !full && err != nil {
			t.Fatalf("value %d: %v", i, err)
		}
	}
	for i := range 10 {
		err := store1("large", fmt.Sprint("l", i), 300)
		if full := i >= 3; full != errors.Is(err, store.ErrQuota) || !full && err != nil {
			t.Fatalf("large value %d: %v", i, err)
		}
	}
	steps := []struct {
		what string
		do   func() error
		want error
	}{
		{"one more of one who has room", func() error { return store1("other", "o", 500) }, nil},
		{"replace one of many", func() error { return store1("many", "m3", 10) }, nil},
		{"replace a large one by one that fits", func() error { return store1("large", "l1", 400) }, nil},
		{"replace it by one that does not", func() error { return store1("large", "l1", 401) }, store.ErrQuota},
		{"swap it for one that does not", func() error {
			_, err := s.Swap(t.Context(), kind, "l1", bytes.Repeat([]byte("x"), 400), make([]byte, 401), until)
			return err
		}, store.ErrQuota},
		{"swap it for a small one", func() error {
			_, err := s.Swap(t.Context(), kind, "l1", bytes.Repeat([]byte("x"), 400), make([]byte, 1), until)
			return err
		}, nil},
		{"one more then", func() error { return store1("large", "l9", 399) }, nil},
		{"and another", func() error { return store1("large", "l8", 1) }, store.ErrQuota},
		{"take one of many", func() error { _, _, err := s.Take(t.Context(), kind, "m0"); return err }, nil},
		{"one more of them", func() error { return store1("many", "m10", 10) }, nil},
		{"and another of them", func() error { return store1("many", "m11", 10) }, store.ErrQuota},
		{"give one away", func() error { return store1("other", "m1", 10) }, nil},
		{"one more again", func() error { return store1("many", "m11", 10) }, nil},
	}
	for _, step := range steps {
		if err := step.do(); !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.what, err, step.want)
		}
	}
	b.Advance(until.Sub(b.Now()) + tolerance)
	until = b.later()
	for i := range 11 {
		if err := store1("many", fmt.Sprint("n", i), 10); i < 10 && err != nil || i == 10 && !errors.Is(err, store.ErrQuota) {
			t.Errorf("value %d after the others are over: %v", i, err)
		}
	}
	if err := store1("large", "n", 1000); err != nil {
		t.Errorf("all that one may have, after the others are over: %v", err)
	}
}

func (b Backend) refuses(t *testing.T) {
	s, until := b.one(t), b.later()
	put(t, s, "a", "v", until)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	large := make([]byte, store.MaxValue+1)
	for name, test := range map[string]struct {
		call func(ctx context.Context) error
		want error
	}{
		"put: too large": {func(ctx context.Context) error { return s.Put(ctx, kind, "o", "a", large, until) }, store.ErrTooLarge},
		"swap: too large": {func(ctx context.Context) error {
			_, err := s.Swap(ctx, kind, "a", []byte("v"), large, until)
			return err
		}, store.ErrTooLarge},
		"put: over":  {func(ctx context.Context) error { return s.Put(ctx, kind, "o", "a", nil, b.Now()) }, store.ErrUnavailable},
		"put: never": {func(ctx context.Context) error { return s.Put(ctx, kind, "o", "a", nil, time.Time{}) }, store.ErrUnavailable},
		"swap: over": {func(ctx context.Context) error {
			_, err := s.Swap(ctx, kind, "a", []byte("v"), []byte("w"), b.Now())
			return err
		}, store.ErrUnavailable},
		"put: ended":  {func(context.Context) error { return s.Put(ended, kind, "o", "a", nil, until) }, store.ErrUnavailable},
		"get: ended":  {func(context.Context) error { _, _, err := s.Get(ended, kind, "a"); return err }, store.ErrUnavailable},
		"take: ended": {func(context.Context) error { _, _, err := s.Take(ended, kind, "a"); return err }, store.ErrUnavailable},
		"swap: ended": {func(context.Context) error {
			_, err := s.Swap(ended, kind, "a", []byte("v"), []byte("w"), until)
			return err
		}, store.ErrUnavailable},
		"any: ended": {func(context.Context) error { _, err := s.Any(ended, kind, []string{"a"}); return err }, store.ErrUnavailable},
	} {
		if err := test.call(t.Context()); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		has(t, s, "a", "v")
	}
	if err := s.Put(t.Context(), kind, "o", "b", large[1:], until); err != nil {
		t.Errorf("as large as it may be: %v", err)
	}
}
