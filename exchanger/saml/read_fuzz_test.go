// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	dsig "github.com/russellhaering/goxmldsig"
)

// FuzzRead holds the gate to its promise: what passes it is well-formed to the
// parser behind it and to another one, which agree about the text, and its canonical
// form passes again and stays the same.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		`<a xmlns="urn:a"/>`, `<?xml version="1.0"?><a:b xmlns:a="urn:a" c="&lt;&#x41;" a:d='"'>x&amp;<a:e xml:lang="de"> </a:e>` + "\r\n" + `</a:b>`,
		`<a xmlns="urn:a"><b xmlns="urn:b"/></a>`, `<a xmlns="urn:a"><!-- --></a>`, `<a:b:c xmlns:a="urn:a"/>`, `<a xmlns="urn:a">]]&gt;&#13;&#10;</a>`,
		`<a xmlns="urn:a" b="1" b="2"/>`, `<a:a xmlns:a="urn:a"><a:b xmlns:c="urn:c" c:d="1"/><c:e xmlns:c="urn:c"/></a:a>`,
	} {
		f.Add([]byte(s))
	}
	canonicalizer := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	f.Fuzz(func(t *testing.T, document []byte) {
		if admit(document, DefaultBytes) != nil {
			return
		}
		root, err := read(document, DefaultBytes)
		if err != nil {
			t.Fatalf("what passed the gate is not read: %v", err)
		}
		once, err := canonicalizer.Canonicalize(root.Copy())
		if err != nil {
			t.Fatalf("no canonical form: %v", err)
		}
		again, err := read(once, 4*DefaultBytes)
		if err != nil {
			t.Fatalf("the canonical form %q is not read: %v", once, err)
		}
		twice, err := canonicalizer.Canonicalize(again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q becomes %q (%v)", once, twice, err)
		}
		if a, b := texts(t, document), texts(t, once); a != b {
			t.Fatalf("another parser reads %q, and of the canonical form %q", a, b)
		}
	})
}

// texts is all text of a document as encoding/xml reads it, with the names around it.
func texts(t *testing.T, document []byte) string {
	t.Helper()
	var b strings.Builder
	depth := 0
	for d := xml.NewDecoder(bytes.NewReader(document)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatalf("another parser does not read it: %v", err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			depth++
			b.WriteString("<" + x.Name.Space + " " + x.Name.Local + ">")
		case xml.EndElement:
			depth--
			b.WriteString("</>")
		case xml.CharData:
			if depth > 0 {
				b.Write(x)
			}
		}
	}
}

// FuzzMetadata takes any bytes for metadata.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
		`<md:KeyDescriptor><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>MIIB</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor></md:IDPSSODescriptor></md:EntityDescriptor>`))
	f.Add([]byte("\xEF\xBB\xBF<!-- a --><a/>"))
	f.Fuzz(func(t *testing.T, document []byte) {
		all, err := ParseMetadata(document, "x", time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
		if (err == nil) != (len(all) > 0) || len(all) > maxCertificates {
			t.Fatalf("%d certificates, %v", len(all), err)
		}
		for _, c := range all {
			if familyOf(c.PublicKey) == familyNone {
				t.Fatal("a key that cannot be used")
			}
		}
	})
}
