// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml_test

import (
	"crypto"
	"crypto/elliptic"
	"encoding/base64"
	"reflect"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/saml"
	fake "github.com/exchequer-dev/exchequer/test/fakes/saml"
)

func TestAnAssertionOfAnIndependentProviderIsRead(t *testing.T) {
	t.Parallel()
	want := &saml.Assertion{
		ID: "_a1b2c3", Issuer: entityID, NameID: saml.NameID{Value: "alice", Format: saml.FormatPersistent},
		IssuedAt: start, NotBefore: start, ExpiresAt: start.Add(3600e9),
		Audiences: []string{audience}, Recipient: recipient,
		AuthnContext: fake.Password, AuthenticatedAt: start, SessionIndex: "s1",
		Attributes: []saml.Attribute{{Name: "mail", Values: []string{"alice@corp.example"}}, {Name: "groups", Values: []string{"staff", "doctors"}}},
	}
	for name, idp := range map[string]*fake.IdP{
		"ECDSA on P-256": newIdP(t), "ECDSA on P-384": newIdPWith(t, ecKey(t, elliptic.P384())),
		"RSA of 2048 bits": newIdPWith(t, rsaKey(t, 2048)), "RSA of 3072 bits": newIdPWith(t, rsaKey(t, 3072)),
	} {
		t.Run("R26: signed with "+name, func(t *testing.T) {
			t.Parallel()
			got, err := verify(signed(t, idp, idp.Assertion(start, audience, recipient).XML(), fake.Form{}), newIdP(t).Certificate, idp.Certificate)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
	t.Run("text that has to be escaped comes out as it went in", func(t *testing.T) {
		t.Parallel()
		idp := newIdP(t)
		a := idp.Assertion(start, audience, recipient)
		a.NameID = `Ålice <"&'> 慶`
		a.Attributes = []fake.Attribute{{Name: "note", Values: []string{" two\n lines \t&amp; ]]&gt; ", "", "a\rb"}}}
		got, err := verify(signed(t, idp, a.XML(), fake.Form{}), idp.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if got.NameID.Value != a.NameID || !reflect.DeepEqual(got.Attributes[0].Values, a.Attributes[0].Values) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a thousand groups", func(t *testing.T) {
		t.Parallel()
		idp := newIdP(t)
		a := idp.Assertion(start, audience, recipient)
		groups := make([]string, 1000)
		for i := range groups {
			groups[i] = "a group with a name of ordinary length"
		}
		a.Attributes = []fake.Attribute{{Name: "groups", Values: groups}}
		got, err := verify(signed(t, idp, a.XML(), fake.Form{}), idp.Certificate)
		if err != nil || len(got.Attributes[0].Values) != 1000 {
			t.Fatal(got, err)
		}
	})
}

func TestWhatSurroundsASignatureDoesNotMatter(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	document := signed(t, idp, idp.Assertion(start, audience, recipient).XML(), fake.Form{})
	for name, edit := range map[string]func(string) string{
		"an XML declaration": func(s string) string { return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + s + "\n" },
		"attributes in another order": func(s string) string {
			return strings.Replace(s, ` IssueInstant="2026-11-22T09:00:00Z" Version="2.0"`, ` Version='2.0'   IssueInstant="2026-11-22T09:00:00Z"`, 1)
		},
		"empty elements":       func(s string) string { return strings.ReplaceAll(s, "></saml:SubjectConfirmationData>", "/>") },
		"characters by number": func(s string) string { return strings.Replace(s, ">alice<", ">&#97;l&#x69;ce<", 1) },
		"line ends in the signature": func(s string) string {
			return strings.Replace(s, "<ds:SignatureValue>", "<ds:SignatureValue>\r\n &#13;", 1)
		},
		"a namespace that nobody uses": func(s string) string {
			return strings.Replace(s, "<saml:Assertion ", `<saml:Assertion xmlns:xs="http://www.w3.org/2001/XMLSchema" `, 1)
		},
		"key info of another provider": func(s string) string {
			return strings.Replace(s, "</ds:SignatureValue>", "</ds:SignatureValue>"+newIdP(t).KeyInfo(), 1)
		},
		"key info that is no key at all": func(s string) string {
			return strings.Replace(s, "</ds:SignatureValue>", "</ds:SignatureValue><ds:KeyInfo>x</ds:KeyInfo>", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := edit(document)
			if changed == document {
				t.Fatal("nothing was changed")
			}
			if a, err := verify(changed, idp.Certificate); err != nil || a.NameID.Value != "alice" {
				t.Error(a, err)
			}
		})
	}
}

func TestF228SignatureWrappingIsRefused(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	attacks, err := idp.Wrapped(idp.Assertion(start, audience, recipient), marker)
	if err != nil {
		t.Fatal(err)
	}
	for name, document := range attacks {
		t.Run("F228, F229: "+name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, document, idp.Certificate, saml.BadStructure, saml.BadXML, saml.BadSignatureForm, saml.BadSignature)
		})
	}
}

func TestF230StrangeReferencesAreRefused(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	xml := idp.Assertion(start, audience, recipient).XML()
	reference := func(uri string) string {
		return `<ds:Reference URI="` + uri + `"><ds:Transforms>` + fake.Transform(fake.Enveloped) + fake.Transform(fake.Exclusive) + `</ds:Transforms>` +
			fake.Element("DigestMethod", fake.SHA256, "") + `<ds:DigestValue>AAAA</ds:DigestValue></ds:Reference>`
	}
	genuine := signed(t, idp, xml, fake.Form{})
	for name, document := range map[string]string{
		"F230: an empty URI":                              strings.Replace(genuine, `URI="#_a1b2c3"`, `URI=""`, 1),
		"F230: no URI":                                    strings.Replace(genuine, ` URI="#_a1b2c3"`, "", 1),
		"F230: another ID":                                signed(t, idp, xml, fake.Form{URI: "#other"}),
		"F230: an XPointer":                               signed(t, idp, xml, fake.Form{URI: "#xpointer(/)"}),
		"F230: an address":                                signed(t, idp, xml, fake.Form{URI: "https://evil.example/#_a1b2c3"}),
		"F230: two references":                            signed(t, idp, xml, fake.Form{Extra: reference("#_a1b2c3")}),
		"F230: two references, one to nothing":            signed(t, idp, xml, fake.Form{Extra: reference("")}),
		"F230: an ID that comes twice":                    signed(t, idp, strings.Replace(xml, "<saml:Issuer>", `<saml:Issuer ID="_a1b2c3">`, 1), fake.Form{}),
		"F230: an ID of another kind with the same value": strings.Replace(genuine, "<ds:Signature ", `<ds:Signature Id="_a1b2c3" `, 1),
		"F230: an ID with a prefix":                       signed(t, idp, strings.Replace(xml, ` ID="_a1b2c3"`, ` ID="_a1b2c3" xml:id="_b"`, 1), fake.Form{}),
		"F230: an ID that is no name":                     signed(t, idp, strings.Replace(xml, ` ID="_a1b2c3"`, ` ID="1"`, 1), fake.Form{}),
		"F230: no ID":                                     strings.Replace(genuine, ` ID="_a1b2c3"`, "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, document, idp.Certificate, saml.BadSignatureForm, saml.BadXML, saml.BadStructure)
		})
	}
}

func TestF235UnexpectedTransformsAndWeakDigestsAreRefused(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	xml := idp.Assertion(start, audience, recipient).XML()
	both := fake.Transform(fake.Enveloped) + fake.Transform(fake.Exclusive)
	for name, form := range map[string]fake.Form{
		"a stylesheet":                             {Transforms: both + `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"></ds:Transform>`},
		"an XPath":                                 {Transforms: `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>1</ds:XPath></ds:Transform>` + fake.Transform(fake.Exclusive)},
		"an XPath filter":                          {Transforms: fake.Transform(fake.Enveloped) + `<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"></ds:Transform>`},
		"base64":                                   {Transforms: fake.Transform(fake.Enveloped) + fake.Transform("http://www.w3.org/2000/09/xmldsig#base64")},
		"inclusive canonicalisation":               {Transforms: fake.Transform(fake.Enveloped) + fake.Transform("http://www.w3.org/TR/2001/REC-xml-c14n-20010315")},
		"canonicalisation with comments":           {Transforms: fake.Transform(fake.Enveloped) + fake.Transform(fake.Exclusive+"WithComments")},
		"no canonicalisation":                      {Transforms: fake.Transform(fake.Enveloped)},
		"not enveloped":                            {Transforms: fake.Transform(fake.Exclusive)},
		"the two the other way round":              {Transforms: fake.Transform(fake.Exclusive) + fake.Transform(fake.Enveloped)},
		"a transform more":                         {Transforms: both + fake.Transform(fake.Exclusive)},
		"an XPath inside a known transform":        {Transforms: `<ds:Transform Algorithm="` + fake.Enveloped + `"><ds:XPath>1</ds:XPath></ds:Transform>` + fake.Transform(fake.Exclusive)},
		"#default among the prefixes":              {Transforms: fake.Transform(fake.Enveloped) + fake.Element("Transform", fake.Exclusive, `<ec:InclusiveNamespaces xmlns:ec="`+fake.Exclusive+`" PrefixList="#default"></ec:InclusiveNamespaces>`)},
		"SignedInfo by inclusive canonicalisation": {Canonicalization: "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"},
		"SignedInfo with comments":                 {Canonicalization: fake.Exclusive + "WithComments"},
		"SHA-1 as digest":                          {Digest: "http://www.w3.org/2000/09/xmldsig#sha1"},
		"MD5 as digest":                            {Digest: "http://www.w3.org/2001/04/xmldsig-more#md5"},
		"no digest":                                {Digest: "urn:none"},
		"a digest that is too short for its name":  {Digest: "http://www.w3.org/2001/04/xmlenc#sha512"},
		"RSA with SHA-1":                           {Method: "http://www.w3.org/2000/09/xmldsig#rsa-sha1"},
		"RSA with MD5":                             {Method: "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"},
		"ECDSA with SHA-1":                         {Method: "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"},
		"DSA":                                      {Method: "http://www.w3.org/2000/09/xmldsig#dsa-sha1"},
		"HMAC":                                     {Method: "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"},
		"HMAC, truncated":                          {Method: "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", MethodParameters: "<ds:HMACOutputLength>8</ds:HMACOutputLength>"},
		"a length with a good method":              {MethodParameters: "<ds:HMACOutputLength>8</ds:HMACOutputLength>"},
	} {
		t.Run("F235: "+name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, signed(t, idp, xml, form), idp.Certificate, saml.BadSignatureForm)
		})
	}
}

func TestASignatureHasOneForm(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	genuine := signed(t, idp, idp.Assertion(start, audience, recipient).XML(), fake.Form{KeyInfo: idp.KeyInfo()})
	for name, edit := range map[string][2]string{
		"text in the signature":             {"<ds:SignedInfo>", "x<ds:SignedInfo>"},
		"text in the signed info":           {"<ds:Reference", "x<ds:Reference"},
		"text in the reference":             {"<ds:Transforms>", "x<ds:Transforms>"},
		"text among the transforms":         {"<ds:Transforms>", "<ds:Transforms>x"},
		"an attribute of the signature":     {"<ds:Signature ", `<ds:Signature x="1" `},
		"a type of the reference":           {"<ds:Reference ", `<ds:Reference Type="x" `},
		"an attribute of a transform":       {"<ds:Transform ", `<ds:Transform x="1" `},
		"a prefix before a known attribute": {"<ds:Reference URI", `<ds:Reference xmlns:x="urn:x" x:URI`},
		"an algorithm with text":            {`"></ds:SignatureMethod>`, `">x</ds:SignatureMethod>`},
		"an object":                         {"</ds:Signature>", "<ds:Object/></ds:Signature>"},
		"key info before the value":         {"<ds:SignatureValue>", "<ds:KeyInfo/><ds:SignatureValue>"},
		"two key infos":                     {"</ds:Signature>", "<ds:KeyInfo/></ds:Signature>"},
		"two values":                        {"<ds:SignatureValue>", "<ds:SignatureValue>AAAA</ds:SignatureValue><ds:SignatureValue>"},
		"no value":                          {"ds:SignatureValue>", "ds:Value>"},
		"two digests":                       {"<ds:DigestValue>", "<ds:DigestValue>AAAA</ds:DigestValue><ds:DigestValue>"},
		"a digest that is no base64":        {"<ds:DigestValue>", "<ds:DigestValue>*"},
		"a value that is no base64":         {"<ds:SignatureValue>", "<ds:SignatureValue>*"},
		"a value with elements":             {"<ds:SignatureValue>", "<ds:SignatureValue><ds:x/>"},
		"an element of another namespace":   {"<ds:DigestMethod ", `<x:DigestMethod xmlns:x="urn:x" `},
		"signed info before it":             {"<ds:SignedInfo>", "<ds:SignedInfo/><ds:SignedInfo>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(genuine, edit[0], edit[1], 1)
			if name == "an element of another namespace" {
				changed = strings.Replace(changed, "</ds:DigestMethod>", "</x:DigestMethod>", 1)
			}
			if name == "no value" {
				changed = strings.Replace(changed, "</ds:SignatureValue>", "</ds:Value>", 1)
			}
			if changed == genuine {
				t.Fatal("nothing was changed")
			}
			mustRefuse(t, changed, idp.Certificate, saml.BadSignatureForm)
		})
	}
	t.Run("F234: a signature of another namespace", func(t *testing.T) {
		t.Parallel()
		mustRefuse(t, strings.ReplaceAll(genuine, `xmlns:ds="`+fake.NSSignature, `xmlns:ds="urn:x`), idp.Certificate, saml.BadStructure)
	})
	t.Run("F234: an issuer of another namespace", func(t *testing.T) {
		t.Parallel()
		mustRefuse(t, strings.NewReplacer("<saml:Issuer>", `<x:Issuer xmlns:x="urn:x">`, "</saml:Issuer>", "</x:Issuer>").Replace(genuine), idp.Certificate, saml.BadStructure)
	})
}

func TestF236KeysComeFromTheTrustedIssuer(t *testing.T) {
	t.Parallel()
	idp, evil := newIdP(t), newIdP(t)
	xml := idp.Assertion(start, audience, recipient).XML()
	weak := newIdPWith(t, rsaKey(t, 2048))
	t.Run("F236: an attacker's certificate in the assertion", func(t *testing.T) {
		t.Parallel()
		mustRefuse(t, signed(t, evil, xml, fake.Form{KeyInfo: evil.KeyInfo()}), idp.Certificate, saml.BadSignature)
	})
	t.Run("F236: the right certificate in the assertion, and another's signature", func(t *testing.T) {
		t.Parallel()
		mustRefuse(t, signed(t, evil, xml, fake.Form{KeyInfo: idp.KeyInfo()}), idp.Certificate, saml.BadSignature)
	})
	t.Run("F236: the right certificate in the assertion and none configured", func(t *testing.T) {
		t.Parallel()
		a, err := verify(signed(t, idp, xml, fake.Form{KeyInfo: idp.KeyInfo()}))
		refusedWith(t, a, err, saml.KeyUnsuitable)
	})
	t.Run("a key of the wrong kind", func(t *testing.T) {
		t.Parallel()
		mustRefuse(t, signed(t, idp, xml, fake.Form{}), weak.Certificate, saml.KeyUnsuitable)
		mustRefuse(t, signed(t, idp, xml, fake.Form{Method: fake.RSASHA256}), weak.Certificate, saml.BadSignature)
	})
	t.Run("keys that are weak, or of a kind that is not known", func(t *testing.T) {
		t.Parallel()
		for _, key := range map[string]crypto.Signer{"P-224": ecKey(t, elliptic.P224()), "P-521": ecKey(t, elliptic.P521()), "RSA of 1024 bits": rsaKey(t, 1024)} {
			mustRefuse(t, signed(t, newIdPWith(t, key), xml, fake.Form{}), newIdPWith(t, key).Certificate, saml.KeyUnsuitable)
		}
	})
	t.Run("a signature with one bit changed, empty, or in X.509's form", func(t *testing.T) {
		t.Parallel()
		for _, mangle := range []func([]byte) []byte{
			func(b []byte) []byte { b[7] ^= 1; return b },
			func([]byte) []byte { return nil },
			func(b []byte) []byte { return append(b, 0) },
			func(b []byte) []byte { return make([]byte, len(b)) },
			func(b []byte) []byte { return append([]byte{0x30, 0x44}, b...) },
		} {
			mustRefuse(t, signed(t, idp, xml, fake.Form{Mangle: mangle}), idp.Certificate, saml.BadSignature)
		}
	})
	t.Run("weak keys are no certificates of an issuer", func(t *testing.T) {
		t.Parallel()
		for name, pem := range map[string]string{
			"P-224": newIdPWith(t, ecKey(t, elliptic.P224())).PEM(), "nothing": "", "text": "x", "two": idp.PEM() + idp.PEM(),
			"a key": strings.ReplaceAll(idp.PEM(), "CERTIFICATE", "PUBLIC KEY"), "after it": idp.PEM() + "x",
		} {
			if _, err := saml.ParseCertificates([]string{pem}); err == nil {
				t.Error(name, "accepted")
			}
		}
		if c, err := saml.ParseCertificates([]string{idp.PEM(), evil.PEM()}); err != nil || len(c) != 2 || !c[0].Equal(idp.Certificate) {
			t.Error(err)
		}
	})
}

func TestF241TheEncodingIsStrict(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	document := signed(t, idp, idp.Assertion(start, audience, recipient).XML(), fake.Form{})
	for len(document)%3 != 1 {
		document += "\n"
	}
	token := fake.Encode(document)
	if _, err := saml.Parse(token, 0); err != nil {
		t.Fatal(err)
	}
	last := token[len(token)-1]
	for name, token := range map[string]string{
		"F241: the XML itself":          document,
		"F241: padding":                 token + "==",
		"F241: standard base64":         base64.RawStdEncoding.EncodeToString([]byte(document + "\xc3\xbf\xc3\xbf?>")),
		"F241: line breaks":             token[:76] + "\n" + token[76:],
		"F241: line breaks of MIME":     token[:76] + "\r\n" + token[76:],
		"F241: a space":                 token[:76] + " " + token[76:],
		"F241: a line break at the end": token + "\n",
		"F241: bits that mean nothing":  token[:len(token)-1] + string(last+1),
		"F241: percent encoding":        token[:10] + "%2B" + token[10:],
		"R26: empty":                    "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := saml.Parse(token, 0)
			refusedWith(t, nil, err, saml.BadBase64, saml.BadXML)
		})
	}
}

func TestVerifyingDoesNotAlterTheDocument(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	d, err := saml.Parse(fake.Encode(signed(t, idp, idp.Assertion(start, audience, recipient).XML(), fake.Form{KeyInfo: idp.KeyInfo()})), 0)
	if err != nil {
		t.Fatal(err)
	}
	if d.Issuer() != entityID {
		t.Errorf("issuer %q", d.Issuer())
	}
	for range 3 {
		if _, n, err := d.Verify(keysOf(newIdP(t).Certificate, idp.Certificate)); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	}
}
