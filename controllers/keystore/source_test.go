// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
)

// fromSecret has a TokenService take its key from Secret name.
func fromSecret(name string) func(*service) {
	return func(s *service) {
		s.object.Spec.Signing.Source = v1alpha1.KeySourceSecretRef
		s.object.Spec.Signing.SecretRef = &v1alpha1.KeyReference{Name: name, Key: "key"}
	}
}

func privateKey(tb testing.TB, algorithm string) (text, kid string) {
	tb.Helper()
	k, err := jose.GenerateKey(algorithm)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := k.MarshalPEM()
	if err != nil {
		tb.Fatal(err)
	}
	return string(b), k.KeyID()
}

func TestAKeyFromASecret(t *testing.T) {
	t.Parallel()
	t.Run("it signs at once, and the Secret with the keys has the same form as any", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		text, kid := privateKey(t, jose.ES256)
		w.secret(t, "mine", map[string]string{"key": text})
		m := w.manager()
		w.mustEnsure(t, m, newService("main", fromSecret("mine")))
		if current(t, m, "main").Signing.KeyID() != kid {
			t.Error("another key signs")
		}
		follower := keys.NewFollower()
		if err := follower.Follow(map[string][]byte{"main": w.keys(t).Data["main.json"]}); err != nil {
			t.Fatal(err)
		}
		if c, ok := follower.Current("main"); !ok || c.Signing.KeyID() != kid {
			t.Error("a replica does not sign with it")
		}
	})
	t.Run("a changed Secret is a new key: published before it signs, the old one after it signed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		old, oldID := privateKey(t, jose.ES256)
		next, nextID := privateKey(t, jose.ES256)
		w.secret(t, "mine", map[string]string{"key": old})
		m, s := w.manager(), newService("main", fromSecret("mine"))
		w.mustEnsure(t, m, s)
		w.secret(t, "mine", map[string]string{"key": next})
		w.later(time.Minute)
		w.mustEnsure(t, m, s)
		if c := current(t, m, "main"); c.Signing.KeyID() != oldID || c.Public.Len() != 2 {
			t.Errorf("the new key is not prepared: %v", c.Slots)
		}
		w.later(59 * time.Minute)
		w.mustEnsure(t, m, s)
		if c := current(t, m, "main"); c.Signing.KeyID() != oldID {
			t.Error("the new key signs before its time")
		}
		w.later(time.Minute)
		w.mustEnsure(t, m, s)
		if c := current(t, m, "main"); c.Signing.KeyID() != nextID || c.Public.Len() != 2 {
			t.Errorf("the old key is not retired: %v", c.Slots)
		}
		w.secret(t, "mine", map[string]string{"key": old})
		w.later(time.Minute)
		if err := w.ensure(t, m, s); err == nil || !strings.Contains(err.Error(), "does not come back") {
			t.Errorf("F305: a key that retired may sign again: %v", err)
		}
		if c := condition(t, m, "main"); c.Reason != v1alpha1.ReasonKeyUnsuitable || current(t, m, "main").Signing.KeyID() != nextID {
			t.Errorf("condition %+v", c)
		}
		w.secret(t, "mine", map[string]string{"key": next})
		w.later(24 * time.Hour)
		w.mustEnsure(t, m, s)
		if c := current(t, m, "main"); c.Public.Len() != 2 {
			t.Errorf("a replica that was cut off may still sign with the old key: %v", c.Slots)
		}
		w.later(time.Hour + time.Minute)
		w.mustEnsure(t, m, s)
		if c := current(t, m, "main"); c.Public.Len() != 1 {
			t.Errorf("the old key is still published: %v", c.Slots)
		}
	})
	t.Run("nothing rotates it by time", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		text, kid := privateKey(t, jose.ES256)
		w.secret(t, "mine", map[string]string{"key": text})
		m := w.manager()
		for range 50 {
			w.mustEnsure(t, m, newService("main", fromSecret("mine")))
			w.later(100 * time.Hour)
		}
		if c := current(t, m, "main"); c.Signing.KeyID() != kid || c.Public.Len() != 1 {
			t.Errorf("slots %v", c.Slots)
		}
	})
	t.Run("from Managed to a Secret and back, each with its time of publication", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		text, kid := privateKey(t, jose.ES256)
		w.secret(t, "mine", map[string]string{"key": text})
		m := w.manager()
		w.mustEnsure(t, m, newService("main"))
		managed := current(t, m, "main").Signing.KeyID()
		for range 2 {
			w.later(time.Hour)
			w.mustEnsure(t, m, newService("main", fromSecret("mine")))
		}
		if got := current(t, m, "main").Signing.KeyID(); got != kid {
			t.Errorf("%s signs, want the Secret's %s", got, kid)
		}
		for range 2 {
			w.later(time.Hour)
			w.mustEnsure(t, m, newService("main"))
		}
		if got := current(t, m, "main").Signing.KeyID(); got == kid || got == managed {
			t.Error("no new key was made")
		}
	})
	t.Run("F304: a revoked one is gone at once, and nothing signs until there is another", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		text, kid := privateKey(t, jose.ES256)
		w.secret(t, "mine", map[string]string{"key": text})
		m := w.manager()
		w.mustEnsure(t, m, newService("main", fromSecret("mine")))
		revoked := newService("main", fromSecret("mine"), func(s *service) { s.spec.RevokedKeyIDs = []string{kid} })
		if err := w.ensure(t, m, revoked); err == nil || !strings.Contains(err.Error(), "is revoked") {
			t.Errorf("not reported: %v", err)
		}
		if c := current(t, m, "main"); c.AccessToken != nil || c.Public.Len() != 0 {
			t.Error("the revoked key signs or is published")
		}
		next, nextID := privateKey(t, jose.ES256)
		w.secret(t, "mine", map[string]string{"key": next})
		w.mustEnsure(t, m, revoked)
		if current(t, m, "main").Signing.KeyID() != nextID {
			t.Error("the next key does not sign at once")
		}
	})
}

func TestKeysInASecretThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	weak := func(bits int) string {
		// Two primes next to each other: Fermat finds them in one step.
		p, err := rand.Prime(rand.Reader, bits/2)
		if err != nil {
			t.Fatal(err)
		}
		q := new(big.Int).Add(p, big.NewInt(2))
		for !q.ProbablyPrime(20) {
			q.Add(q, big.NewInt(2))
		}
		one := big.NewInt(1)
		k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, Primes: []*big.Int{p, q}}
		k.D = new(big.Int).ModInverse(big.NewInt(65537), new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)))
		k.Precompute()
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
	}
	es384, _ := privateKey(t, jose.ES384)
	es256, _ := privateKey(t, jose.ES256)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(p521)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		algorithm string
		data      map[string]string // nil: no Secret
		reason    string
		want      string
	}{
		"no Secret":                           {jose.ES256, nil, v1alpha1.ReasonSecretNotFound, "there is no Secret mine in namespace exchequer-system"},
		"no such data key":                    {jose.ES256, map[string]string{"other": es256}, v1alpha1.ReasonSecretNotFound, `has no key "key"`},
		"a key for another algorithm":         {jose.ES256, map[string]string{"key": es384}, v1alpha1.ReasonKeyUnsuitable, "not a private key for ES256"},
		"a curve that no algorithm has":       {jose.ES256, map[string]string{"key": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))}, v1alpha1.ReasonKeyUnsuitable, "curve"},
		"garbage":                             {jose.ES256, map[string]string{"key": "garbage"}, v1alpha1.ReasonKeyUnsuitable, "PEM"},
		"an encrypted key":                    {jose.ES256, map[string]string{"key": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"}, v1alpha1.ReasonKeyUnsuitable, "encrypted"},
		"two keys":                            {jose.ES256, map[string]string{"key": es256 + es256}, v1alpha1.ReasonKeyUnsuitable, "after the PEM block"},
		"F319: primes beside each other":      {jose.RS256, map[string]string{"key": weak(2048)}, v1alpha1.ReasonKeyUnsuitable, "RS256"},
		"F319: a modulus of 1024 bits":        {jose.RS256, map[string]string{"key": weak(1024)}, v1alpha1.ReasonKeyUnsuitable, "RS256"},
		"a public key where a private one is": {jose.ES256, map[string]string{"key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}, v1alpha1.ReasonKeyUnsuitable, "PRIVATE KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tc.data != nil {
				w.secret(t, "mine", tc.data)
			}
			m := w.manager()
			algorithm := func(s *service) { s.spec.Algorithm = tc.algorithm }
			if err := w.ensure(t, m, newService("main", fromSecret("mine"), algorithm)); err == nil {
				t.Error("nothing is reported")
			}
			c := condition(t, m, "main")
			if c.Status != metav1.ConditionFalse || c.Reason != tc.reason || !strings.Contains(c.Message, tc.want) {
				t.Errorf("condition %+v, want reason %s and %q", c, tc.reason, tc.want)
			}
			for _, secret := range tc.data {
				if strings.Contains(c.Message, secret) {
					t.Error("the condition quotes the Secret")
				}
			}
			if k, ok := m.Ring().Current("main"); ok && k.AccessToken != nil {
				t.Error("something signs")
			}
			good, kid := privateKey(t, tc.algorithm)
			w.secret(t, "mine", map[string]string{"key": good})
			w.mustEnsure(t, m, newService("main", fromSecret("mine"), algorithm))
			w.secret(t, "mine", map[string]string{"key": "gone wrong"})
			w.later(time.Minute)
			_ = w.ensure(t, m, newService("main", fromSecret("mine"), algorithm))
			if c := condition(t, m, "main"); current(t, m, "main").Signing.KeyID() != kid || !strings.Contains(c.Message, "last valid keys go on") {
				t.Errorf("the last valid key does not go on: %+v", c)
			}
		})
	}
}

func TestOneKeyInTwoTokenServices(t *testing.T) {
	t.Parallel()
	t.Run("F318: over one SecretRef, the second is refused and says which other one has it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		text, kid := privateKey(t, jose.ES256)
		w.secret(t, "one", map[string]string{"key": text})
		w.secret(t, "two", map[string]string{"key": text})
		m := w.manager()
		err := w.ensure(t, m, newService("a", fromSecret("one")), newService("b", fromSecret("two")))
		if err == nil || !strings.Contains(err.Error(), "is a key of TokenService a") {
			t.Errorf("not refused: %v", err)
		}
		if c := condition(t, m, "b"); c.Reason != v1alpha1.ReasonKeyUnsuitable {
			t.Errorf("condition %+v", c)
		}
		if current(t, m, "a").Signing.KeyID() != kid {
			t.Error("the first does not sign")
		}
		if c, ok := m.Ring().Current("b"); ok && c.AccessToken != nil {
			t.Error("the second signs with the same key")
		}
	})
	t.Run("F318: a Managed key that was copied into a Secret", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("a"))
		stolen, err := current(t, m, "a").Signing.MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		w.secret(t, "two", map[string]string{"key": string(stolen)})
		if err := w.ensure(t, m, newService("a"), newService("b", fromSecret("two"))); err == nil {
			t.Error("not refused")
		}
	})
	t.Run("F318: and after a restart, where the other is not in use yet", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		text, _ := privateKey(t, jose.ES256)
		w.secret(t, "one", map[string]string{"key": text})
		w.mustEnsure(t, w.manager(), newService("z", fromSecret("one")))
		if err := w.ensure(t, w.manager(), newService("a", fromSecret("one")), newService("z", fromSecret("one"))); err == nil {
			t.Error("the order of names decides who has the key")
		}
	})
}
