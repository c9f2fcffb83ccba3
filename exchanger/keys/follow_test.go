// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"
)

func follow(t *testing.T, r *Ring, documents map[string][]byte) {
	t.Helper()
	if err := r.Follow(documents); err != nil {
		t.Fatal(err)
	}
}

func TestAFollowerServesWhatIsStored(t *testing.T) {
	t.Parallel()
	s := newShelf()
	owner, follower := Open(s), NewFollower()
	if err := follower.Ensure("main", plan(), start); err == nil {
		t.Error("a follower without keys does not say so")
	}
	for _, at := range []time.Duration{0, 719 * time.Hour, 720 * time.Hour, 746 * time.Hour} {
		want := ensure(t, owner, "main", plan(), start.Add(at))
		follow(t, follower, s.documents)
		got := ensure(t, follower, "main", plan(), start.Add(at))
		if !bytes.Equal(got.JWKS, want.JWKS) || got.Generation != want.Generation || !verifies(t, got, want.Public) {
			t.Errorf("after %s the follower does not serve the owner's keys", at)
		}
		sealed, err := want.Seal.Seal([]byte("facts"))
		if err != nil {
			t.Fatal(err)
		}
		if opened, err := got.Seals.Open(sealed); err != nil || string(opened) != "facts" {
			t.Errorf("after %s the follower does not open what the owner's key sealed", at)
		}
	}
	before := currentOf(t, follower)
	follow(t, follower, s.documents)
	if currentOf(t, follower) != before {
		t.Error("the same documents made the follower anew")
	}
	follower.Forget("main")
	if _, ok := follower.Current("main"); ok {
		t.Error("forgotten keys are served")
	}
	follow(t, follower, s.documents)
	if _, ok := follower.Current("main"); !ok {
		t.Error("keys that were forgotten once cannot be followed again")
	}
	if err := follower.Revoke("main", "x", start); err == nil {
		t.Error("a follower revokes for itself")
	}
}

func TestAFollowerKeepsTheLastGoodKeys(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(documents map[string][]byte, older []byte)
		want  string
	}{
		"F278: of garbage": {
			func(d map[string][]byte, _ []byte) { d["main"] = []byte("garbage") }, "not a key document",
		},
		"F278: of an empty document": {
			func(d map[string][]byte, _ []byte) { d["main"] = nil }, "not a key document",
		},
		"F278: of another key under the same generation": {
			func(d map[string][]byte, _ []byte) {
				other := newShelf()
				_ = Open(other).Ensure("main", plan(), start.Add(719*time.Hour))
				d["main"] = other.documents["main"]
			}, "without a new generation",
		},
		"F305: of a document that was restored from a backup": {
			func(d map[string][]byte, older []byte) { d["main"] = older }, "is in use",
		},
		"F278: of documents without its own": {
			func(d map[string][]byte, _ []byte) { delete(d, "main") }, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf()
			owner, follower := Open(s), NewFollower()
			ensure(t, owner, "main", plan(), start)
			older := bytes.Clone(s.documents["main"])
			ensure(t, owner, "main", plan(), start.Add(719*time.Hour))
			ensure(t, owner, "other", plan(), start)
			follow(t, follower, s.documents)
			before := currentOf(t, follower)

			documents := maps.Clone(s.documents)
			tc.spoil(documents, older)
			ensure(t, owner, "other", plan(), start.Add(720*time.Hour))
			documents["other"] = s.documents["other"]
			err := follower.Follow(documents)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error does not say %q: %v", tc.want, err)
			}
			if currentOf(t, follower) != before {
				t.Error("the keys that were good are not served any more")
			}
			if c, _ := follower.Current("other"); c.Public.Len() != 2 {
				t.Error("one TokenService's trouble kept another from following")
			}
			ensure(t, owner, "main", plan(), start.Add(720*time.Hour))
			follow(t, follower, s.documents)
			if currentOf(t, follower).Signing.KeyID() == before.Signing.KeyID() {
				t.Error("the follower does not go on once the document is good again")
			}
		})
	}
}

func TestARevokedKeyDoesNotComeBackToAFollower(t *testing.T) {
	t.Parallel()
	t.Run("F304: the manifest's word is enough, also while nobody rewrites the document", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		owner, follower := Open(s), NewFollower()
		old := ensure(t, owner, "main", plan(), start)
		follow(t, follower, s.documents)
		p := plan()
		p.RevokedKeyIDs = []string{old.Signing.KeyID()}
		if err := follower.Ensure("main", p, start); err == nil || !strings.Contains(err.Error(), "none may sign") {
			t.Errorf("a follower without a key that may sign does not say so: %v", err)
		}
		if c := currentOf(t, follower); c.Signing != nil || c.Public.Len() != 0 {
			t.Error("the revoked key signs or is published")
		}
		follow(t, follower, s.documents)
		if c := currentOf(t, follower); c.Public.Len() != 0 {
			t.Error("the revoked key came back with the same document")
		}
		ensure(t, owner, "main", p, start.Add(time.Second))
		follow(t, follower, s.documents)
		if c := ensure(t, follower, "main", p, start); c.Signing.KeyID() == old.Signing.KeyID() || verifies(t, old, c.Public) {
			t.Error("the replacement is not followed")
		}
	})
	t.Run("F304: what the document revoked stays revoked when a later one forgot it", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		owner, follower := Open(s), NewFollower()
		old := ensure(t, owner, "main", plan(), start)
		backup := maps.Clone(s.documents)
		if err := owner.Revoke("main", old.Signing.KeyID(), start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		follow(t, follower, s.documents)
		s.documents = backup
		ensure(t, Open(s), "main", plan(), start.Add(time.Hour)) // a new owner that knows the backup only
		follow(t, follower, s.documents)
		if c := currentOf(t, follower); c.Public.Len() != 0 {
			t.Error("the revoked key came back")
		}
	})
	t.Run("before the first document, too", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		old := ensure(t, Open(s), "main", plan(), start)
		p := plan()
		p.RevokedKeyIDs = []string{old.Signing.KeyID()}
		follower := NewFollower()
		_ = follower.Ensure("main", p, start)
		follow(t, follower, s.documents)
		if c := currentOf(t, follower); c.Public.Len() != 0 {
			t.Error("a revoked key was followed")
		}
	})
}

func TestARestoredBackupIsFollowedOnceItsOwnerHasConfirmedIt(t *testing.T) {
	t.Parallel()
	s := newShelf()
	owner, follower := Open(s), NewFollower()
	first := ensure(t, owner, "main", plan(), start)
	backup := maps.Clone(s.documents)
	ensure(t, owner, "main", plan(), start.Add(719*time.Hour))
	ensure(t, owner, "main", plan(), start.Add(720*time.Hour))
	follow(t, follower, s.documents)
	s.documents = backup
	if err := follower.Follow(s.documents); err == nil {
		t.Error("an older document is not reported")
	}
	ensure(t, Open(s), "main", plan(), start.Add(718*time.Hour).Add(3*time.Hour))
	follow(t, follower, s.documents)
	if c := currentOf(t, follower); c.Signing.KeyID() != first.Signing.KeyID() {
		t.Error("old and restarted replicas would sign with different keys for good")
	}
}

func TestNoTwoTokenServicesShareAKeyInAFollower(t *testing.T) {
	t.Parallel()
	t.Run("F318: neither document is followed, and each says which other one it is", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		ensure(t, Open(s), "main", plan(), start)
		s.documents["copy"] = bytes.Replace(s.documents["main"], []byte(`"tokenService": "main"`), []byte(`"tokenService": "copy"`), 1)
		follower := NewFollower()
		err := follower.Follow(s.documents)
		if err == nil || !strings.Contains(err.Error(), "TokenService copy has the same private key") {
			t.Errorf("not reported: %v", err)
		}
		if _, ok := follower.Current("main"); ok {
			t.Error("a shared key signs")
		}
	})
}
