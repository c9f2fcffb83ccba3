// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	fake "github.com/exchequer-dev/exchequer/test/fakes/signer"
)

func fromSigner(s *fake.Signer) func(*service) {
	return func(t *service) {
		t.object.Spec.Signing.Source = v1alpha1.KeySourceExternal
		t.object.Spec.Signing.External = &v1alpha1.ExternalSigner{Address: s.Address}
	}
}

// round is what the program does: ask, then ensure.
func (w *world) round(t *testing.T, m *Manager, services ...service) error {
	t.Helper()
	_ = w.ensure(t, m, services...)
	m.Ask(t.Context())
	return w.ensure(t, m, services...)
}

func TestAnExternalSignersKeys(t *testing.T) {
	t.Parallel()
	t.Run("its public key is published, its private key is nowhere, a replica signs with it", func(t *testing.T) {
		t.Parallel()
		w, s := newWorld(t), fake.Start(t)
		s.Offer(t, "first", jose.ES256)
		m := w.manager()
		if err := w.ensure(t, m, newService("main", fromSigner(s))); err == nil {
			t.Error("before the signer was asked, nothing is reported")
		}
		if c := condition(t, m, "main"); c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonSignerUnavailable {
			t.Errorf("condition %+v", c)
		}
		if err := w.round(t, m, newService("main", fromSigner(s))); err != nil {
			t.Fatal(err)
		}
		document := w.keys(t).Data["main.json"]
		if strings.Contains(string(document), "PRIVATE") || strings.Contains(string(document), "privateKey") {
			t.Error("the Secret has a private key")
		}
		follower := keys.NewFollower()
		if err := follower.Follow(map[string][]byte{"main": document}); err != nil {
			t.Fatal(err)
		}
		k, _ := follower.Current("main")
		token, err := k.AccessToken.SignContext(t.Context(), []byte(`{"sub":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jose.Parse(token, jose.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		public, _ := k.Public.Key(k.AccessToken.KeyID())
		if _, err := parsed.Verify(public, jose.Algorithms()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a new key is published before it signs; the old one signs meanwhile", func(t *testing.T) {
		t.Parallel()
		w, s := newWorld(t), fake.Start(t)
		s.Offer(t, "first", jose.ES256)
		m, main := w.manager(), newService("main", fromSigner(s))
		if err := w.round(t, m, main); err != nil {
			t.Fatal(err)
		}
		old := current(t, m, "main").AccessToken.KeyID()
		s.Offer(t, "second", jose.ES256)
		w.later(2 * time.Minute)
		if err := w.round(t, m, main); err != nil {
			t.Fatal(err)
		}
		if c := current(t, m, "main"); c.AccessToken.KeyID() != old || c.Public.Len() != 2 {
			t.Errorf("slots %v", c.Slots)
		}
		w.later(time.Hour)
		if err := w.round(t, m, main); err != nil {
			t.Fatal(err)
		}
		if c := current(t, m, "main"); c.AccessToken.KeyID() == old || c.Public.Len() != 2 {
			t.Errorf("slots %v", c.Slots)
		}
	})
	t.Run("an active key that the signer lost hands over at once: waiting would mean that nobody signs", func(t *testing.T) {
		t.Parallel()
		w, s := newWorld(t), fake.Start(t)
		s.Offer(t, "first", jose.ES256)
		m, main := w.manager(), newService("main", fromSigner(s))
		if err := w.round(t, m, main); err != nil {
			t.Fatal(err)
		}
		old := current(t, m, "main").AccessToken.KeyID()
		s.Offer(t, "second", jose.ES256)
		s.Drop("first")
		w.later(2 * time.Minute)
		if err := w.round(t, m, main); err != nil {
			t.Fatal(err)
		}
		if c := current(t, m, "main"); c.AccessToken.KeyID() == old || c.Public.Len() != 2 {
			t.Errorf("slots %v", c.Slots)
		}
	})
	t.Run("F306: a signer that is down changes nothing, and the condition says so", func(t *testing.T) {
		t.Parallel()
		w, s := newWorld(t), fake.Start(t)
		s.Offer(t, "first", jose.ES256)
		m, main := w.manager(), newService("main", fromSigner(s))
		if err := w.round(t, m, main); err != nil {
			t.Fatal(err)
		}
		before := current(t, m, "main")
		s.Refuse(status.Error(codes.Internal, "words of the signer"))
		w.later(time.Hour)
		if err := w.round(t, m, main); err == nil {
			t.Error("nothing is reported")
		}
		c := condition(t, m, "main")
		if c.Reason != v1alpha1.ReasonSignerUnavailable || strings.Contains(c.Message, "words") || !strings.Contains(c.Message, "go on") {
			t.Errorf("condition %+v", c)
		}
		if current(t, m, "main").AccessToken.KeyID() != before.AccessToken.KeyID() {
			t.Error("the keys changed")
		}
		s.Refuse(nil)
		w.later(time.Minute)
		if err := w.round(t, m, main); err != nil {
			t.Error(err)
		}
	})
	t.Run("F308: a key that signs wrongly is not even published", func(t *testing.T) {
		t.Parallel()
		w, s := newWorld(t), fake.Start(t)
		s.Offer(t, "first", jose.ES256)
		s.Spoil(func(b []byte) []byte { b[0] ^= 1; return b })
		m := w.manager()
		if err := w.round(t, m, newService("main", fromSigner(s))); err == nil {
			t.Error("nothing is reported")
		}
		if c := condition(t, m, "main"); c.Reason != v1alpha1.ReasonKeyUnsuitable || !strings.Contains(c.Message, "does not verify") {
			t.Errorf("condition %+v", c)
		}
		if k, ok := m.Ring().Current("main"); ok && k.Public.Len() != 0 {
			t.Error("the key is published")
		}
	})
	t.Run("a signer without a key for the algorithm", func(t *testing.T) {
		t.Parallel()
		w, s := newWorld(t), fake.Start(t)
		s.Offer(t, "first", jose.ES384)
		m := w.manager()
		_ = w.round(t, m, newService("main", fromSigner(s)))
		if c := condition(t, m, "main"); c.Reason != v1alpha1.ReasonKeyUnsuitable || !strings.Contains(c.Message, "none of the signer's 1 keys is for ES256") {
			t.Errorf("condition %+v", c)
		}
	})
	t.Run("F318: one key of a signer under two TokenServices", func(t *testing.T) {
		t.Parallel()
		w, s := newWorld(t), fake.Start(t)
		s.Offer(t, "first", jose.ES256)
		m := w.manager()
		if err := w.round(t, m, newService("a", fromSigner(s)), newService("b", fromSigner(s))); err == nil || !strings.Contains(err.Error(), "is a key of TokenService a") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("from the signer back to Managed, and nothing names the signer any more", func(t *testing.T) {
		t.Parallel()
		w, s := newWorld(t), fake.Start(t)
		s.Offer(t, "first", jose.ES256)
		m := w.manager()
		if err := w.round(t, m, newService("main", fromSigner(s))); err != nil {
			t.Fatal(err)
		}
		for _, step := range []time.Duration{time.Minute, time.Hour} {
			w.later(step)
			w.mustEnsure(t, m, newService("main"))
		}
		if c := current(t, m, "main"); c.Signing == nil {
			t.Errorf("slots %v", c.Slots)
		}
		if strings.Contains(string(w.keys(t).Data["main.json"]), s.Address) {
			t.Error("the signer is still named")
		}
	})
}
