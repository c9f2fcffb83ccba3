// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

func ensure(t *testing.T, r *Ring, service string, p Plan, now time.Time) *Current {
	t.Helper()
	if err := r.Ensure(service, p, now); err != nil {
		t.Fatal(err)
	}
	c, ok := r.Current(service)
	if !ok || c.Signing == nil {
		t.Fatal("no key after Ensure")
	}
	return c
}

// verifies reports whether tokens of c's signing key verify with set.
func verifies(t *testing.T, c *Current, set *jose.KeySet) bool {
	t.Helper()
	token, err := c.AccessToken.Sign([]byte(`{"sub":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	key, ok := set.Key(parsed.KeyID())
	if !ok {
		return false
	}
	_, err = parsed.Verify(key, jose.Algorithms())
	return err == nil
}

func TestARingServesWhatThePlanSays(t *testing.T) {
	t.Parallel()
	p := plan()
	r := InMemory()
	if _, ok := r.Active("main"); ok {
		t.Fatal("a key before Ensure")
	}
	first := ensure(t, r, "main", p, start)
	if signer, ok := r.Active("main"); !ok || signer.Type() != "at+jwt" || signer.Key() != first.Signing {
		t.Error("Active is not the access token signer of the active key")
	}
	again := ensure(t, r, "main", p, start.Add(time.Hour))
	if again.Signing != first.Signing || again.Generation != first.Generation {
		t.Error("a quiet hour changed the keys")
	}
	sealed, err := first.Seal.Seal([]byte("facts"))
	if err != nil {
		t.Fatal(err)
	}
	both := ensure(t, r, "main", p, start.Add(719*time.Hour))
	if both.Public.Len() != 2 || both.Signing != first.Signing {
		t.Error("the next key is not published before it signs")
	}
	second := ensure(t, r, "main", p, start.Add(720*time.Hour))
	if second.Signing == first.Signing || second.Public.KeyIDs()[0] != second.Signing.KeyID() {
		t.Error("the next key does not sign, or is not the first of the set")
	}
	if !verifies(t, first, second.Public) {
		t.Error("a token of the retired key does not verify within its retention")
	}
	if got, err := second.Seals.Open(sealed); err != nil || string(got) != "facts" {
		t.Error("what the retired key sealed does not open within its retention")
	}
	last := ensure(t, r, "main", p, start.Add(745*time.Hour))
	if verifies(t, first, last.Public) {
		t.Error("the retired key is published after its retention")
	}
	if _, err := last.Seals.Open(sealed); err == nil {
		t.Error("what the retired key sealed opens after its retention")
	}
	if _, ok := r.Current("other"); ok {
		t.Error("another TokenService has these keys")
	}
}

func TestTheServedKeySetHasNoPrivateMembers(t *testing.T) {
	t.Parallel()
	for _, alg := range jose.Algorithms() {
		t.Run("F314: "+alg, func(t *testing.T) {
			t.Parallel()
			p := plan()
			p.Algorithm = alg
			c := ensure(t, InMemory(), "main", p, start)
			var doc struct{ Keys []map[string]any }
			if err := json.Unmarshal(c.JWKS, &doc); err != nil || len(doc.Keys) != 1 {
				t.Fatalf("not a key set of one key: %v", err)
			}
			public := []string{"kid", "alg", "use", "kty", "crv", "x", "y", "n", "e"}
			for name := range doc.Keys[0] {
				if !slices.Contains(public, name) {
					t.Errorf("the key has a member %q", name)
				}
			}
			set, warnings, err := jose.ParseKeySet(c.JWKS, jose.KeySetOptions{})
			if err != nil || len(warnings) != 0 || !verifies(t, c, set) {
				t.Errorf("a relying party cannot use the key set: %v %v", warnings, err)
			}
		})
	}
}

func TestARevokedKeyIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) *Ring{
		"F304: in memory":      func(*testing.T) *Ring { return InMemory() },
		"F304: in a directory": func(t *testing.T) *Ring { t.Helper(); return openDir(t, filepath.Join(t.TempDir(), "keys")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t)
			old := ensure(t, r, "main", plan(), start)
			sealed, err := old.Seal.Seal([]byte("facts"))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Revoke("main", old.Signing.KeyID(), start.Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			c, _ := r.Current("main")
			if c.Signing == nil || c.Signing.KeyID() == old.Signing.KeyID() || verifies(t, old, c.Public) {
				t.Error("the revoked key still signs or verifies")
			}
			if _, err := c.Seals.Open(sealed); err == nil {
				t.Error("what was sealed beside the revoked key still opens")
			}
			if err := r.Revoke("main", "unknown", start); err == nil {
				t.Error("revoking an unknown key reports success")
			}
			if err := r.Revoke("other", "unknown", start); err == nil {
				t.Error("revoking in an unknown TokenService reports success")
			}
		})
	}
}

// brokenStore loses every write while broken.
type brokenStore struct{ broken bool }

func (s *brokenStore) Save(string, int64, []byte) error {
	if s.broken {
		return errors.New("disk full")
	}
	return nil
}
func (*brokenStore) Load(string) ([]byte, error) { return nil, nil }

func TestWhatCannotBeStoredIsNotUsed(t *testing.T) {
	t.Parallel()
	s := &brokenStore{}
	r := newRing(s)
	first := ensure(t, r, "main", plan(), start)

	s.broken = true
	if err := r.Ensure("main", plan(), start.Add(719*time.Hour)); err == nil {
		t.Error("a failed write is not reported")
	}
	if c, _ := r.Current("main"); c.Public.Len() != 1 || c.Signing != first.Signing {
		t.Error("a key that is not stored was published")
	}
	if err := r.Revoke("main", first.Signing.KeyID(), start.Add(719*time.Hour)); err == nil {
		t.Error("a failed write is not reported")
	}
	if _, ok := r.Active("main"); ok {
		t.Error("a revoked key signs because the disk is full")
	}
	if set, _ := r.Public("main"); set.Len() != 0 {
		t.Error("a revoked key is published because the disk is full")
	}
	s.broken = false
	p := plan()
	p.RevokedKeyIDs = []string{first.Signing.KeyID()}
	ensure(t, r, "main", p, start.Add(720*time.Hour))
}

func TestAFailureToMakeAKey(t *testing.T) {
	t.Parallel()
	t.Run("F306: the current key goes on and the error says so", func(t *testing.T) {
		t.Parallel()
		r := InMemory()
		first := ensure(t, r, "main", plan(), start)
		r.generate = func(string) (*jose.PrivateKey, error) { return nil, errors.New("no entropy") }
		if err := r.Ensure("main", plan(), start.Add(719*time.Hour)); err == nil || !strings.Contains(err.Error(), "no entropy") {
			t.Errorf("the failure is not reported: %v", err)
		}
		if c, _ := r.Current("main"); c.Signing != first.Signing {
			t.Error("the current key does not go on")
		}
	})
	t.Run("F306: without any key nothing signs", func(t *testing.T) {
		t.Parallel()
		r := InMemory()
		r.generate = func(string) (*jose.PrivateKey, error) { return nil, errors.New("no entropy") }
		if err := r.Ensure("main", plan(), start); err == nil {
			t.Error("the failure is not reported")
		}
		if _, ok := r.Active("main"); ok {
			t.Error("there is a signer without a key")
		}
	})
}

func TestARelyingPartyThatCachesAsLongAsItMay(t *testing.T) {
	t.Parallel()
	t.Run("F303: verifies every token across rotations, changes of algorithm included", func(t *testing.T) {
		t.Parallel()
		p := plan()
		p.Rotation = Rotation{Period: 24 * time.Hour, PrePublish: time.Hour}
		maxAge := p.Rotation.PrePublish - time.Minute // one minute of skew
		r := InMemory()
		var cached *jose.KeySet
		var fetched time.Time
		keys := map[string]bool{}
		for now := start; now.Before(start.Add(96 * time.Hour)); now = now.Add(7 * time.Minute) {
			if now.Sub(start) > 50*time.Hour {
				p.Algorithm = jose.EdDSA
			}
			c := ensure(t, r, "main", p, now)
			if now.Sub(fetched) >= maxAge {
				cached, fetched = c.Public, now
			}
			if !verifies(t, c, cached) {
				t.Fatalf("after %s the cached set does not know the key", now.Sub(start))
			}
			keys[c.Signing.KeyID()] = true
		}
		if len(keys) < 4 {
			t.Errorf("%d keys signed, at least 4 were expected", len(keys))
		}
	})
}

func TestReadersSeeOneStateWhileKeysChange(t *testing.T) {
	t.Parallel()
	r := InMemory()
	p := plan()
	p.Rotation = Rotation{Period: 2 * time.Hour, PrePublish: time.Hour}
	ensure(t, r, "main", p, start)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				c, ok := r.Current("main")
				if !ok || c.Signing == nil || c.Public.KeyIDs()[0] != c.AccessToken.KeyID() || c.Seal.KeyID() != c.AccessToken.KeyID() {
					t.Error("a reader saw half a change")
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for h := range 100 {
		ensure(t, r, "main", p, start.Add(time.Duration(h)*time.Hour))
		ensure(t, r, "other", p, start.Add(time.Duration(h)*time.Hour))
	}
	close(done)
	readers.Wait()
}
