// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml

import (
	"crypto"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// digests are the hashes that a reference may have been made with: no SHA-1.
func digestOf(algorithm string) (crypto.Hash, bool) {
	switch algorithm {
	case "http://www.w3.org/2001/04/xmlenc#sha256":
		return crypto.SHA256, true
	case "http://www.w3.org/2001/04/xmldsig-more#sha384":
		return crypto.SHA384, true
	case "http://www.w3.org/2001/04/xmlenc#sha512":
		return crypto.SHA512, true
	}
	return 0, false
}

// methodOf says what key a signature method needs: no HMAC, no SHA-1, no MD5.
func methodOf(algorithm string) (family, bool) {
	switch algorithm {
	case dsig.RSASHA256SignatureMethod, dsig.RSASHA384SignatureMethod, dsig.RSASHA512SignatureMethod:
		return familyRSA, true
	case dsig.ECDSASHA256SignatureMethod, dsig.ECDSASHA384SignatureMethod, dsig.ECDSASHA512SignatureMethod:
		return familyECDSA, true
	}
	return 0, false
}

// readSignature takes the signature apart and refuses every shape but one:
//
//	Signature
//	  SignedInfo
//	    CanonicalizationMethod  exclusive, without comments
//	    SignatureMethod
//	    Reference               to the assertion's ID, and nothing else
//	      Transforms            enveloped-signature, then exclusive
//	      DigestMethod
//	      DigestValue
//	  SignatureValue
//	  KeyInfo                   which is not looked at
//
// What has this shape leaves a verifier nothing to choose.
func (d *Document) readSignature(sig *etree.Element) error {
	parts, err := sequence(sig, nsSignature, []string{"Id"}, "SignedInfo", "SignatureValue", "?KeyInfo")
	if err != nil {
		return err
	}
	if d.signature, err = base64Of(parts[1]); err != nil {
		return err
	}
	info, err := sequence(parts[0], nsSignature, []string{"Id"}, "CanonicalizationMethod", "SignatureMethod", "Reference")
	if err != nil {
		return err
	}
	if algorithm, err := algorithmOf(info[0]); err != nil || algorithm != nsExclusive {
		return refuse(BadSignatureForm, "canonicalisation other than exclusive XML canonicalisation without comments")
	}
	if d.method, err = algorithmOf(info[1]); err != nil {
		return err
	}
	if _, ok := methodOf(d.method); !ok {
		return refuse(BadSignatureForm, "a signature method other than RSA (PKCS #1) and ECDSA with SHA-256, SHA-384 or SHA-512")
	}
	return d.readReference(info[2])
}

func (d *Document) readReference(reference *etree.Element) error {
	if attr(reference, "URI", "") != "#"+d.id {
		return refuse(BadSignatureForm, "the signature's reference is not the assertion's ID")
	}
	parts, err := sequence(reference, nsSignature, []string{"URI", "Id"}, "Transforms", "DigestMethod", "DigestValue")
	if err != nil {
		return err
	}
	transforms, err := sequence(parts[0], nsSignature, nil, "Transform", "Transform")
	if err != nil {
		return err
	}
	if algorithm, err := algorithmOf(transforms[0]); err != nil || algorithm != enveloped {
		return refuse(BadSignatureForm, "the first transform is not enveloped-signature")
	}
	if err := exclusiveTransform(transforms[1]); err != nil {
		return err
	}
	if d.digester, err = algorithmOf(parts[1]); err != nil {
		return err
	}
	hash, ok := digestOf(d.digester)
	if !ok {
		return refuse(BadSignatureForm, "a digest other than SHA-256, SHA-384 and SHA-512")
	}
	if d.digest, err = base64Of(parts[2]); err != nil {
		return err
	}
	if len(d.digest) != hash.Size() {
		return refuse(BadSignatureForm, "a digest that is not as long as its algorithm makes it")
	}
	return nil
}

// exclusiveTransform allows the one parameter that exclusive canonicalisation
// has: prefixes that are kept where they are declared. "#default" is not among
// what the library knows.
func exclusiveTransform(transform *etree.Element) error {
	unlike := refuse(BadSignatureForm, "the second transform is not exclusive XML canonicalisation without comments")
	if attr(transform, "Algorithm", "") != nsExclusive {
		return unlike
	}
	children := transform.ChildElements()
	if len(children) == 0 {
		_, err := algorithmOf(transform)
		return err
	}
	if len(children) > 1 || !onlySpace(transform) || !onlyAttributes(transform, "Algorithm") || !is(children[0], nsExclusive, "InclusiveNamespaces") {
		return unlike
	}
	inclusive := children[0]
	if len(inclusive.Child) > 0 || !onlyAttributes(inclusive, "PrefixList") {
		return unlike
	}
	for _, prefix := range strings.Fields(attr(inclusive, "PrefixList", "")) {
		if !isNCName(prefix) {
			return unlike
		}
	}
	return nil
}

// sequence returns the children of el, which must be these, in this order, in
// this namespace; the last may be optional, with a question mark.
func sequence(el *etree.Element, namespace string, attributes []string, tags ...string) ([]*etree.Element, error) {
	children := el.ChildElements()
	unlike := refuse(BadSignatureForm, "the signature has other elements or attributes than the one allowed form has")
	if !onlySpace(el) || !onlyAttributes(el, attributes...) || len(children) > len(tags) {
		return nil, unlike
	}
	for i, tag := range tags {
		tag, optional := strings.CutPrefix(tag, "?")
		if i >= len(children) && optional {
			break
		}
		if i >= len(children) || !is(children[i], namespace, tag) {
			return nil, unlike
		}
	}
	return children, nil
}

// algorithmOf reads an element that has an algorithm and nothing else: no
// truncation of an HMAC, no XPath, no stylesheet.
func algorithmOf(el *etree.Element) (string, error) {
	if !onlySpace(el) || len(el.ChildElements()) > 0 || !onlyAttributes(el, "Algorithm") {
		return "", refuse(BadSignatureForm, "an algorithm with parameters")
	}
	return attr(el, "Algorithm", ""), nil
}

func base64Of(el *etree.Element) ([]byte, error) {
	text, ok := textOf(el)
	if ok && onlyAttributes(el, "Id") {
		if b, err := base64.StdEncoding.Strict().DecodeString(unspaced(text)); err == nil {
			return b, nil
		}
	}
	return nil, refuse(BadSignatureForm, "a value that is not base64")
}

// unspaced takes out the white space that XML Signature allows in base64.
func unspaced(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && isSpace(byte(r)) {
			return -1
		}
		return r
	}, s)
}

// onlyAttributes says whether el has no attributes but these, none of them with
// a prefix. Namespace declarations are no attributes.
func onlyAttributes(el *etree.Element, names ...string) bool {
	for _, a := range el.Attr {
		if a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns" {
			continue
		}
		if a.Space != "" || !slices.Contains(names, a.Key) {
			return false
		}
	}
	return true
}

// onlySpace says whether there is nothing but space between an element's
// children.
func onlySpace(el *etree.Element) bool {
	for _, child := range el.Child {
		switch c := child.(type) {
		case *etree.Element:
		case *etree.CharData:
			if strings.Trim(c.Data, " \t\r\n") != "" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// textOf returns all text of an element that has no children. Text that is in
// several pieces is one text.
func textOf(el *etree.Element) (string, bool) {
	var b strings.Builder
	for _, child := range el.Child {
		c, ok := child.(*etree.CharData)
		if !ok {
			return "", false
		}
		b.WriteString(c.Data)
	}
	return b.String(), true
}

// attr is the value of an attribute without a prefix. The library's own look-up
// takes one with any prefix for it.
func attr(el *etree.Element, name, otherwise string) string {
	for _, a := range el.Attr {
		if a.Space == "" && a.Key == name {
			return a.Value
		}
	}
	return otherwise
}

func has(el *etree.Element, name string) bool {
	return slices.ContainsFunc(el.Attr, func(a etree.Attr) bool { return a.Space == "" && a.Key == name })
}
