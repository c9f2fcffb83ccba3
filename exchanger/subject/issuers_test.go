// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

// remote makes corp an issuer that is asked over the network, and returns it.
func remote(t *testing.T) (*world.World, *fake.Issuer) {
	t.Helper()
	iss, err := fake.Start(fake.Options{Now: func() time.Time { return world.Start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(iss.Close)
	w := world.New(t, atIssuer("corp", iss))
	return w, iss
}

func atIssuer(name string, iss *fake.Issuer) func(*policy.Spec) {
	return world.EditIssuer(name, func(i *policy.Issuer) {
		i.URL = iss.URL()
		i.Keys = policy.Keys{AllowedCIDRs: []string{"127.0.0.0/8"}}
	})
}

// run fetches until the test ends, and returns when the first fetches have.
func run(t *testing.T, w *world.World) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = w.Manager.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	if err := w.Manager.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func mint(t *testing.T, iss *fake.Issuer, header map[string]any) string {
	t.Helper()
	token, err := iss.MintWith(iss.Key(), header, fake.Claims{"sub": "alice", "aud": "shop/frontend"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestKeysAreFetchedForTokensThatAreWorthIt(t *testing.T) {
	t.Parallel()

	t.Run("F153: a stranger's token causes no request to anybody", func(t *testing.T) {
		t.Parallel()
		w, iss := remote(t)
		stranger, err := fake.Start(fake.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stranger.Close)
		run(t, w)
		v, before := newVerifier(w), iss.Requests(fake.JWKS)
		mustRefuse(t, w, v, mint(t, stranger, nil), refused{policy.IssuerUnknown, policy.Denied})
		if n := stranger.Requests(fake.Discovery) + stranger.Requests(fake.JWKS) + iss.Requests(fake.JWKS) - before; n != 0 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("F87: addresses in the header are not dialled", func(t *testing.T) {
		t.Parallel()
		w, iss := remote(t)
		stranger, err := fake.Start(fake.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stranger.Close)
		run(t, w)
		v := newVerifier(w)
		for _, member := range []string{"jku", "x5u"} {
			mustRefuse(t, w, v, mint(t, iss, map[string]any{member: stranger.JWKSURL()}), refused{policy.TokenMalformed, policy.Denied})
		}
		if n := stranger.Requests(fake.JWKS); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("F170: of 10,000 unknown kids one fetch is made, and none for tokens that are nonsense", func(t *testing.T) {
		t.Parallel()
		w, iss := remote(t)
		run(t, w)
		v, before := newVerifier(w), iss.Requests(fake.JWKS)
		for _, nonsense := range []map[string]any{
			{"kid": nil}, {"alg": "none", "kid": "x"}, {"alg": "HS256", "kid": "x"}, {"crit": []any{"x"}, "kid": "x"}, {"cty": "JWT", "kid": "x"},
		} {
			if _, ref := verify(t, w, v, mint(t, iss, nonsense)); ref == nil {
				t.Error("accepted")
			}
		}
		if n := iss.Requests(fake.JWKS) - before; n != 0 {
			t.Errorf("%d fetches for tokens that no key could verify", n)
		}
		for i := range 10_000 {
			mustRefuse(t, w, v, mint(t, iss, map[string]any{"kid": fmt.Sprint("k", i)}), refused{policy.TokenSignature, policy.Denied})
		}
		if n := iss.Requests(fake.JWKS) - before; n != 1 {
			t.Errorf("%d fetches", n)
		}
		mustVerify(t, w, v, mint(t, iss, nil))
	})
	t.Run("F170: an algorithm that the issuer may not use is worth no fetch", func(t *testing.T) {
		t.Parallel()
		w, iss := remote(t)
		w.Change(world.EditIssuer("corp", func(i *policy.Issuer) { i.Algorithms = []string{"EdDSA"} }))
		run(t, w)
		v, before := newVerifier(w), iss.Requests(fake.JWKS)
		mustRefuse(t, w, v, mint(t, iss, map[string]any{"kid": "x"}), refused{policy.TokenSignature, policy.Denied})
		if n := iss.Requests(fake.JWKS) - before; n != 0 {
			t.Errorf("%d fetches", n)
		}
	})
	t.Run("an issuer that is not for subjects is not asked for keys", func(t *testing.T) {
		t.Parallel()
		w, iss := remote(t)
		w.Change(world.EditIssuer("corp", func(i *policy.Issuer) { i.ForSubject = false }))
		run(t, w)
		v, before := newVerifier(w), iss.Requests(fake.JWKS)
		ref := mustRefuse(t, w, v, mint(t, iss, map[string]any{"kid": "x"}), refused{policy.IssuerUnknown, policy.Denied})
		if want := "use of TrustedIssuer corp does not include Subject"; ref.Detail != want {
			t.Errorf("detail %q, want %q", ref.Detail, want)
		}
		if n := iss.Requests(fake.JWKS) - before; n != 0 {
			t.Errorf("%d fetches", n)
		}
	})
	t.Run("F172: a new key's first token is accepted, the old key's still", func(t *testing.T) {
		t.Parallel()
		w, iss := remote(t)
		run(t, w)
		v := newVerifier(w)
		old := mint(t, iss, nil)
		mustVerify(t, w, v, old)
		if _, err := iss.Rotate(); err != nil {
			t.Fatal(err)
		}
		mustVerify(t, w, v, mint(t, iss, nil))
		mustVerify(t, w, v, old)
	})
	t.Run("F173: a removed key's token is refused, remembered or not, once the removal is seen", func(t *testing.T) {
		t.Parallel()
		w, iss := remote(t)
		run(t, w)
		v := newVerifier(w)
		stolen := iss.Key()
		token := mint(t, iss, nil)
		remember(t, w, v, token)
		if _, err := iss.Rotate(); err != nil {
			t.Fatal(err)
		}
		iss.Remove(stolen.ID)
		mustVerify(t, w, v, mint(t, iss, nil)) // an unknown kid: the set is fetched, and it is the whole truth
		mustRefuse(t, w, v, token, refused{policy.TokenSignature, policy.Denied})
		mustRefuse(t, w, subject.New(w.Manager, w.Ring, subject.Options{}), token, refused{policy.TokenSignature, policy.Denied})
	})
	t.Run("F174: a token of the key that was replaced under its kid is refused, remembered or not", func(t *testing.T) {
		t.Parallel()
		w, iss := remote(t)
		run(t, w)
		v := newVerifier(w)
		token := mint(t, iss, nil)
		remember(t, w, v, token)
		if _, err := iss.Replace(iss.Key().ID); err != nil {
			t.Fatal(err)
		}
		// An unknown kid makes us look at the set again.
		mustRefuse(t, w, v, mint(t, iss, map[string]any{"kid": "unknown"}), refused{policy.TokenSignature, policy.Denied})
		mustRefuse(t, w, v, token, refused{policy.TokenSignature, policy.Denied})
		mustVerify(t, w, v, mint(t, iss, nil))
	})
	t.Run("F179: keys that cannot be told make the token undecided, of this issuer alone", func(t *testing.T) {
		t.Parallel()
		w, iss := remote(t)
		iss.Break(fake.JWKS, fake.Status(503))
		run(t, w)
		v := newVerifier(w)
		mustRefuse(t, w, v, mint(t, iss, nil), refused{policy.KeysUnavailable, policy.Unable})
		mustVerify(t, w, v, w.Sign(w.East, nil, w.AccountClaims("shop", "frontend")))
	})
	t.Run("F178: an issuer that hangs delays nobody else", func(t *testing.T) {
		t.Parallel()
		w, iss := remote(t)
		run(t, w)
		iss.Break(fake.JWKS, fake.Hang())
		v := newVerifier(w)
		slow := make(chan *policy.Refusal, 1)
		waiting, give := context.WithCancel(t.Context())
		token := mint(t, iss, map[string]any{"kid": "unknown"})
		go func() {
			_, ref := v.Verify(waiting, w.Service(), token, w.Now())
			slow <- ref
		}()
		for range 100 {
			mustVerify(t, w, v, w.Sign(w.East, nil, w.AccountClaims("shop", "frontend")))
		}
		select {
		case ref := <-slow:
			t.Fatalf("it did not wait: %v", ref)
		default:
		}
		give()
		if ref := <-slow; ref == nil || ref.Reason != policy.KeysUnavailable || ref.Outcome != policy.Unable {
			t.Errorf("refusal: %v", ref)
		}
	})
}

func TestClustersThatShareAURL(t *testing.T) {
	t.Parallel()
	account := func(w *world.World, k *fake.Key) string { return w.Sign(k, nil, w.AccountClaims("shop", "frontend")) }

	t.Run("F89: a kid that two of them have is refused in both", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		w.Change(world.EditIssuer("west", func(i *policy.Issuer) { i.Keys.Inline = world.JWKS(w.West, w.Key("east-1", "ES256")) }))
		v := newVerifier(w)
		mustRefuse(t, w, v, account(w, w.East), refused{policy.TokenSignature, policy.Denied})
		if tok := mustVerify(t, w, v, account(w, w.West)); tok.Issuer != "west" {
			t.Errorf("issuer %s", tok.Issuer)
		}
	})
	t.Run("F89: one's token under the other's kid is not tried with the right key", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		mustRefuse(t, w, newVerifier(w), w.Sign(w.East, world.Claims{"kid": "west-1"}, w.AccountClaims("shop", "frontend")), refused{policy.TokenSignature, policy.Denied})
	})
	t.Run("a kid that none has", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		mustRefuse(t, w, newVerifier(w), account(w, w.Key("north-1", "ES256")), refused{policy.TokenSignature, policy.Denied})
	})
	t.Run("one of them suspended: the other's tokens are its own still", func(t *testing.T) {
		t.Parallel()
		w := world.New(t, world.EditIssuer("west", func(i *policy.Issuer) { i.Suspended = true }))
		v := newVerifier(w)
		mustVerify(t, w, v, account(w, w.East))
		mustRefuse(t, w, v, account(w, w.West), refused{policy.TokenSignature, policy.Denied})
	})
	t.Run("one of them is for clients only", func(t *testing.T) {
		t.Parallel()
		w := world.New(t, world.EditIssuer("west", func(i *policy.Issuer) { i.ForSubject = false }))
		v := newVerifier(w)
		mustVerify(t, w, v, account(w, w.East))
		mustRefuse(t, w, v, account(w, w.West), refused{policy.IssuerUnknown, policy.Denied})
	})
	t.Run("F179: one of them cannot be asked: the other's kid is known, an unknown one is not judged", func(t *testing.T) {
		t.Parallel()
		w := world.New(t, world.EditIssuer("west", func(i *policy.Issuer) {
			i.Keys = policy.Keys{JWKSURL: "http://127.0.0.1:1/jwks", AllowedCIDRs: []string{"127.0.0.0/8"}}
		}))
		run(t, w)
		v := newVerifier(w)
		mustVerify(t, w, v, account(w, w.East))
		mustRefuse(t, w, v, account(w, w.West), refused{policy.KeysUnavailable, policy.Unable})
	})
	t.Run("F172: one of them rotates: its new kid is found at its source", func(t *testing.T) {
		t.Parallel()
		iss, err := fake.Start(fake.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(iss.Close)
		w := world.New(t, world.EditIssuer("west", func(i *policy.Issuer) {
			i.Keys = policy.Keys{JWKSURL: iss.JWKSURL(), AllowedCIDRs: []string{"127.0.0.0/8"}}
		}))
		run(t, w)
		v := newVerifier(w)
		next, err := iss.Rotate()
		if err != nil {
			t.Fatal(err)
		}
		if tok := mustVerify(t, w, v, account(w, next)); tok.Issuer != "west" {
			t.Errorf("issuer %s", tok.Issuer)
		}
	})
	t.Run("F178: one of them hangs: another one's new key is not kept waiting", func(t *testing.T) {
		t.Parallel()
		slow, err := fake.Start(fake.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(slow.Close)
		quick, err := fake.Start(fake.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(quick.Close)
		at := func(name string, iss *fake.Issuer) func(*policy.Spec) {
			return world.EditIssuer(name, func(i *policy.Issuer) {
				i.Keys = policy.Keys{JWKSURL: iss.JWKSURL(), AllowedCIDRs: []string{"127.0.0.0/8"}}
			})
		}
		w := world.New(t, at("east", slow), at("west", quick))
		run(t, w)
		release, entered := make(chan struct{}), make(chan struct{}, 8)
		defer close(release)
		slow.Break(fake.JWKS, fake.HangUntil(release, entered))
		next, err := quick.Rotate()
		if err != nil {
			t.Fatal(err)
		}
		if tok := mustVerify(t, w, newVerifier(w), account(w, next)); tok.Issuer != "west" {
			t.Errorf("issuer %s", tok.Issuer)
		}
	})
}
