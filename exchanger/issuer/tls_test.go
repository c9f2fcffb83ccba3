// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

const idp = "idp.example"

// startTLS starts an https issuer on loopback whose name is idp.example.
func startTLS(t *testing.T, o fake.TLS) *fake.Issuer {
	t.Helper()
	iss, err := fake.Start(fake.Options{Host: idp, TLS: &o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(iss.Close)
	return iss
}

// manage returns a manager that finds every name at 127.0.0.1.
func manage(t *testing.T) (*issuer.Manager, *record) {
	t.Helper()
	rec := newRecord()
	m := issuer.New(issuer.Options{
		Resolver: &names{table: map[string][]string{idp: {"127.0.0.1"}}},
		Observer: rec, OnChange: rec.changed, Logger: discard(),
	})
	run(t, m)
	return m, rec
}

func sourceOf(name string, iss *fake.Issuer, ca []byte) issuer.Source {
	return issuer.Source{
		Name: name, Digest: digest, URL: iss.URL(), CABundle: ca, AllowLoopbackHTTP: true,
		AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
}

func settle(t *testing.T, m *issuer.Manager, sources ...issuer.Source) {
	t.Helper()
	m.SetSources(sources)
	if err := m.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wrongCA(t *testing.T) []byte {
	t.Helper()
	ca, err := fake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestOnlyTheDeclaredAuthoritySignsTheIssuersCertificate(t *testing.T) {
	t.Parallel()
	right := func(iss *fake.Issuer) []byte { return iss.CABundle() }
	cases := map[string]struct {
		tls  fake.TLS
		ca   func(*fake.Issuer) []byte
		want issuer.Result
	}{
		"the declared authority's certificate passes": {fake.TLS{}, right, issuer.ResultOK},
		"TLS 1.2 passes":                                {fake.TLS{MaxVersion: tls.VersionTLS12}, right, issuer.ResultOK},
		"F180: TLS 1.1 is refused":                      {fake.TLS{MaxVersion: tls.VersionTLS11}, right, issuer.ResultTLS},
		"F180: an expired certificate is refused":       {fake.TLS{Expired: true}, right, issuer.ResultTLS},
		"F180: a certificate of another name":           {fake.TLS{Name: "other.example"}, right, issuer.ResultTLS},
		"F180: an unknown authority, by system roots":   {fake.TLS{}, func(*fake.Issuer) []byte { return nil }, issuer.ResultTLS},
		"F180: another authority than the declared one": {fake.TLS{}, func(*fake.Issuer) []byte { return wrongCA(t) }, issuer.ResultTLS},
		"F181: a damaged bundle never means system roots": {
			fake.TLS{}, func(*fake.Issuer) []byte { return []byte("no PEM") }, "",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			iss := startTLS(t, tc.tls)
			m, rec := manage(t)
			settle(t, m, sourceOf(corp, iss, tc.ca(iss)))
			st, _ := m.Status(corp)
			if got := rec.last(corp); got != tc.want {
				t.Fatalf("result %q, want %q: %s", got, tc.want, st.Message)
			}
			_, err := m.Keys(t.Context(), corp, digest, "key-1")
			if ok := tc.want == issuer.ResultOK; ok != (err == nil) || (!ok && !errors.Is(err, issuer.ErrUnable)) {
				t.Fatalf("keys: %v", err)
			}
			if tc.want != issuer.ResultOK && iss.Requests(fake.Discovery) != 0 {
				t.Fatal("a request was sent over a connection that was not verified")
			}
		})
	}
	t.Run("F180: a custom bundle counts for its issuer only", func(t *testing.T) {
		t.Parallel()
		a, b := startTLS(t, fake.TLS{}), startTLS(t, fake.TLS{})
		m, rec := manage(t)
		settle(t, m, sourceOf("a", a, a.CABundle()), sourceOf("b", b, nil), sourceOf("crossed", b, a.CABundle()))
		if rec.last("a") != issuer.ResultOK || rec.last("b") != issuer.ResultTLS || rec.last("crossed") != issuer.ResultTLS {
			t.Fatal("another result")
		}
	})
}

func TestANewBundleTakesThePlaceOfTheOld(t *testing.T) {
	t.Parallel()
	t.Run("F181: the new bundle is in use, and the old one is not", func(t *testing.T) {
		t.Parallel()
		iss := startTLS(t, fake.TLS{})
		m, rec := manage(t)
		src := sourceOf(corp, iss, wrongCA(t))
		settle(t, m, src)
		src.CABundle, src.Digest = iss.CABundle(), "digest-2"
		settle(t, m, src)
		if _, err := m.Keys(t.Context(), corp, "digest-2", "key-1"); err != nil {
			t.Fatalf("with the right bundle: %v", err)
		}
		src.CABundle, src.Digest = wrongCA(t), "digest-3"
		settle(t, m, src)
		if rec.last(corp) != issuer.ResultTLS {
			t.Fatalf("with a wrong one again: %q", rec.last(corp))
		}
	})
	t.Run("F181: a damaged bundle keeps the one before it, and says so", func(t *testing.T) {
		t.Parallel()
		iss := startTLS(t, fake.TLS{})
		m, _ := manage(t)
		src := sourceOf(corp, iss, iss.CABundle())
		settle(t, m, src)
		for _, d := range []string{"digest-2", "digest-3"} { // once and again
			src.Digest, src.CABundle = d, []byte("-----BEGIN CERTIFICATE-----\ndamaged "+d)
			settle(t, m, src)
			if _, err := m.Keys(t.Context(), corp, d, "key-1"); err != nil {
				t.Fatal(err)
			}
			if st, _ := m.Status(corp); st.State != issuer.Ready || len(st.Warnings) != 1 || !strings.Contains(st.Warnings[0], "stays in use") {
				t.Fatalf("status %+v", st)
			}
		}
	})
	t.Run("F181: a damaged bundle does not borrow another issuer's", func(t *testing.T) {
		t.Parallel()
		a, b := startTLS(t, fake.TLS{}), startTLS(t, fake.TLS{})
		m, _ := manage(t)
		settle(t, m, sourceOf(corp, a, a.CABundle()))
		settle(t, m, sourceOf(corp, b, []byte("damaged")))
		if st, _ := m.Status(corp); st.State != issuer.Failed || !strings.Contains(st.Message, "CA bundle") {
			t.Fatalf("status %+v", st)
		}
	})
}

func TestABundleIsCertificatesOnly(t *testing.T) {
	t.Parallel()
	one := wrongCA(t)
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")})
	cases := map[string]struct {
		pem []byte
		ok  bool
	}{
		"one certificate passes":                          {one, true},
		"two certificates with a comment pass":            {bytes.Join([][]byte{one, []byte("# the second\n"), wrongCA(t)}, nil), true},
		"200 certificates pass, if small enough":          {bytes.Repeat(one, 200), true},
		"nothing is refused":                              {nil, false},
		"text is refused":                                 {[]byte("hello"), false},
		"a private key is refused":                        {bytes.Join([][]byte{one, key}, nil), false},
		"a certificate that does not parse is refused":    {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), false},
		"a bundle that was cut short is refused":          {append(bytes.Clone(one), one[:len(one)/2]...), false},
		"a damaged block before a good one is refused":    {append([]byte("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"), one...), false},
		"F181: 201 certificates are refused":              {bytes.Repeat(one, 201), false},
		"F181: a bundle over 256 KiB is refused":          {append(bytes.Repeat([]byte("\n"), issuer.MaxBundleBytes), one...), false},
		"F181: a bundle of 256 KiB with newlines is read": {append(bytes.Repeat([]byte("\n"), issuer.MaxBundleBytes-len(one)), one...), true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, err := issuer.ParseBundle(tc.pem)
			if (err == nil) != tc.ok || (pool != nil) != tc.ok {
				t.Fatalf("pool %v, error %v; want ok %v", pool, err, tc.ok)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Fatalf("the error quotes the bundle: %v", err)
			}
		})
	}
}

func FuzzParseBundle(f *testing.F) {
	ca, err := fake.NewCA()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ca)
	f.Add(append([]byte("-----BEGIN CERTIFICATE-----\n"), ca...))
	f.Fuzz(func(t *testing.T, b []byte) {
		pool, err := issuer.ParseBundle(b)
		if (pool == nil) != (err != nil) {
			t.Fatalf("pool %v, error %v", pool, err)
		}
	})
}
