// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package certname_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/proof/certname"
)

func TestAnEqualDistinguishedNameIsWrittenInOneWay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"CN=frontend,OU=shop,O=Example":     "dn:CN=frontend,OU=shop,O=Example",
		"cn=frontend, ou = shop ,o=Example": "dn:CN=frontend,OU=shop,O=Example",
		"2.5.4.3=frontend":                  "dn:CN=frontend",
		"UID=1+CN=frontend":                 "dn:CN=frontend+UID=1",
		`CN=a\,b`:                           `dn:CN=a\,b`,
		`CN=a\2Cb`:                          `dn:CN=a\,b`,
		`CN=a\2cb`:                          `dn:CN=a\,b`,
		`CN=\ a\ `:                          `dn:CN=\ a\ `,
		`CN=  a  `:                          "dn:CN=a",
		`CN=Jos\C3\A9`:                      "dn:CN=José",
		"CN=José":                           "dn:CN=José",
		`CN=a\=b`:                           `dn:CN=a\=b`,
		"CN=a=b":                            `dn:CN=a\=b`,
		"1.3.6.1.4.1.1=x":                   "dn:1.3.6.1.4.1.1=x",
		"DC=example,DC=org":                 "dn:DC=example,DC=org",
		"serialNumber=1,emailAddress=a@b":   "dn:SERIALNUMBER=1,EMAILADDRESS=a@b",
		`CN=a\0Ab`:                          `dn:CN=a\0Ab`,
	} {
		got, err := certname.DN(text)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; expected %q", text, got, err, want)
		}
		if again, err := certname.DN(strings.TrimPrefix(got, "dn:")); err != nil || again != got {
			t.Errorf("%s is written as %q and read back as %q, %v", text, got, again, err)
		}
	}
}

func TestADistinguishedNameWithTwoReadingsIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "frontend", "CN=", "CN=a,", "CN=a,,O=b", "CN=a+", "Common Name=a", "XYZ=a", "CN=#0401", `CN=a\`, `CN=a\G1`, `CN=a"b`, "CN=a;O=b", "CN=<a>",
		`CN=a\FF`, "=a", "2.5=", "CN=" + strings.Repeat("a", 600), "CN=a\x00b",
	} {
		if got, err := certname.DN(text); err == nil {
			t.Errorf("%q is read as %q", text, got)
		}
	}
}

func TestAHashIsReadInBothForms(t *testing.T) {
	t.Parallel()
	const want = "x5t#S256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	for _, text := range []string{
		"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	} {
		if got, err := certname.Hash(text); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "abc", strings.Repeat("z", 64), strings.Repeat("*", 43), strings.Repeat("B", 43)} {
		if got, err := certname.Hash(text); err == nil {
			t.Errorf("%q is read as %q", text, got)
		}
	}
}

func certificate(t testing.TB, template *x509.Certificate) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestTheNamesInACertificate(t *testing.T) {
	t.Parallel()
	uri, err := url.Parse("https://shop.example/agent")
	if err != nil {
		t.Fatal(err)
	}
	cert := certificate(t, &x509.Certificate{
		Subject:  pkix.Name{CommonName: "front, end", OrganizationalUnit: []string{"shop"}, Organization: []string{"Example"}, Country: []string{"DE"}},
		DNSNames: []string{"frontend.shop.svc", "*.shop.svc"}, URIs: []*url.URL{uri},
	})
	declared, err := certname.DN(`CN=front\, end,OU=shop,O=Example,C=DE`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{certname.DNS("frontend.shop.svc"), certname.URI("https://shop.example/agent"), declared}
	if got := certname.Of(cert); !slices.Equal(got, want) {
		t.Errorf("found %q, expected %q: a wildcard names nobody", got, want)
	}
	if got := certname.OfItself(cert); got != "x5t#S256:"+certname.Thumbprint(cert) || len(certname.Thumbprint(cert)) != 43 {
		t.Errorf("found %q", got)
	}
}

func TestACertificateWithoutASubjectHasNoNameByIt(t *testing.T) {
	t.Parallel()
	if got := certname.Of(certificate(t, &x509.Certificate{})); len(got) != 0 {
		t.Errorf("found %q", got)
	}
}

func TestACertificateHasABoundedNumberOfNames(t *testing.T) {
	t.Parallel()
	template := &x509.Certificate{}
	for range 100 {
		template.DNSNames = append(template.DNSNames, "a.example")
	}
	if got := certname.Of(certificate(t, template)); len(got) != 64 {
		t.Errorf("found %d names", len(got))
	}
}

func FuzzDN(f *testing.F) {
	f.Add(`CN=a\,b+UID=\23x,O=Example`)
	f.Fuzz(func(t *testing.T, text string) {
		first, err := certname.DN(text)
		if err != nil {
			return
		}
		second, err := certname.DN(strings.TrimPrefix(first, "dn:"))
		if len(first) < 512 && (err != nil || second != first) {
			t.Errorf("%q is written as %q, and that as %q: %v", text, first, second, err)
		}
	})
}
