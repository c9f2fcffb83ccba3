// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Verify checks the signature with the given certificates, which are the
// issuer's and come from its TrustedIssuer: what the assertion says of keys is
// cut away before. A certificate outside its validity at now verifies nothing.
//
// What is returned was read from the bytes that were signed, not from those that
// came: the canonical form that was hashed is read again, and must hash to what
// was signed.
func (d *Document) Verify(certificates []*x509.Certificate, now time.Time) (*Assertion, error) {
	family, _ := methodOf(d.method)
	suitable := false
	for _, certificate := range certificates {
		if familyOf(certificate) != family || now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
			continue
		}
		suitable = true
		if verified, ok := d.verifyWith(certificate, now); ok {
			return d.reread(verified)
		}
	}
	if !suitable {
		return nil, refuse(KeyUnsuitable, "no certificate of the issuer that is valid now has a key for the signature's algorithm")
	}
	return nil, refuse(BadSignature, "the signature does not verify with any certificate of the issuer")
}

// verifyWith leaves the library one signature to find, one reference to follow
// and one certificate to believe.
func (d *Document) verifyWith(certificate *x509.Certificate, now time.Time) (*etree.Element, bool) {
	value := d.signature
	if key, ok := certificate.PublicKey.(*ecdsa.PublicKey); ok {
		if value, ok = toASN1(value, key); !ok {
			return nil, false
		}
	}
	root := d.root.Copy()
	sig := root.ChildElements()[1]
	parts := sig.ChildElements()
	parts[1].SetText(base64.StdEncoding.EncodeToString(value))
	for _, keyInfo := range parts[2:] {
		sig.RemoveChild(keyInfo)
	}
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{certificate}})
	ctx.Clock = dsig.NewFakeClockAt(now)
	verified, err := ctx.Validate(root)
	return verified, err == nil && verified != nil
}

// reread takes the facts out of the canonical bytes of what was verified. That
// these bytes hash to the signed digest proves once more that nothing was read,
// dropped or moved on the way.
func (d *Document) reread(verified *etree.Element) (*Assertion, error) {
	doc := etree.NewDocument()
	doc.SetRoot(verified)
	doc.WriteSettings = etree.WriteSettings{CanonicalAttrVal: true, CanonicalEndTags: true, CanonicalText: true}
	canonical, err := doc.WriteToBytes()
	if err != nil {
		return nil, refuse(BadSignature, "what was verified cannot be written")
	}
	hash, ok := digestOf(d.digester)
	if !ok {
		return nil, refuse(BadSignatureForm, "a digest that is not known")
	}
	h := hash.New()
	h.Write(canonical)
	if !bytes.Equal(h.Sum(nil), d.digest) {
		return nil, refuse(BadSignature, "what was verified reads differently the second time")
	}
	root, err := read(canonical, DefaultBytes)
	if err != nil {
		return nil, err
	}
	a, err := factsOf(root)
	if err != nil {
		return nil, err
	}
	if a.Issuer != d.issuer || a.ID != d.id {
		return nil, refuse(BadSignature, "what was verified is another assertion")
	}
	return a, nil
}

// toASN1 turns an ECDSA signature as XML Signature has it (RFC 4050, section
// 3.3: two numbers of the curve's size, one after the other) into what X.509
// verifies.
func toASN1(value []byte, key *ecdsa.PublicKey) ([]byte, bool) {
	size := (key.Curve.Params().BitSize + 7) / 8
	if len(value) != 2*size {
		return nil, false
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(value[:size]), new(big.Int).SetBytes(value[size:])})
	return der, err == nil
}
