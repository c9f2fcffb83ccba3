// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
	"github.com/exchequer-dev/exchequer/test/fakes/spiffe"
)

const trustDomain = "example.org"

func domain(t *testing.T) *spiffe.Domain {
	t.Helper()
	d, err := spiffe.New(trustDomain, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// vouches says whether the authorities that a manager knows vouch for an SVID.
func vouches(t *testing.T, m *issuer.Manager, d *spiffe.Domain) bool {
	t.Helper()
	pool, err := m.Authorities(trustDomain, digest)
	if err != nil {
		t.Fatal(err)
	}
	svid, err := d.X509SVID("spiffe://example.org/frontend")
	if err != nil {
		t.Fatal(err)
	}
	_, err = svid.Leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil
}

func TestATrustBundleIsKeptLikeAKeySet(t *testing.T) {
	t.Parallel()
	t.Run("inline", func(t *testing.T) {
		t.Parallel()
		d, m := domain(t), issuer.New(issuer.Options{Logger: discard()})
		m.SetSources([]issuer.Source{{Name: trustDomain, Digest: digest, URL: "spiffe://example.org", Inline: d.Bundle(), SPIFFE: true}})
		if !vouches(t, m, d) {
			t.Error("the bundle's authority does not vouch for its SVID")
		}
		if _, err := m.Keys(t.Context(), trustDomain, digest, d.Key.ID); err != nil {
			t.Error(err)
		}
		if _, err := m.Authorities(trustDomain, "another"); !errors.Is(err, issuer.ErrUnable) {
			t.Errorf("under another digest: %v", err)
		}
		if _, err := m.Authorities("nobody", digest); !errors.Is(err, issuer.ErrUnable) {
			t.Errorf("of no source: %v", err)
		}
	})
	t.Run("a key set is no bundle, and a bundle no key set", func(t *testing.T) {
		t.Parallel()
		d, m := domain(t), issuer.New(issuer.Options{Logger: discard()})
		iss, err := fake.New(fake.Options{URL: "https://login.corp.example"})
		if err != nil {
			t.Fatal(err)
		}
		m.SetSources([]issuer.Source{
			{Name: "a", Digest: digest, URL: "spiffe://example.org", Inline: iss.KeySet(), SPIFFE: true},
			{Name: "b", Digest: digest, URL: "https://login.corp.example", Inline: d.Bundle()},
		})
		for _, name := range []string{"a", "b"} {
			if st, _ := m.Status(name); st.State != issuer.Failed {
				t.Errorf("%s: %s %s", name, st.State, st.Message)
			}
		}
	})
	t.Run("fetched, followed and carried", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			d := domain(t)
			serve := func() { w.iss.Break(fake.JWKS, fake.JSON(string(d.Bundle()))) }
			serve()
			w.m.SetSources([]issuer.Source{{
				Name: trustDomain, Digest: digest, URL: "spiffe://example.org", JWKSURL: w.iss.JWKSURL(), SPIFFE: true,
				AllowLoopbackHTTP: true, AllowedCIDRs: w.src.AllowedCIDRs,
			}})
			w.pass(0)
			if !vouches(t, w.m, d) {
				t.Fatal("the fetched authority does not vouch for its SVID")
			}
			before, told := w.m.Generation(trustDomain), w.rec.changesOf(trustDomain)
			old := *d
			if err := d.Rotate(); err != nil {
				t.Fatal(err)
			}
			serve()
			w.pass(10 * time.Minute)
			if !vouches(t, w.m, d) || vouches(t, w.m, &old) {
				t.Error("the authority that the domain replaced still counts, or the new one does not")
			}
			if w.m.Generation(trustDomain) == before || w.rec.changesOf(trustDomain) == told {
				t.Error("nobody was told that an authority is gone")
			}
			if st := w.status(trustDomain); !strings.Contains(st.Message, "1 X.509 authorities") {
				t.Errorf("status %q", st.Message)
			}
			set, _, ok := w.m.JWKS(trustDomain)
			if !ok {
				t.Fatal("there is nothing to carry")
			}
			other := issuer.New(issuer.Options{Logger: discard(), CarrierFresh: func() bool { return true }})
			other.SetSources([]issuer.Source{{Name: trustDomain, Digest: digest, URL: "spiffe://example.org", JWKSURL: "https://example.org/bundle", SPIFFE: true, Carried: set}})
			if !vouches(t, other, d) {
				t.Error("the carried authority does not vouch for its SVID")
			}
		})
	})
	t.Run("a bundle without authorities verifies no certificate", func(t *testing.T) {
		t.Parallel()
		d, m := domain(t), issuer.New(issuer.Options{Logger: discard()})
		keys := string(d.Bundle())
		from := strings.Index(keys, `{"crv"`)
		only := `{"keys":[` + keys[strings.LastIndex(keys, `{"alg"`):]
		if from < 0 || !strings.HasPrefix(only, `{"keys":[{"alg"`) {
			t.Fatal(keys)
		}
		m.SetSources([]issuer.Source{{Name: trustDomain, Digest: digest, URL: "spiffe://example.org", Inline: []byte(only), SPIFFE: true}})
		if _, err := m.Authorities(trustDomain, digest); !errors.Is(err, issuer.ErrKeyUnknown) {
			t.Errorf("found %v", err)
		}
	})
}
