// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// slotsOf reads a stored document as whoever finds it would.
func slotsOf(t *testing.T, b []byte) []slotJSON {
	t.Helper()
	var doc document
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Slots
}

// privateOf are the key IDs whose private part is in a document.
func privateOf(t *testing.T, b []byte) map[State]int {
	t.Helper()
	n := map[State]int{}
	for _, s := range slotsOf(t, b) {
		if s.PrivateKey != "" {
			n[s.State]++
		}
	}
	return n
}

// A private key that signs no more is of use to thieves alone.
func TestAKeyThatRetiresLosesItsPrivatePart(t *testing.T) {
	t.Parallel()
	given, next := someKey(t), someKey(t)
	for name, plans := range map[string][2]Plan{
		"made here":           {plan(), plan()},
		"handed over":         {handed(given), handed(next)},
		"with another source": {handed(given), plan()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf()
			owner, follower := Open(s), NewFollower()
			first := ensure(t, owner, "main", plans[0], start)
			sealed, err := first.Seal.Seal([]byte("facts"))
			if err != nil {
				t.Fatal(err)
			}
			ensure(t, owner, "main", plans[1], start.Add(719*time.Hour))
			ensure(t, owner, "main", plans[1], start.Add(720*time.Hour))
			if got := privateOf(t, s.documents["main"]); got[Retired] != 0 || got[Active] != 1 {
				t.Errorf("private keys in the document: %v", got)
			}
			if owner.lines["main"].keys[first.Signing.KeyID()].signing != nil {
				t.Error("the process still has the private key")
			}
			follow(t, follower, s.documents)
			for who, r := range map[string]*Ring{"the owner": owner, "a follower": follower, "the next owner": Open(s)} {
				c := ensure(t, r, "main", plans[1], start.Add(721*time.Hour))
				if c.Public.Len() != 2 || !verifies(t, first, c.Public) {
					t.Errorf("%s does not believe the retired key within its retention", who)
				}
				if opened, err := c.Seals.Open(sealed); err != nil || string(opened) != "facts" {
					t.Errorf("%s does not open what was sealed beside the retired key", who)
				}
			}
			p := plans[1]
			p.RevokedKeyIDs = []string{first.Signing.KeyID()}
			if c := ensure(t, owner, "main", p, start.Add(722*time.Hour)); c.Public.Len() != 1 {
				t.Error("a retired key cannot be revoked")
			}
		})
	}
}

// older is a document as it was written when retired keys kept their private part,
// with its first key.
func older(t *testing.T) (*Current, []byte) {
	t.Helper()
	s := newShelf()
	r := Open(s)
	first := ensure(t, r, "main", plan(), start)
	ensure(t, r, "main", plan(), start.Add(719*time.Hour))
	ensure(t, r, "main", plan(), start.Add(720*time.Hour))
	var doc document
	if err := json.Unmarshal(s.documents["main"], &doc); err != nil {
		t.Fatal(err)
	}
	for i, slot := range doc.Slots {
		if slot.State == Retired {
			secret, err := first.Signing.MarshalPEM()
			if err != nil {
				t.Fatal(err)
			}
			doc.Slots[i].PrivateKey, doc.Slots[i].PublicKey = string(secret), nil
		}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if privateOf(t, b)[Retired] != 1 {
		t.Fatal("there is no retired private key to begin with")
	}
	return first, b
}

func TestRetiredPrivateKeysOfOlderDocumentsAreReadAndDropped(t *testing.T) {
	t.Parallel()
	first, b := older(t)
	at := start.Add(721 * time.Hour)
	t.Run("in a store", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		s.documents["main"] = b
		if c := ensure(t, Open(s), "main", plan(), at); !verifies(t, first, c.Public) || privateOf(t, s.documents["main"])[Retired] != 0 {
			t.Error("the retired key is gone, or its private part is still stored")
		}
	})
	t.Run("in a directory", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "main.json")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		c := ensure(t, openDir(t, dir), "main", plan(), at)
		now, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !verifies(t, first, c.Public) || privateOf(t, now)[Retired] != 0 {
			t.Error("the retired key is gone, or its private part is still in the file")
		}
		again := ensure(t, openDir(t, dir), "main", plan(), at.Add(time.Minute))
		if again.Generation != c.Generation {
			t.Error("the file is written at every start")
		}
	})
	t.Run("by a follower", func(t *testing.T) {
		t.Parallel()
		r := NewFollower()
		follow(t, r, map[string][]byte{"main": b})
		if c := currentOf(t, r); !verifies(t, first, c.Public) || r.lines["main"].keys[first.Signing.KeyID()].signing != nil {
			t.Error("the retired key is gone, or its private part is still in memory")
		}
	})
}

func TestOnlyARetiredKeyIsPublicAlone(t *testing.T) {
	t.Parallel()
	_, b := older(t)
	for name, spoil := range map[string]func(slots []slotJSON){
		"an active key":           func(s []slotJSON) { s[1].PublicKey, s[1].PrivateKey = publicOf(t, s[1]), "" },
		"both parts":              func(s []slotJSON) { s[0].PublicKey = publicOf(t, s[0]) },
		"neither part":            func(s []slotJSON) { s[0].PrivateKey = "" },
		"another's public key":    func(s []slotJSON) { s[0].PublicKey, s[0].PrivateKey = publicOf(t, s[1]), "" },
		"a label, and no signer":  func(s []slotJSON) { s[0].Label = "x" },
		"a public key of garbage": func(s []slotJSON) { s[0].PublicKey, s[0].PrivateKey = []byte("garbage"), "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var doc document
			if err := json.Unmarshal(b, &doc); err != nil {
				t.Fatal(err)
			}
			if doc.Slots[0].State != Retired || doc.Slots[1].State != Active {
				t.Fatal("the slots are in another order")
			}
			spoil(doc.Slots)
			spoiled, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Generation("main", spoiled); err == nil {
				t.Error("it was read")
			}
		})
	}
}

func publicOf(t *testing.T, s slotJSON) []byte {
	t.Helper()
	key, err := s.material()
	if err != nil {
		t.Fatal(err)
	}
	der, err := key.public.MarshalDER()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// What leaked holds the next key, too: docs/keys.md has every listed key revoked.
func TestRevokingEveryListedKeyLeavesAThiefNone(t *testing.T) {
	t.Parallel()
	s := newShelf()
	owner := Open(s)
	ensure(t, owner, "main", plan(), start)
	ensure(t, owner, "main", plan(), start.Add(720*time.Hour-time.Hour))
	ensure(t, owner, "main", plan(), start.Add(720*time.Hour))
	before := ensure(t, owner, "main", plan(), start.Add(720*time.Hour+719*time.Hour))
	stolen := string(s.documents["main"])
	p := plan()
	for _, slot := range before.Slots {
		p.RevokedKeyIDs = append(p.RevokedKeyIDs, slot.KeyID)
	}
	if len(p.RevokedKeyIDs) < 2 {
		t.Fatal("there is no next key to steal")
	}
	c := ensure(t, owner, "main", p, start.Add(720*time.Hour+719*time.Hour+time.Minute))
	for _, kid := range c.Public.KeyIDs() {
		if strings.Contains(stolen, kid) {
			t.Errorf("the thief has %s", kid)
		}
	}
}

func TestAGenerationThatCannotGrowIsGarbage(t *testing.T) {
	t.Parallel()
	generation := regexp.MustCompile(`"generation":\s*\d+`)
	set := func(b []byte, n int64) []byte {
		return generation.ReplaceAll(b, fmt.Appendf(nil, `"generation": %d`, n))
	}
	for name, n := range map[string]int64{"the largest number": math.MaxInt64, "one above the bound": maxGeneration + 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf()
			owner, follower := Open(s), NewFollower()
			first := ensure(t, owner, "main", plan(), start)
			follow(t, follower, s.documents)
			good := s.documents["main"]
			s.documents["main"] = set(good, n)
			if err := follower.Follow(s.documents); err == nil || !strings.Contains(err.Error(), "out of range") {
				t.Errorf("a replica follows it: %v", err)
			}
			p := plan()
			p.RevokedKeyIDs = []string{first.Signing.KeyID()}
			if err := owner.Ensure("main", p, start.Add(time.Hour)); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
				t.Errorf("the owner does not say what to do: %v", err)
			}
			if currentOf(t, owner).Signing != nil {
				t.Error("the revoked key signs")
			}
			s.documents["main"] = good // repaired by hand; nothing is restarted
			c := ensure(t, owner, "main", p, start.Add(2*time.Hour))
			follow(t, follower, s.documents)
			if got := currentOf(t, follower); got.Signing == nil || got.Signing.KeyID() != c.Signing.KeyID() {
				t.Error("a replica that saw it does not follow")
			}
		})
	}
	t.Run("at the bound nothing that cannot be read is stored", func(t *testing.T) {
		t.Parallel()
		s := newShelf()
		ensure(t, Open(s), "main", plan(), start)
		s.documents["main"] = set(s.documents["main"], maxGeneration)
		if err := Open(s).Ensure("main", plan(), start.Add(time.Hour)); err == nil || !strings.Contains(err.Error(), "generation") {
			t.Errorf("error %v", err)
		}
		if _, err := Generation("main", s.documents["main"]); err != nil {
			t.Errorf("what is stored cannot be read: %v", err)
		}
	})
}
