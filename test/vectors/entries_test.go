// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package vectors_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
	"github.com/exchequer-dev/exchequer/test/vectors"
)

// TestF80PublishedVectorsThroughTheEndpointsEntries hands every vector to those
// who take tokens from the endpoint, as if the vector's key were the trusted
// issuer's, or the client's.
func TestF80PublishedVectorsThroughTheEndpointsEntries(t *testing.T) {
	t.Parallel()
	for name, entry := range map[string]func(testing.TB) vectors.Entry{
		"subject token":                     asSubject,
		"client assertion, private_key_jwt": asPrivateKeyJWT,
		"client assertion, service account": asServiceAccount,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vectors.Run(t, name, entry(t))
		})
	}
}

// issuerOf is the iss of a vector's payload, so that there is a trusted issuer, or
// a client, of that name.
func issuerOf(token string) string {
	var claims struct {
		Issuer string `json:"iss"`
	}
	if parts := strings.Split(token, "."); len(parts) == 3 {
		if b, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(b, &claims)
		}
	}
	return claims.Issuer
}

// with gives one issuer the vector's keys, as its only ones.
func with(tb testing.TB, issuer string, keySet []byte, token string) *world.World {
	return world.New(tb, world.EditIssuer(issuer, func(i *policy.Issuer) {
		if iss := issuerOf(token); iss != "" {
			i.URL = iss
		}
		i.Keys = policy.Keys{Inline: string(keySet)}
	}))
}

func asSubject(tb testing.TB) vectors.Entry {
	return func(keySet []byte, token string) error {
		w := with(tb, "corp", keySet, token)
		_, ref := subject.New(w.Manager, w.Ring, subject.Options{}).Verify(tb.Context(), w.Service(), token, w.Now())
		return refusal(ref)
	}
}

func asServiceAccount(tb testing.TB) vectors.Entry {
	return func(keySet []byte, token string) error {
		return authenticate(tb, with(tb, "east", keySet, token), token)
	}
}

func asPrivateKeyJWT(tb testing.TB) vectors.Entry {
	return func(keySet []byte, token string) error {
		w := world.New(tb)
		id := "shop/frontend"
		if iss := issuerOf(token); iss != "" {
			w.Change(world.EditClient(id, func(c *policy.Client) { c.ID = iss }))
			id = iss
		}
		w.Change(world.EditClient(id, func(c *policy.Client) { c.AssertionKeys = []string{string(keySet)} }))
		return authenticate(tb, w, token)
	}
}

func authenticate(tb testing.TB, w *world.World, token string) error {
	a := clientauth.New(w.Manager, store.NewMemory(w.Now, store.MemoryLimits{}), clientauth.Options{})
	_, ref := a.Authenticate(tb.Context(), w.Service(), clientauth.Credentials{AssertionType: clientauth.AssertionType, Assertion: token}, w.Now())
	return refusal(ref)
}

// refusal keeps a nil pointer from becoming an error that is not nil.
func refusal(ref *policy.Refusal) error {
	if ref == nil {
		return nil
	}
	return ref
}
