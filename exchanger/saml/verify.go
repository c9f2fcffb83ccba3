// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Verify checks the signature with the given keys, which are the issuer's and come
// from its TrustedIssuer: what the assertion says of keys is cut away before. It
// returns the key that verified it, by its place in the list.
//
// What is returned was read from the bytes that were signed, not from those that
// came: the canonical form that was hashed is read again, and must hash to what
// was signed.
func (d *Document) Verify(keys []crypto.PublicKey) (*Assertion, int, error) {
	wanted, _ := methodOf(d.method)
	suitable := false
	for n, key := range keys {
		if familyOf(key) != wanted {
			continue
		}
		suitable = true
		if verified, ok := d.verifyWith(key); ok {
			a, err := d.reread(verified)
			return a, n, err
		}
	}
	if !suitable {
		return nil, 0, refuse(KeyUnsuitable, "no key of the issuer is for the signature's algorithm")
	}
	return nil, 0, refuse(BadSignature, "the signature does not verify with any key of the issuer")
}

// verifyWith leaves the library one signature to find, one reference to follow
// and one key to believe. The library wants the key in a certificate, and one that
// is valid at a time that it is told.
func (d *Document) verifyWith(key crypto.PublicKey) (*etree.Element, bool) {
	value := d.signature
	if ec, ok := key.(*ecdsa.PublicKey); ok {
		if value, ok = toASN1(value, ec); !ok {
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
	box := &x509.Certificate{PublicKey: key}
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{box}})
	ctx.Clock = dsig.NewFakeClockAt(box.NotBefore)
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
