// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"math/big"
	"reflect"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Sign makes an assertion and signs it with key, whose certificate goes with it:
// RSA with PKCS #1 and ECDSA, with SHA-256, or SHA-384 for a key on P-384. The
// result is base64url without padding, as RFC 8693, section 3 has it.
//
// What is returned was read again and verified as a stranger would, and says
// what a says.
func Sign(a *Assertion, key crypto.Signer, certificate *x509.Certificate) (string, error) {
	method := methodFor(key.Public())
	if method == "" {
		return "", refuse(Unsignable, "assertions are signed with RSA keys and with ECDSA keys on P-256 and P-384")
	}
	ctx, err := dsig.NewSigningContext(plain{key}, [][]byte{certificate.Raw})
	if err != nil {
		return "", refuse(Unsignable, "the key cannot sign")
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := ctx.SetSignatureMethod(method); err != nil {
		return "", refuse(Unsignable, "the key cannot sign with its method")
	}
	root := compose(a)
	// The context makes the element canonical in place; the signature is made over
	// a copy that is not used further.
	signature, err := ctx.ConstructSignature(root.Copy(), true)
	if err != nil {
		return "", refuse(Unsignable, "the key did not sign")
	}
	root.InsertChildAt(1, signature) // after Issuer, where the schema wants it
	doc := etree.NewDocument()
	doc.SetRoot(root)
	doc.WriteSettings = etree.WriteSettings{CanonicalAttrVal: true, CanonicalEndTags: true, CanonicalText: true}
	b, err := doc.WriteToBytes()
	if err != nil {
		return "", refuse(Unsignable, "the assertion cannot be written")
	}
	token := base64.RawURLEncoding.EncodeToString(b)
	return token, same(token, a, certificate)
}

// same reads a token as a stranger would and compares it with what it was to say.
func same(token string, a *Assertion, certificate *x509.Certificate) error {
	d, err := Parse(token, DefaultBytes)
	if err != nil {
		return refuse(Unsignable, "the assertion is not one that we would accept")
	}
	read, _, err := d.Verify([]crypto.PublicKey{certificate.PublicKey})
	if err != nil {
		return refuse(Unsignable, "the assertion's signature does not verify")
	}
	if !reflect.DeepEqual(read, a.rounded()) {
		return refuse(Unsignable, "the assertion says something else")
	}
	return nil
}

// rounded is the assertion with its times as they are written.
func (a *Assertion) rounded() *Assertion {
	b := *a
	for _, t := range []*time.Time{&b.IssuedAt, &b.NotBefore, &b.ExpiresAt, &b.AuthenticatedAt} {
		*t = t.UTC().Truncate(time.Second)
	}
	if b.AuthnContext == "" && !b.AuthenticatedAt.IsZero() {
		b.AuthnContext = classUnspecified
	}
	return &b
}

func methodFor(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return dsig.RSASHA256SignatureMethod
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return dsig.ECDSASHA256SignatureMethod
		case elliptic.P384():
			return dsig.ECDSASHA384SignatureMethod
		}
	}
	return ""
}

// plain makes ECDSA signatures as XML Signature has them; the library writes
// down whatever the key gives it.
type plain struct{ crypto.Signer }

func (p plain) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	der, err := p.Signer.Sign(rand, digest, opts)
	key, ok := p.Public().(*ecdsa.PublicKey)
	if err != nil || !ok {
		return der, err
	}
	var n struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &n); err != nil {
		return nil, err
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	out := make([]byte, 2*size)
	n.R.FillBytes(out[:size])
	n.S.FillBytes(out[size:])
	return out, nil
}

// compose writes an assertion down, in the order of its schema.
func compose(a *Assertion) *etree.Element {
	root := etree.NewElement("saml:Assertion")
	root.CreateAttr("xmlns:saml", nsAssertion)
	root.CreateAttr("ID", a.ID)
	root.CreateAttr("IssueInstant", written(a.IssuedAt))
	root.CreateAttr("Version", "2.0")
	root.CreateElement("saml:Issuer").SetText(a.Issuer)

	subject := root.CreateElement("saml:Subject")
	name := subject.CreateElement("saml:NameID")
	name.SetText(a.NameID.Value)
	optional(name, "Format", a.NameID.Format)
	optional(name, "NameQualifier", a.NameID.NameQualifier)
	optional(name, "SPNameQualifier", a.NameID.SPNameQualifier)
	confirmation := subject.CreateElement("saml:SubjectConfirmation")
	confirmation.CreateAttr("Method", bearer)
	data := confirmation.CreateElement("saml:SubjectConfirmationData")
	data.CreateAttr("NotOnOrAfter", written(a.ExpiresAt))
	data.CreateAttr("Recipient", a.Recipient)

	conditions := root.CreateElement("saml:Conditions")
	conditions.CreateAttr("NotBefore", written(a.NotBefore))
	conditions.CreateAttr("NotOnOrAfter", written(a.ExpiresAt))
	restriction := conditions.CreateElement("saml:AudienceRestriction")
	for _, audience := range a.Audiences {
		restriction.CreateElement("saml:Audience").SetText(audience)
	}
	if a.OneTimeUse {
		conditions.CreateElement("saml:OneTimeUse")
	}
	composeStatements(root, a)
	return root
}

func composeStatements(root *etree.Element, a *Assertion) {
	if !a.AuthenticatedAt.IsZero() {
		statement := root.CreateElement("saml:AuthnStatement")
		statement.CreateAttr("AuthnInstant", written(a.AuthenticatedAt))
		optional(statement, "SessionIndex", a.SessionIndex)
		class := a.AuthnContext
		if class == "" {
			class = classUnspecified
		}
		statement.CreateElement("saml:AuthnContext").CreateElement("saml:AuthnContextClassRef").SetText(class)
	}
	if len(a.Attributes) == 0 {
		return // an AttributeStatement without attributes is none (schema: one or more)
	}
	statement := root.CreateElement("saml:AttributeStatement")
	for _, attribute := range a.Attributes {
		el := statement.CreateElement("saml:Attribute")
		el.CreateAttr("Name", attribute.Name)
		optional(el, "NameFormat", attribute.NameFormat)
		for _, value := range attribute.Values {
			el.CreateElement("saml:AttributeValue").SetText(value)
		}
	}
}

func optional(el *etree.Element, name, value string) {
	if value != "" {
		el.CreateAttr(name, value)
	}
}

// written is a time as SAML has it.
func written(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }
