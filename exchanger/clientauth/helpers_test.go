// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

// everlasting is a store that outlives the process, as a shared one does.
type everlasting struct{ store.Store }

func (everlasting) Since() time.Time { return time.Time{} }

// broken is a store that cannot tell.
type broken struct {
	store.Store
	err error
}

func (b broken) Once(context.Context, store.Purpose, string, string, time.Time) (bool, error) {
	return false, b.err
}
func (broken) Since() time.Time { return time.Time{} }

var errBroken = errors.New("connection refused")

// noKeys are issuers' keys that cannot be told.
type noKeys struct{}

func (noKeys) Keys(context.Context, string, string, string) (*jose.PublicKey, error) {
	return nil, issuer.ErrUnable
}
func (noKeys) Peek(string, string, string) (*jose.PublicKey, bool) { return nil, false }

// counting counts how often a key is asked for to verify with.
type counting struct {
	source trust.Keys
	n      int
}

func (c *counting) Peek(name, digest, kid string) (*jose.PublicKey, bool) {
	return c.source.Peek(name, digest, kid)
}

func (c *counting) Keys(ctx context.Context, name, digest, kid string) (*jose.PublicKey, error) {
	c.n++
	return c.source.Keys(ctx, name, digest, kid)
}

func newStore(w *world.World) store.Store {
	return everlasting{store.NewMemory(w.Now, store.MemoryLimits{})}
}

func newAuthenticator(w *world.World) *clientauth.Authenticator {
	return clientauth.New(w.Manager, newStore(w), clientauth.Options{})
}

func assertion(token string) clientauth.Credentials {
	return clientauth.Credentials{AssertionType: clientauth.AssertionType, Assertion: token}
}

func named(id string, c clientauth.Credentials) clientauth.Credentials {
	c.ClientID = id
	return c
}

func authenticate(t testing.TB, w *world.World, a *clientauth.Authenticator, c clientauth.Credentials) (clientauth.Authenticated, *policy.Refusal) {
	t.Helper()
	return a.Authenticate(t.Context(), w.Service(), c, w.Now())
}

// accept authenticates and consumes, as a request that is allowed does.
func accept(t testing.TB, w *world.World, a *clientauth.Authenticator, c clientauth.Credentials) clientauth.Authenticated {
	t.Helper()
	auth, ref := authenticate(t, w, a, c)
	if ref != nil {
		t.Fatalf("refused: %v", ref)
	}
	if auth.Consume != nil {
		if ref := auth.Consume(t.Context()); ref != nil {
			t.Fatalf("not consumed: %v", ref)
		}
	}
	return auth
}

func reject(t testing.TB, w *world.World, a *clientauth.Authenticator, c clientauth.Credentials, reason policy.Reason) *policy.Refusal {
	t.Helper()
	auth, ref := authenticate(t, w, a, c)
	if ref == nil {
		t.Fatalf("accepted as %s", auth.ID)
	}
	if auth.ID != "" || auth.Consume != nil {
		t.Fatal("something of a client comes with the refusal")
	}
	want := policy.Denied
	if reason == policy.KeysUnavailable || reason == policy.StoreUnavailable || reason == policy.UpstreamUnavailable {
		want = policy.Unable
	}
	if ref.Reason != reason || ref.Outcome != want {
		t.Fatalf("refused with %v (%v), want %v (%v)", ref, ref.Outcome, reason, want)
	}
	return ref
}

// malleate turns an ES256 signature (r, s) into (r, n−s), which is as valid.
func malleate(t testing.TB, token string) string {
	t.Helper()
	dot := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || len(sig) != 64 {
		t.Fatalf("no ES256 signature: %v", err)
	}
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	return token[:dot+1] + base64.RawURLEncoding.EncodeToString(sig)
}
