// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Namespaces and algorithms, as they stand in documents.
const (
	NSAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	NSSignature = "http://www.w3.org/2000/09/xmldsig#"
	Exclusive   = "http://www.w3.org/2001/10/xml-exc-c14n#"
	Enveloped   = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	SHA256      = "http://www.w3.org/2001/04/xmlenc#sha256"
	RSASHA256   = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	ECDSASHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
	Bearer      = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	Persistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	Password    = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
)

// IdP is an identity provider.
type IdP struct {
	EntityID    string
	Key         crypto.Signer
	Certificate *x509.Certificate
}

// New makes an identity provider with a new ECDSA key on P-256.
func New(entityID string, now time.Time) (*IdP, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return With(entityID, key, now)
}

// With makes an identity provider with a key, and a certificate for it that is
// valid for a year around now.
func With(entityID string, key crypto.Signer, now time.Time) (*IdP, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"},
		NotBefore: now.AddDate(0, -6, 0), NotAfter: now.AddDate(0, 6, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	return &IdP{EntityID: entityID, Key: key, Certificate: c}, err
}

// PEM is the certificate as a TrustedIssuer has it.
func (i *IdP) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate.Raw}))
}

// Metadata is the provider's metadata document.
func (i *IdP) Metadata() []byte {
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<!-- made for tests -->
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="%s">
  <md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="%s"><ds:X509Data><ds:X509Certificate>
%s
    </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example/sso"/>
  </md:IDPSSODescriptor>
</md:EntityDescriptor>
`, i.EntityID, NSSignature, base64.StdEncoding.EncodeToString(i.Certificate.Raw))
}

// Form is how a signature is made. The zero value of a field is what is usual.
type Form struct {
	// URI is what the signature says it is over; default the ID of the assertion.
	URI string
	// Method, Digest, Canonicalization and Transforms are written as they stand;
	// the hash is SHA-256 whatever they say.
	Method           string
	Digest           string
	Canonicalization string
	// Transforms is the content of the Transforms element, in canonical form.
	Transforms string
	// MethodParameters is the content of the SignatureMethod element.
	MethodParameters string
	// Extra stands after the Reference, in canonical form.
	Extra string
	// KeyInfo stands after the SignatureValue.
	KeyInfo string
	// Mangle changes the signature's bytes.
	Mangle func([]byte) []byte
}

// Token signs an assertion and encodes it as RFC 8693 has it.
func (i *IdP) Token(a Assertion) (string, error) {
	signed, err := i.Sign(a.XML(), Form{})
	return Encode(signed), err
}

// Encode is base64url without padding.
func Encode(document string) string { return base64.RawURLEncoding.EncodeToString([]byte(document)) }

// Sign signs an assertion that is in canonical form, and puts the signature after
// its Issuer.
func (i *IdP) Sign(canonical string, f Form) (string, error) {
	signature, err := i.Signature(canonical, f)
	return Put(canonical, signature), err
}

// Put puts a signature after the first Issuer.
func Put(document, signature string) string {
	return strings.Replace(document, "</saml:Issuer>", "</saml:Issuer>"+signature, 1)
}

// Signature makes the Signature element for an assertion in canonical form.
func (i *IdP) Signature(canonical string, f Form) (string, error) {
	if f.URI == "" {
		_, after, _ := strings.Cut(canonical, ` ID="`)
		id, _, _ := strings.Cut(after, `"`)
		f.URI = "#" + id
	}
	if f.Method == "" {
		if f.Method = ECDSASHA256; isRSA(i.Key) {
			f.Method = RSASHA256
		}
	}
	fill(&f.Digest, SHA256)
	fill(&f.Canonicalization, Exclusive)
	fill(&f.Transforms, Transform(Enveloped)+Transform(Exclusive))
	info := Element("CanonicalizationMethod", f.Canonicalization, "") + Element("SignatureMethod", f.Method, f.MethodParameters) +
		`<ds:Reference URI="` + f.URI + `"><ds:Transforms>` + f.Transforms + `</ds:Transforms>` + Element("DigestMethod", f.Digest, "") +
		`<ds:DigestValue>` + base64.StdEncoding.EncodeToString(hash(canonical)) + `</ds:DigestValue></ds:Reference>` + f.Extra + `</ds:SignedInfo>`
	value, err := i.signBytes(`<ds:SignedInfo xmlns:ds="` + NSSignature + `">` + info)
	if err != nil {
		return "", err
	}
	if f.Mangle != nil {
		value = f.Mangle(value)
	}
	return `<ds:Signature xmlns:ds="` + NSSignature + `"><ds:SignedInfo>` + info +
		`<ds:SignatureValue>` + base64.StdEncoding.EncodeToString(value) + `</ds:SignatureValue>` + f.KeyInfo + `</ds:Signature>`, nil
}

// KeyInfo is a KeyInfo element with a certificate.
func (i *IdP) KeyInfo() string {
	return `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + base64.StdEncoding.EncodeToString(i.Certificate.Raw) +
		`</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
}

// Transform is a Transform element.
func Transform(algorithm string) string { return Element("Transform", algorithm, "") }

// Element is an element of XML Signature that has an algorithm.
func Element(tag, algorithm, content string) string {
	return `<ds:` + tag + ` Algorithm="` + algorithm + `">` + content + `</ds:` + tag + `>`
}

func fill(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

func isRSA(key crypto.Signer) bool {
	_, ok := key.Public().(*rsa.PublicKey)
	return ok
}

func hash(text string) []byte {
	h := crypto.SHA256.New()
	h.Write([]byte(text))
	return h.Sum(nil)
}

// signBytes signs as XML Signature has it: ECDSA's two numbers side by side.
func (i *IdP) signBytes(text string) ([]byte, error) {
	value, err := i.Key.Sign(rand.Reader, hash(text), crypto.SHA256)
	if err != nil || isRSA(i.Key) {
		return value, err
	}
	key, ok := i.Key.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a key that this provider does not know: %T", i.Key)
	}
	var n struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(value, &n); err != nil {
		return nil, err
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	out := make([]byte, 2*size)
	n.R.FillBytes(out[:size])
	n.S.FillBytes(out[size:])
	return out, nil
}
