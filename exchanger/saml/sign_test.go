// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/saml"
	fake "github.com/exchequer-dev/exchequer/test/fakes/saml"
)

func statement() *saml.Assertion {
	return &saml.Assertion{
		ID: "_0123456789abcdef", Issuer: "https://sts.example.com",
		NameID:   saml.NameID{Value: "corp:alice <&>", Format: saml.FormatPersistent, SPNameQualifier: "https://shop.example.com/saml"},
		IssuedAt: start, NotBefore: start, ExpiresAt: start.Add(5 * time.Minute),
		Audiences: []string{"https://shop.example.com/saml"}, Recipient: "https://shop.example.com/acs",
		AuthenticatedAt: start.Add(-time.Hour), AuthnContext: fake.Password,
		Attributes: []saml.Attribute{{Name: "groups", Values: []string{"corp:staff", "a & b"}}, {Name: "mail", Values: []string{"alice@corp.example"}}},
	}
}

func TestWhatIsSignedIsReadByAStranger(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		key   interface{ make(testing.TB) *fake.IdP }
		bytes int
	}{"ES256": {p256{}, 64}, "ES384": {p384{}, 96}, "RS256": {rsa2048{}, 256}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idp := test.key.make(t)
			key, certificate := idp.Key, idp.Certificate
			token, err := saml.Sign(statement(), key, certificate)
			if err != nil {
				t.Fatal(err)
			}
			d, err := saml.Parse(token, 0)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := d.Verify(keysOf(certificate))
			if err != nil || !reflect.DeepEqual(got, statement()) {
				t.Fatalf("%+v, %v", got, err)
			}
			document, err := base64.RawURLEncoding.DecodeString(token)
			if err != nil {
				t.Fatal(err)
			}
			_, after, _ := strings.Cut(string(document), "<ds:SignatureValue>")
			value, _, _ := strings.Cut(after, "<")
			if b, err := base64.StdEncoding.DecodeString(value); err != nil || len(b) != test.bytes {
				t.Errorf("a signature of %d bytes, want %d (%v)", len(b), test.bytes, err)
			}
			if !strings.Contains(string(document), "</saml:Issuer><ds:Signature") {
				t.Error("the signature does not stand after the issuer")
			}
			if err := fake.Verify(string(document), certificate.PublicKey); err != nil {
				t.Errorf("by hand: %v", err)
			}
			if err := fake.Verify(strings.Replace(string(document), "corp:alice", "corp:bobby", 1), certificate.PublicKey); err == nil {
				t.Error("by hand, another name verifies as well")
			}
			xmlsec(t, document, certificate)
		})
	}
}

type (
	p256    struct{}
	p384    struct{}
	rsa2048 struct{}
)

func (p256) make(t testing.TB) *fake.IdP    { return newIdP(t) }
func (p384) make(t testing.TB) *fake.IdP    { return newIdPWith(t, ecKey(t, elliptic.P384())) }
func (rsa2048) make(t testing.TB) *fake.IdP { return newIdPWith(t, rsaKey(t, 2048)) }

// xmlsec has the signature verified by xmlsec1, where that is installed: an
// implementation in another language over another parser.
func xmlsec(t *testing.T, document []byte, certificate *x509.Certificate) {
	t.Helper()
	tool, err := exec.LookPath("xmlsec1")
	if err != nil {
		t.Log("xmlsec1 is not installed: not asked")
		return
	}
	dir := t.TempDir()
	file, key := filepath.Join(dir, "assertion.xml"), filepath.Join(dir, "cert.pem")
	for name, content := range map[string][]byte{file: document, key: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), tool, "--verify", "--enabled-key-data", "key-name", "--pubkey-cert-pem", key,
		"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("xmlsec1: %v\n%s", err, out)
	}
}

func TestWhatCannotBeSaidIsNotSigned(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	for name, edit := range map[string]func(*saml.Assertion){
		"no name":                          func(a *saml.Assertion) { a.NameID.Value = "" },
		"a name with space around it":      func(a *saml.Assertion) { a.NameID.Value = " alice" },
		"a name with a control character":  func(a *saml.Assertion) { a.NameID.Value = "ali\x07ce" },
		"a name that is not UTF-8":         func(a *saml.Assertion) { a.NameID.Value = "ali\xffce" },
		"no audience":                      func(a *saml.Assertion) { a.Audiences = nil },
		"no recipient":                     func(a *saml.Assertion) { a.Recipient = "" },
		"an ID that is none":               func(a *saml.Assertion) { a.ID = "0" },
		"an attribute that comes twice":    func(a *saml.Assertion) { a.Attributes = append(a.Attributes, a.Attributes[0]) },
		"an attribute's name with a tab":   func(a *saml.Assertion) { a.Attributes[0].Name = "a\tb" },
		"an attribute's value with a null": func(a *saml.Assertion) { a.Attributes[0].Values[0] = "\x00" },
		"a session without authentication": func(a *saml.Assertion) { a.AuthenticatedAt, a.AuthnContext, a.SessionIndex = time.Time{}, "", "s" },
		"an authentication without a time": func(a *saml.Assertion) { a.AuthenticatedAt = time.Time{} },
		"too much":                         func(a *saml.Assertion) { a.Attributes[0].Values[0] = strings.Repeat("a", 300<<10) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := statement()
			edit(a)
			if token, err := saml.Sign(a, idp.Key, idp.Certificate); err == nil {
				t.Error("signed", token)
			}
		})
	}
	t.Run("a certificate of another key", func(t *testing.T) {
		t.Parallel()
		_, err := saml.Sign(statement(), idp.Key, newIdP(t).Certificate)
		refusedWith(t, nil, err, saml.Unsignable)
	})
	t.Run("a key that XML signatures do not know", func(t *testing.T) {
		t.Parallel()
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		_, err = saml.Sign(statement(), key, idp.Certificate)
		refusedWith(t, nil, err, saml.Unsignable)
	})
}

func TestMetadataIsRead(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	good := string(idp.Metadata())
	key := idp.KeyInfo()
	for name, test := range map[string]struct {
		edit func(string) string
		want int // certificates; 0: refused
	}{
		"as the provider serves it": {func(s string) string { return s }, 1},
		"with a byte order mark":    {func(s string) string { return "\xEF\xBB\xBF" + s }, 1},
		"the same certificate twice": {func(s string) string {
			return strings.Replace(s, "<md:SingleSignOnService", `<md:KeyDescriptor xmlns:ds="`+fake.NSSignature+`">`+key+"</md:KeyDescriptor><md:SingleSignOnService", 1)
		}, 1},
		"a second certificate": {func(s string) string {
			return strings.Replace(s, "<md:SingleSignOnService", `<md:KeyDescriptor xmlns:ds="`+fake.NSSignature+`">`+newIdP(t).KeyInfo()+"</md:KeyDescriptor><md:SingleSignOnService", 1)
		}, 2},
		"a certificate for encryption": {func(s string) string { return strings.Replace(s, `use="signing"`, `use="encryption"`, 1) }, 0},
		"of another entity":            {func(s string) string { return strings.Replace(s, entityID, entityID+"/x", 1) }, 0},
		"of a service provider":        {func(s string) string { return strings.ReplaceAll(s, "IDPSSODescriptor", "SPSSODescriptor") }, 0},
		"of another protocol":          {func(s string) string { return strings.Replace(s, "SAML:2.0:protocol", "SAML:1.1:protocol", 1) }, 0},
		"still valid": {func(s string) string {
			return strings.Replace(s, " entityID", ` validUntil="2026-11-22T09:00:01Z" entityID`, 1)
		}, 1},
		"valid no more": {func(s string) string {
			return strings.Replace(s, " entityID", ` validUntil="2026-11-22T09:00:00Z" entityID`, 1)
		}, 0},
		"a role that is valid no more": {func(s string) string {
			return strings.Replace(s, "<md:IDPSSODescriptor", `<md:IDPSSODescriptor validUntil="2020-01-01T00:00:00Z"`, 1)
		}, 0},
		"a certificate that is none": {func(s string) string { return strings.Replace(s, "MII", "XXX", 1) }, 0},
		"several entities":           {func(s string) string { return strings.ReplaceAll(s, "EntityDescriptor", "EntitiesDescriptor") }, 0},
		"a document type":            {func(s string) string { return strings.Replace(s, "<!-- made for tests -->", "<!DOCTYPE x>", 1) }, 0},
		"a comment in a comment":     {func(s string) string { return strings.Replace(s, "made for", "made -- for", 1) }, 0},
		"a comment without an end":   {func(s string) string { return s + "<!--" }, 0},
		"HTML":                       {func(string) string { return "<html><body>sign in</body></html>" }, 0},
		"nothing":                    {func(string) string { return "" }, 0},
		"too much":                   {func(s string) string { return s + strings.Repeat(" ", saml.MaxMetadataBytes) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := saml.ParseMetadata([]byte(test.edit(good)), entityID, start)
			if (err == nil) != (test.want > 0) || len(got) != test.want {
				t.Fatalf("%d certificates, %v", len(got), err)
			}
			if err == nil && !got[0].Equal(idp.Certificate) {
				t.Error("another certificate")
			}
		})
	}
	t.Run("our own is read like any other", func(t *testing.T) {
		t.Parallel()
		other := newIdP(t).Certificate
		document, err := saml.Metadata("https://sts.example.com", "https://sts.example.com/token", []*x509.Certificate{idp.Certificate, other})
		if err != nil {
			t.Fatal(err)
		}
		got, err := saml.ParseMetadata(document, "https://sts.example.com", start)
		if err != nil || len(got) != 2 || !got[0].Equal(idp.Certificate) || !got[1].Equal(other) {
			t.Error(got, err)
		}
	})
}

func TestKeysOfCertificatesAreAKeySet(t *testing.T) {
	t.Parallel()
	var certificates []*x509.Certificate
	for _, key := range []crypto.Signer{ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), rsaKey(t, 2048)} {
		certificates = append(certificates, newIdPWith(t, key).Certificate)
	}
	text, err := saml.KeySet(certificates)
	if err != nil {
		t.Fatal(err)
	}
	set, unused, err := jose.ParseKeySet(text, jose.KeySetOptions{})
	if err != nil || len(unused) > 0 || set.Len() != 3 {
		t.Fatal(set, unused, err)
	}
	for n, kid := range set.KeyIDs() {
		sum := sha256.Sum256(certificates[n].Raw)
		key, _ := set.Key(kid)
		der, err := key.MarshalDER()
		if want := certificates[n].RawSubjectPublicKeyInfo; err != nil || !bytes.Equal(der, want) || kid != base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Errorf("key %d: %x, want %x (%v)", n, der, want, err)
		}
	}
}
