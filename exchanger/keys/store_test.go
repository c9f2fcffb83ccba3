// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"
)

// shelf is a Store in memory that can lose things.
type shelf struct {
	documents map[string][]byte
	// before runs ahead of a Save; after runs once it is stored.
	before, after func() error
	down          bool
	saves         int
}

func newShelf() *shelf { return &shelf{documents: map[string][]byte{}} }

var errDown = errors.New("the store does not answer")

func (s *shelf) Load(service string) ([]byte, error) {
	if s.down {
		return nil, errDown
	}
	return s.documents[service], nil
}

func (s *shelf) Save(service string, generation int64, document []byte) error {
	if s.down {
		return errDown
	}
	if s.before != nil {
		if err := s.before(); err != nil {
			return err
		}
	}
	if stored := s.documents[service]; stored != nil {
		there, err := Generation(service, stored)
		if err != nil {
			return err
		}
		if there >= generation {
			return ErrStale
		}
	}
	s.documents[service] = document
	s.saves++
	if s.after != nil {
		return s.after()
	}
	return nil
}

func TestAnOpenedStoreIsComparedWithWhatIsInUse(t *testing.T) {
	t.Parallel()
	t.Run("F277: a second process takes over the first's key and both go on with one", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		a, b := Open(s), Open(s)
		first := ensure(t, a, "main", plan(), start)
		second := ensure(t, b, "main", plan(), start)
		if first.Signing.KeyID() != second.Signing.KeyID() {
			t.Fatal("two processes made two keys")
		}
		ensure(t, b, "main", plan(), start.Add(719*time.Hour))
		next := ensure(t, a, "main", plan(), start.Add(719*time.Hour))
		if next.Public.Len() != 2 || next.Public.KeyIDs()[1] != currentOf(t, b).Public.KeyIDs()[1] {
			t.Error("two processes prepared two keys")
		}
	})
	t.Run("F277: whoever loses the race takes what the other left", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		a, b := Open(s), Open(s)
		s.before = func() error {
			s.before = nil
			return b.Ensure("main", plan(), start)
		}
		lost := ensure(t, a, "main", plan(), start)
		if won := currentOf(t, b); lost.Signing.KeyID() != won.Signing.KeyID() || lost.Public.Len() != 1 {
			t.Error("the loser did not take over the winner's key")
		}
	})
	t.Run("F300: a crash after the write costs nothing and makes no third key", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		s.after = func() error { s.after = nil; return errDown }
		if err := Open(s).Ensure("main", plan(), start); err == nil {
			t.Fatal("the failure is not reported")
		}
		c := ensure(t, Open(s), "main", plan(), start.Add(time.Minute))
		if c.Public.Len() != 1 {
			t.Errorf("%d keys after a crash, want 1", c.Public.Len())
		}
	})
	t.Run("F278: a deleted document is stored again, with the keys in use", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		r := Open(s)
		first := ensure(t, r, "main", plan(), start)
		clear(s.documents)
		again := ensure(t, r, "main", plan(), start.Add(time.Minute))
		restarted := ensure(t, Open(s), "main", plan(), start.Add(2*time.Minute))
		if again.Signing.KeyID() != first.Signing.KeyID() || restarted.Signing.KeyID() != first.Signing.KeyID() {
			t.Error("the key in use was lost")
		}
	})
	t.Run("F278: garbage is reported at once, never overwritten, and the keys in use go on", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		r := Open(s)
		first := ensure(t, r, "main", plan(), start)
		s.documents["main"] = []byte("garbage")
		for _, later := range []time.Duration{time.Minute, 719 * time.Hour, 721 * time.Hour} {
			err := r.Ensure("main", plan(), start.Add(later))
			if err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
				t.Errorf("after %s the error does not say what to do: %v", later, err)
			}
			if c := currentOf(t, r); c.Signing != first.Signing || c.Public.Len() != 1 {
				t.Errorf("after %s the keys are not those that were stored last", later)
			}
		}
		if string(s.documents["main"]) != "garbage" {
			t.Error("garbage was overwritten")
		}
		if err := Open(s).Ensure("main", plan(), start); err == nil {
			t.Error("a restarted process made new keys over what it cannot read")
		}
	})
	t.Run("F278: a document edited by hand is replaced by the keys in use", func(t *testing.T) {
		t.Parallel()
		s, other := newShelf(), newShelf()
		r := Open(s)
		first := ensure(t, r, "main", plan(), start)
		ensure(t, Open(other), "main", plan(), start)
		s.documents = maps.Clone(other.documents) // another key, the same generation
		ensure(t, r, "main", plan(), start.Add(time.Minute))
		if c := ensure(t, Open(s), "main", plan(), start.Add(2*time.Minute)); c.Signing.KeyID() != first.Signing.KeyID() {
			t.Error("a key that nobody published signs")
		}
	})
	t.Run("F305: a backup does not bring a retired or a revoked key back", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		r := Open(s)
		first := ensure(t, r, "main", plan(), start)
		backup := maps.Clone(s.documents)
		if err := r.Revoke("main", first.Signing.KeyID(), start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		second := currentOf(t, r)
		s.documents = backup
		ensure(t, r, "main", plan(), start.Add(2*time.Minute))
		if c := ensure(t, Open(s), "main", plan(), start.Add(3*time.Minute)); c.Signing.KeyID() != second.Signing.KeyID() {
			t.Error("the backup's key signs again")
		}
	})
	t.Run("a store that does not answer at the start makes no new key", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		ensure(t, Open(s), "main", plan(), start)
		before := bytes.Clone(s.documents["main"])
		s.down = true
		r := Open(s)
		if err := r.Ensure("main", plan(), start); !errors.Is(err, errDown) {
			t.Errorf("the failure is not reported: %v", err)
		}
		if _, ok := r.Current("main"); ok || !bytes.Equal(before, s.documents["main"]) {
			t.Error("keys were made although what is stored is not known")
		}
	})
	t.Run("nothing is stored while nothing changes", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		r := Open(s)
		for m := range 60 {
			ensure(t, r, "main", plan(), start.Add(time.Duration(m)*time.Minute))
		}
		if s.saves != 1 {
			t.Errorf("stored %d times in a quiet hour, want once", s.saves)
		}
	})
}

func currentOf(t *testing.T, r *Ring) *Current {
	t.Helper()
	c, ok := r.Current("main")
	if !ok {
		t.Fatal("there are no keys")
	}
	return c
}
