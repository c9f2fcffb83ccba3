// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/keys/signer"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	fake "github.com/exchequer-dev/exchequer/test/fakes/signer"
)

// external is a ring's view of a key that a signer keeps.
func external(t *testing.T, s *fake.Signer, algorithm string) *keys.Current {
	t.Helper()
	s.Offer(t, "slot-1", algorithm)
	config := signer.Config{Address: s.Address}
	c, err := signer.New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	offers, _, err := c.FetchKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := keys.InMemory()
	plan := keys.Plan{
		Algorithm: algorithm, Rotation: keys.Rotation{PrePublish: time.Hour}, Retain: time.Hour, Source: keys.External,
		Signer: config, Given: &keys.Given{Public: offers[0].Public, Label: offers[0].Label},
	}
	if err := r.Ensure("default", plan, start()); err != nil {
		t.Fatal(err)
	}
	k, _ := r.Current("default")
	return k
}

func TestAnExternalSignerLooksLikeAnyKey(t *testing.T) {
	t.Parallel()
	for _, algorithm := range jose.Algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			k := external(t, fake.Start(t), algorithm)
			token := mint(t, &wish{}, k)
			parsed, err := jose.Parse(token.Value, jose.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			public, ok := k.Public.Key(token.KeyID)
			if !ok {
				t.Fatal("the key is not published")
			}
			if _, err := parsed.Verify(public, []string{algorithm}); err != nil || parsed.Type() != "at+jwt" {
				t.Errorf("typ %q, %v", parsed.Type(), err)
			}
		})
	}
}

func TestAnExternalSignerThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	t.Run("F308: every signature is verified, not only the first", func(t *testing.T) {
		t.Parallel()
		s := fake.Start(t)
		k := external(t, s, jose.ES256)
		d := (&wish{}).decide(t)
		m := new(Minter)
		for range 10 {
			if _, ref := m.Mint(t.Context(), d, k, start); ref != nil {
				t.Fatal(ref)
			}
		}
		if got := m.verified.Load(); got != 10 {
			t.Errorf("%d of 10 signatures were verified", got)
		}
		s.Spoil(func(b []byte) []byte { b[7] ^= 0x10; return b })
		token, ref := m.Mint(t.Context(), d, k, start)
		wantRefusal(t, ref, policy.Unable, policy.Internal)
		if token != (Token{}) {
			t.Error("a token with a wrong signature is released")
		}
		s.Spoil(nil)
		asked := s.Signed.Load()
		_, ref = m.Mint(t.Context(), d, k, start)
		wantRefusal(t, ref, policy.Unable, policy.SignerUnavailable)
		if s.Signed.Load() != asked {
			t.Error("the key is not in quarantine")
		}
	})
	t.Run("F308: the signature of another of its keys", func(t *testing.T) {
		t.Parallel()
		s := fake.Start(t)
		k := external(t, s, jose.ES256)
		s.Drop("slot-1")
		s.Offer(t, "slot-1", jose.ES256)
		_, ref := new(Minter).Mint(t.Context(), (&wish{}).decide(t), k, start)
		wantRefusal(t, ref, policy.Unable, policy.Internal)
	})
	t.Run("F307: one that does not answer in time is 503, and the request's own end ends the wait", func(t *testing.T) {
		t.Parallel()
		s := fake.Start(t)
		k := external(t, s, jose.ES256)
		ctx, cancel := context.WithCancel(t.Context())
		s.Before(func(call context.Context) error { cancel(); <-call.Done(); return call.Err() })
		_, ref := new(Minter).Mint(ctx, (&wish{}).decide(t), k, start)
		wantRefusal(t, ref, policy.Unable, policy.SignerUnavailable)
	})
	t.Run("F306: one that has lost its key is 503, and nothing of what it says is told", func(t *testing.T) {
		t.Parallel()
		s := fake.Start(t)
		k := external(t, s, jose.ES256)
		s.Drop("slot-1")
		_, ref := new(Minter).Mint(t.Context(), (&wish{}).decide(t), k, start)
		wantRefusal(t, ref, policy.Unable, policy.SignerUnavailable)
		if strings.Contains(ref.Detail, "there is no such key") {
			t.Errorf("detail %q", ref.Detail)
		}
	})
}
