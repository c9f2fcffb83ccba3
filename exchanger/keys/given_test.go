// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys/signer"
)

func someKey(t *testing.T) *jose.PrivateKey {
	t.Helper()
	k, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// offered is a plan whose key is with a signer; nothing dials it before something
// is to be signed.
func offered(k *jose.PrivateKey, address string, gone ...string) Plan {
	p := plan()
	p.Source, p.Signer = External, signer.Config{Address: address}
	p.Given = &Given{Public: k.Public(), Label: "label of " + k.KeyID(), Gone: gone}
	return p
}

func handed(k *jose.PrivateKey) Plan {
	p := plan()
	p.Source, p.Given = SecretRef, &Given{Private: k}
	return p
}

// unknown is a plan whose key is not to be had now.
func unknown(p Plan) Plan {
	p.Given = nil
	return p
}

func TestKeysThatAreGivenFollowTheSameTimeline(t *testing.T) {
	t.Parallel()
	a, b := someKey(t), someKey(t)
	const socket = "unix:///run/signer.sock"
	type step struct {
		at   time.Duration
		plan Plan
		want string // the active key's and the number of published ones; letters for a and b, m for one made here
		err  string
	}
	for name, steps := range map[string][]step{
		"a Secret's key signs at once, its successor after it was published": {
			{0, handed(a), "a1", ""},
			{time.Hour, handed(b), "a2", ""},
			{2*time.Hour - 1, handed(b), "a2", ""},
			{2 * time.Hour, handed(b), "b2", ""},
			{27 * time.Hour, handed(b), "b1", ""},
		},
		"a Secret that is missing changes nothing, and retirement goes on": {
			{0, handed(a), "a1", ""},
			{time.Hour, handed(b), "a2", ""},
			{2 * time.Hour, handed(b), "b2", ""},
			{27 * time.Hour, unknown(handed(b)), "b1", ""},
			{5000 * time.Hour, unknown(handed(b)), "b1", ""},
		},
		"a change of mind drops the prepared key, which signed nothing": {
			{0, handed(a), "a1", ""},
			{time.Hour, handed(b), "a2", ""},
			{time.Hour + 1, handed(a), "a1", ""},
		},
		"F305: a key that retired does not come back": {
			{0, handed(a), "a1", ""},
			{time.Hour, handed(b), "a2", ""},
			{2 * time.Hour, handed(b), "b2", ""},
			{3 * time.Hour, handed(a), "b2", "does not come back"},
			{9 * time.Hour, handed(a), "b2", "does not come back"},
		},
		"from a Secret to here": {
			{0, handed(a), "a1", ""},
			{time.Hour, plan(), "a2", ""},
			{2 * time.Hour, plan(), "m2", ""},
		},
		"from here to a signer": {
			{0, plan(), "m1", ""},
			{time.Hour, offered(a, socket), "m2", ""},
			{2 * time.Hour, offered(a, socket), "a2", ""},
		},
		"from a Secret to a signer": {
			{0, handed(a), "a1", ""},
			{time.Hour, offered(b, socket), "a2", ""},
			{2 * time.Hour, offered(b, socket), "b2", ""},
		},
		"from a Secret to a signer that was given the same key": {
			{0, handed(a), "a1", ""},
			{time.Hour, offered(a, socket), "a1", "here already"},
		},
		"a signer that lost the active key hands over at once": {
			{0, offered(a, socket), "a1", ""},
			{time.Hour, offered(b, socket, a.KeyID()), "b2", ""},
		},
		"F306: a signer that does not answer at the start leaves nobody to sign, and nothing is made instead": {
			{0, unknown(offered(a, socket)), "-0", ""},
			{time.Hour, offered(a, socket), "a1", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Open(newShelf())
			for i, s := range steps {
				err := r.Ensure("main", s.plan, start.Add(s.at))
				if (err == nil) != (s.err == "") || err != nil && (!strings.Contains(err.Error(), s.err) || !errors.Is(err, ErrUnusable)) {
					t.Fatalf("step %d: error %v, want %q", i, err, s.err)
				}
				c, _ := r.Current("main")
				got := "-"
				if c.AccessToken != nil {
					switch c.AccessToken.KeyID() {
					case a.KeyID():
						got = "a"
					case b.KeyID():
						got = "b"
					default:
						got = "m"
					}
				}
				if got += string(rune('0' + c.Public.Len())); got != s.want {
					t.Fatalf("step %d: %s, want %s: %v", i, got, s.want, c.Slots)
				}
			}
		})
	}
}

func TestAnotherAddressOfTheSameSignerIsStored(t *testing.T) {
	t.Parallel()
	s, k := newShelf(), someKey(t)
	r, follower := Open(s), NewFollower()
	for _, address := range []string{"unix:///run/one.sock", "unix:///run/two.sock"} {
		if err := r.Ensure("main", offered(k, address), start); err != nil {
			t.Fatal(err)
		}
		if err := follower.Follow(s.documents); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(s.documents["main"]), address) || follower.lines["main"].signer.Address != address {
			t.Errorf("a replica does not learn of %s", address)
		}
	}
	if n := len(follower.signers.clients); n != 1 {
		t.Errorf("%d connections are kept, want that of the signer in use", n)
	}
}

func TestDocumentsOfExternalKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	s, other := newShelf(), someKey(t)
	if err := Open(s).Ensure("main", offered(someKey(t), "unix:///run/s"), start); err != nil {
		t.Fatal(err)
	}
	secret, err := other.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	der, err := other.Public().MarshalDER()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		spoil func(doc, slot map[string]any)
		want  string
	}{
		"no signer":                  {func(d, _ map[string]any) { delete(d, "signer") }, "none is named"},
		"a signer without address":   {func(d, _ map[string]any) { d["signer"] = map[string]any{} }, "address"},
		"a signer with more":         {func(d, _ map[string]any) { d["signer"] = map[string]any{"address": "unix:///s", "x": 1} }, "unknown"},
		"no label":                   {func(_, s map[string]any) { delete(s, "label") }, "label"},
		"a label of 2 KiB":           {func(_, s map[string]any) { s["label"] = strings.Repeat("x", 2048) }, "too long"},
		"a private key besides":      {func(_, s map[string]any) { s["privateKey"] = string(secret) }, "privateKey"},
		"another public key":         {func(_, s map[string]any) { s["publicKey"] = der }, "thumbprint"},
		"no public key":              {func(_, s map[string]any) { delete(s, "publicKey") }, "publicKey"},
		"a source that there is not": {func(_, s map[string]any) { s["source"] = "Cloud" }, "source"},
		"External said to be ours":   {func(_, s map[string]any) { delete(s, "source") }, "privateKey"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var doc map[string]any
			if err := json.Unmarshal(s.documents["main"], &doc); err != nil {
				t.Fatal(err)
			}
			slot, ok := doc["slots"].([]any)[0].(map[string]any)
			if !ok {
				t.Fatal("no slot")
			}
			tc.spoil(doc, slot)
			b, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Generation("main", b); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
