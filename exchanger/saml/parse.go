// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml

import (
	"encoding/base64"
	"strings"

	"github.com/beevik/etree"
)

// Document is a parsed assertion of which nothing is verified yet. Only Parse
// makes one.
type Document struct {
	root   *etree.Element
	issuer string
	id     string
	// method is the signature's algorithm, on the list of those that are allowed.
	method string
	// signature is the decoded SignatureValue.
	signature []byte
	// digest is what the reference says that the assertion hashes to, and
	// digester with what.
	digest   []byte
	digester string
}

// Parse reads the value of a subject_token of type saml2: base64url without
// padding (RFC 8693, section 3; RFC 7522, section 2.1) of one SAML 2.0
// assertion, of at most limit bytes. It verifies nothing, but what it accepts
// has exactly one reading, exactly one assertion, and exactly one signature,
// which is over the whole of it.
func Parse(token string, limit int) (*Document, error) {
	if limit <= 0 || limit > DefaultBytes {
		limit = DefaultBytes
	}
	if len(token) > base64.RawURLEncoding.EncodedLen(limit) {
		return nil, refuse(TooLarge, "the assertion is larger than its bound")
	}
	// The decoder skips line ends, also when it is strict.
	if strings.ContainsAny(token, "\r\n") {
		return nil, refuse(BadBase64, "line ends in the token; it is one line of base64url")
	}
	document, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return nil, refuse(BadBase64, "the token is not base64url without padding")
	}
	return parse(document, limit)
}

func parse(document []byte, limit int) (*Document, error) {
	root, err := read(document, limit)
	if err != nil {
		return nil, err
	}
	if err := alone(root); err != nil {
		return nil, err
	}
	children := root.ChildElements()
	if len(children) < 2 || !is(children[0], nsAssertion, "Issuer") || !is(children[1], nsSignature, "Signature") {
		return nil, refuse(BadStructure, "the assertion does not begin with Issuer and Signature")
	}
	d := &Document{root: root, id: attr(root, "ID", "")}
	if !isNCName(d.id) || len(d.id) > maxText {
		return nil, refuse(BadStructure, "the assertion has no ID")
	}
	if d.issuer, err = issuerOf(children[0]); err != nil {
		return nil, err
	}
	if err := d.readSignature(children[1]); err != nil {
		return nil, err
	}
	return d, nil
}

// read turns bytes that passed the gate into a tree.
func read(document []byte, limit int) (*etree.Element, error) {
	if err := admit(document, limit); err != nil {
		return nil, err
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(document); err != nil || doc.Root() == nil {
		return nil, refuse(BadXML, "the document is not well-formed")
	}
	root := doc.Root()
	doc.RemoveChild(root) // nothing is outside it but space and a declaration
	return root, nil
}

// alone makes sure that the root is an assertion, and that there is nothing
// anywhere in it that another reader might take for the assertion, for its
// signature, or for a part that cannot be read. Names are compared without
// regard to namespace and case: a near miss is no accident.
func alone(root *etree.Element) error {
	if !is(root, nsAssertion, "Assertion") {
		if strings.EqualFold(root.Tag, "EncryptedAssertion") {
			return refuse(Encrypted, "the assertion is encrypted")
		}
		return refuse(BadStructure, "the root element is not a SAML 2.0 assertion; of a response, take the assertion out")
	}
	signatures := 0
	var walk func(el *etree.Element) error
	walk = func(el *etree.Element) error {
		for _, child := range el.ChildElements() {
			switch name := strings.ToLower(child.Tag); {
			case strings.HasPrefix(name, "encrypted"):
				return refuse(Encrypted, "a part of the assertion is encrypted")
			case name == "assertion", name == "assertionidref", name == "assertionuriref":
				return refuse(BadStructure, "an assertion inside the assertion")
			case name == "signature":
				if signatures++; signatures > 1 {
					return refuse(BadStructure, "more than one signature")
				}
			}
			if err := walk(child); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(root)
}

// Issuer is the entity ID that the assertion claims to come from. Nobody has
// vouched for it: it chooses whose certificates are tried, and nothing else.
func (d *Document) Issuer() string { return d.issuer }

func is(el *etree.Element, namespace, tag string) bool {
	return el.Tag == tag && el.NamespaceURI() == namespace
}
