// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
)

func TestKeysHaveCertificates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 123, time.UTC)
	for _, alg := range []string{jose.ES256, jose.ES384, jose.RS256, jose.PS256} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			one, err := keys.OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			plan := keys.Plan{Algorithm: alg, Rotation: keys.Rotation{Period: 24 * time.Hour, PrePublish: time.Hour}, Retain: 2 * time.Hour}
			for _, at := range []time.Duration{0, 23 * time.Hour, 24 * time.Hour, 25 * time.Hour, 47 * time.Hour} {
				if err := one.Ensure("main", plan, now.Add(at)); err != nil {
					t.Fatal(err)
				}
			}
			two, err := keys.OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := two.Ensure("main", plan, now.Add(47*time.Hour)); err != nil {
				t.Fatal(err)
			}
			a, _ := one.Current("main")
			b, _ := two.Current("main")
			first, second := a.Certificates(), b.Certificates()
			if len(first) != len(a.Slots) || len(first) != len(second) || len(first) < 2 {
				t.Fatalf("%d and %d certificates for %d keys", len(first), len(second), len(a.Slots))
			}
			for n := range first {
				c := first[n].Certificate
				if !c.Equal(second[n].Certificate) {
					t.Errorf("certificate %d is another one after a restart", n)
				}
				key, ok := a.Public.Key(first[n].KeyID)
				der, err := key.MarshalDER()
				if !ok || err != nil || string(der) != string(c.RawSubjectPublicKeyInfo) {
					t.Errorf("certificate %d is of another key (%v)", n, err)
				}
				if c.SerialNumber.Sign() != 1 || c.SerialNumber.Cmp(first[(n+1)%len(first)].Certificate.SerialNumber) == 0 {
					t.Errorf("serial number %v", c.SerialNumber)
				}
				if a.Slots[n].PublishedAt.Before(c.NotBefore) {
					t.Errorf("valid from %v", c.NotBefore)
				}
				if first[n].State != keys.Retired {
					if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	t.Run("EdDSA has none", func(t *testing.T) {
		t.Parallel()
		r := keys.InMemory()
		if err := r.Ensure("main", keys.Plan{Algorithm: jose.EdDSA, Rotation: keys.Rotation{Period: 24 * time.Hour, PrePublish: time.Hour}, Retain: 2 * time.Hour}, now); err != nil {
			t.Fatal(err)
		}
		if c, _ := r.Current("main"); len(c.Certificates()) != 0 {
			t.Error(c.Certificates())
		}
	})
}
