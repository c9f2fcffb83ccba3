// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package proof_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
)

// party is a certificate with its key.
type party struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate, signed by an authority or, when that is nil, by itself.
func issue(t testing.TB, by *party, change func(*x509.Certificate)) *party {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "frontend"}, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &party{cert, key}
}

func anAuthority(t testing.TB, by *party, name string) *party {
	t.Helper()
	return issue(t, by, func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.Subject = true, x509.KeyUsageCertSign, nil, pkix.Name{CommonName: name}
	})
}

func pool(all ...*party) *x509.CertPool {
	p := x509.NewCertPool()
	for _, a := range all {
		p.AddCert(a.cert)
	}
	return p
}

func TestACertificateCountsForWhatItsChainProves(t *testing.T) {
	t.Parallel()
	root := anAuthority(t, nil, "root")
	first := anAuthority(t, root, "first")
	second := anAuthority(t, first, "second")
	third := anAuthority(t, second, "third")
	twin := anAuthority(t, nil, "root")
	good := issue(t, root, nil)
	for name, tc := range map[string]struct {
		leaf    *party
		between []*party
		pool    *x509.CertPool
		ok      bool
	}{
		"one that an authority issued":                     {good, nil, pool(root), true},
		"a chain of four certificates":                     {issue(t, second, nil), []*party{second, first}, pool(root), true},
		"F69: a chain of five certificates":                {issue(t, third, nil), []*party{third, second, first}, pool(root), false},
		"F69: a chain with certificates that are not used": {good, []*party{first, second, third, twin}, pool(root), false},
		"F69: an intermediate is missing":                  {issue(t, second, nil), []*party{second}, pool(root), false},
		"F69: expired":                                     {issue(t, root, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }), nil, pool(root), false},
		"F69: not valid yet":                               {issue(t, root, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }), nil, pool(root), false},
		"F69: for servers":                                 {issue(t, root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), nil, pool(root), false},
		"for servers and clients": {issue(t, root, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		}), nil, pool(root), true},
		"F69: self-signed with the same subject":              {issue(t, nil, nil), nil, pool(root), false},
		"F69: of another authority by the same name":          {issue(t, twin, nil), nil, pool(root), false},
		"an intermediate authority itself":                    {first, nil, pool(root), false},
		"issued by a client":                                  {issue(t, good, nil), []*party{good}, pool(root), false},
		"where nobody declared an authority":                  {good, nil, nil, false},
		"where authorities were declared and none was usable": {good, nil, x509.NewCertPool(), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &proof.Certificate{Leaf: tc.leaf.cert}
			for _, b := range tc.between {
				c.Intermediates = append(c.Intermediates, b.cert)
			}
			ref := c.Chain(tc.pool, now)
			if (ref == nil) != tc.ok {
				t.Fatalf("found %v", ref)
			}
			if ref != nil && (ref.Reason != policy.ClientCredentials || strings.Contains(ref.Detail, "frontend")) {
				t.Errorf("found %v: expected a wrong credential, and nothing that the certificate says", ref)
			}
		})
	}
}

func TestACertificateThatIsKnownByItsHashMustBeGoodNow(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*x509.Certificate)
		ok     bool
	}{
		"self-signed":      {nil, true},
		"without purposes": {func(c *x509.Certificate) { c.ExtKeyUsage = nil }, true},
		"F69: expired":     {func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }, false},
		"F69: too early":   {func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }, false},
		"F69: for servers": {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &proof.Certificate{Leaf: issue(t, nil, tc.change).cert}
			if ref := c.Alone(now); (ref == nil) != tc.ok {
				t.Errorf("found %v", ref)
			}
		})
	}
}

func withURIs(t testing.TB, uris ...string) func(*x509.Certificate) {
	t.Helper()
	return func(c *x509.Certificate) {
		for _, raw := range uris {
			u, err := url.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, u)
		}
	}
}

func TestAnSVIDIsACertificateWithOneSPIFFEID(t *testing.T) {
	t.Parallel()
	const id = "spiffe://example.org/ns/shop/sa/frontend"
	root := anAuthority(t, nil, "root")
	for name, tc := range map[string]struct {
		change func(*x509.Certificate)
		named  bool
		good   bool
	}{
		"one":                         {withURIs(t, id), true, true},
		"without a URI":               {nil, false, false},
		"with two URIs":               {withURIs(t, id, "https://shop.example"), false, false},
		"with two SPIFFE IDs":         {withURIs(t, id, "spiffe://example.org/admin"), false, false},
		"of a trust domain alone":     {withURIs(t, "spiffe://example.org"), false, false},
		"with a query":                {withURIs(t, id+"?a=b"), false, false},
		"with a port":                 {withURIs(t, "spiffe://example.org:80/x"), false, false},
		"with a user":                 {withURIs(t, "spiffe://a@example.org/x"), false, false},
		"with an empty segment":       {withURIs(t, "spiffe://example.org//x"), false, false},
		"with a dot segment":          {withURIs(t, "spiffe://example.org/a/../b"), false, false},
		"with a trust domain in caps": {withURIs(t, "spiffe://EXAMPLE.org/x"), false, false},
		"that may not sign":           {func(c *x509.Certificate) { withURIs(t, id)(c); c.KeyUsage = x509.KeyUsageKeyEncipherment }, true, false},
		"that may issue": {func(c *x509.Certificate) {
			withURIs(t, id)(c)
			c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign
			c.IsCA = true
		}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &proof.Certificate{Leaf: issue(t, root, tc.change).cert}
			got, domain, ok := c.SPIFFEID()
			if ok != tc.named || ok && (got != id || domain != "example.org") {
				t.Fatalf("found %q of %q, %v", got, domain, ok)
			}
			if ref := c.SVID(pool(root), now); ok && (ref == nil) != tc.good {
				t.Errorf("found %v", ref)
			}
		})
	}
}

func pemOf(all ...*party) string {
	var b strings.Builder
	for _, p := range all {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}))
	}
	return b.String()
}

func sequence(p *party) string { return ":" + base64.StdEncoding.EncodeToString(p.cert.Raw) + ":" }

func TestAProxysHeaderIsReadStrictly(t *testing.T) {
	t.Parallel()
	root := anAuthority(t, nil, "root")
	between := anAuthority(t, root, "between")
	leaf := issue(t, between, nil)
	escaped := url.PathEscape(pemOf(leaf))
	for name, tc := range map[string]struct {
		header   proof.Header
		values   map[string][]string
		between  int
		none, ok bool
	}{
		"Client-Cert":                              {proof.HeaderClientCert, map[string][]string{"Client-Cert": {sequence(leaf)}}, 0, false, true},
		"Client-Cert with its chain":               {proof.HeaderClientCert, map[string][]string{"Client-Cert": {sequence(leaf)}, "Client-Cert-Chain": {sequence(between) + ", " + sequence(root)}}, 2, false, true},
		"Client-Cert with a chain of five":         {proof.HeaderClientCert, map[string][]string{"Client-Cert": {sequence(leaf)}, "Client-Cert-Chain": {strings.Repeat(sequence(root)+",", 4) + sequence(root)}}, 0, false, false},
		"no header":                                {proof.HeaderClientCert, nil, 0, true, true},
		"an empty header":                          {proof.HeaderClientCert, map[string][]string{"Client-Cert": {""}}, 0, false, false},
		"two headers":                              {proof.HeaderClientCert, map[string][]string{"Client-Cert": {sequence(leaf), sequence(root)}}, 0, false, false},
		"two certificates in one":                  {proof.HeaderClientCert, map[string][]string{"Client-Cert": {sequence(leaf) + "," + sequence(root)}}, 0, false, false},
		"no certificate in it":                     {proof.HeaderClientCert, map[string][]string{"Client-Cert": {":AAAA:"}}, 0, false, false},
		"PEM where bytes are expected":             {proof.HeaderClientCert, map[string][]string{"Client-Cert": {escaped}}, 0, false, false},
		"another header than the declared one":     {proof.HeaderClientCert, map[string][]string{"X-Forwarded-Client-Cert": {`Cert="` + escaped + `"`}}, 0, true, true},
		"Envoy's":                                  {proof.HeaderXFCC, map[string][]string{"X-Forwarded-Client-Cert": {`By=spiffe://a/b;Hash=abc;Subject="CN=a,O=\"b\"";URI=spiffe://x/y;URI=z;Cert="` + escaped + `"`}}, 0, false, true},
		"Envoy's with the chain":                   {proof.HeaderXFCC, map[string][]string{"X-Forwarded-Client-Cert": {`Cert="` + escaped + `";Chain="` + url.PathEscape(pemOf(leaf, between)) + `"`}}, 1, false, true},
		"Envoy's without the certificate":          {proof.HeaderXFCC, map[string][]string{"X-Forwarded-Client-Cert": {`Hash=abc;Subject="CN=a"`}}, 0, false, false},
		"Envoy's of two proxies":                   {proof.HeaderXFCC, map[string][]string{"X-Forwarded-Client-Cert": {`Cert="` + escaped + `",Cert="` + escaped + `"`}}, 0, false, false},
		"Envoy's with two certificates":            {proof.HeaderXFCC, map[string][]string{"X-Forwarded-Client-Cert": {`Cert="` + escaped + `";cert="` + url.PathEscape(pemOf(root)) + `"`}}, 0, false, false},
		"Envoy's with a quote that does not end":   {proof.HeaderXFCC, map[string][]string{"X-Forwarded-Client-Cert": {`Cert="` + escaped}}, 0, false, false},
		"Envoy's with a private key":               {proof.HeaderXFCC, map[string][]string{"X-Forwarded-Client-Cert": {`Cert="` + url.PathEscape("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n") + `"`}}, 0, false, false},
		"Envoy's with text behind the certificate": {proof.HeaderXFCC, map[string][]string{"X-Forwarded-Client-Cert": {`Cert="` + escaped + `x"`}}, 0, false, false},
		"a header where none is declared":          {proof.HeaderNone, map[string][]string{"": {sequence(leaf)}}, 0, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := tc.header.Forwarded(func(name string) []string { return tc.values[name] })
			if (err == nil) != tc.ok || (c == nil) != (tc.none || !tc.ok) {
				t.Fatalf("found %v, %v", c, err)
			}
			if c != nil && (!c.Leaf.Equal(leaf.cert) || len(c.Intermediates) != tc.between) {
				t.Errorf("found %s with %d others", c.Leaf.Subject, len(c.Intermediates))
			}
		})
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add(`Cert="a";Chain=b`, ":AAAA:")
	f.Fuzz(func(t *testing.T, xfcc, cert string) {
		for _, h := range proof.Headers() {
			c, err := h.Forwarded(func(name string) []string {
				if name == "X-Forwarded-Client-Cert" {
					return []string{xfcc}
				}
				return []string{cert}
			})
			if (c == nil) != (err != nil) {
				t.Errorf("%s: %v with error %v", h, c, err)
			}
		}
	})
}
