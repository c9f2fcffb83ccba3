// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/saml"
	fake "github.com/exchequer-dev/exchequer/test/fakes/saml"
)

// edits are changes that the provider itself makes before it signs: a bad
// provider, or one that says something that is not understood here.
func refusedThoughSigned(t *testing.T, cases map[string][2]string, codes ...saml.Code) {
	t.Helper()
	idp := newIdP(t)
	a := idp.Assertion(start, audience, recipient)
	a.OneTimeUse = true
	xml := a.XML()
	for name, edit := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(xml, edit[0], edit[1], 1)
			if changed == xml {
				t.Fatal("nothing was changed")
			}
			mustRefuse(t, signed(t, idp, changed, fake.Form{}), idp.Certificate, codes...)
		})
	}
}

func TestF233DocumentTypesEntitiesAndInclusionsAreRefused(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	genuine := signed(t, idp, idp.Assertion(start, audience, recipient).XML(), fake.Form{})
	inName := func(s string) string { return strings.Replace(genuine, ">alice<", ">"+s+"<", 1) }
	for name, document := range map[string]string{
		"F233: a document type":              "<!DOCTYPE Assertion>" + genuine,
		"F233: an external entity":           `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + inName("&e;"),
		"F233: a parameter entity":           `<!DOCTYPE x [<!ENTITY % e SYSTEM "https://evil.example/x.dtd">%e;]>` + genuine,
		"F233: a billion laughs":             `<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>` + inName("&b;"),
		"F233: an external document type":    `<!DOCTYPE x PUBLIC "x" "https://evil.example/x.dtd">` + genuine,
		"F233: an entity that nobody knows":  inName("&xMARKERx;"),
		"F233: a document type inside":       inName("<!DOCTYPE x>alice"),
		"F233: a processing instruction":     "<?xml-stylesheet href='https://evil.example/x.xsl'?>" + genuine,
		"F233: an instruction inside":        inName("ali<?x y?>ce"),
		"F233: an inclusion":                 inName(`<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>`),
		"F233: CDATA":                        inName("<![CDATA[alice]]>"),
		"F233: XML 1.1":                      `<?xml version="1.1"?>` + genuine,
		"F233: another encoding":             `<?xml version="1.0" encoding="UTF-7"?>` + genuine,
		"F233: two declarations":             `<?xml version="1.0"?><?xml version="1.0"?>` + genuine,
		"F233: space before the declaration": ` <?xml version="1.0"?>` + genuine,
		"F233: a byte order mark":            "\xEF\xBB\xBF" + genuine,
		"F233: UTF-16":                       "\xFF\xFE<\x00",
		"F233: bytes that are not UTF-8":     inName("ali\xffce"),
		"F233: an overlong form":             inName("ali\xc0\xbcce"),
		"F233: a null character":             inName("alice\x00"),
		"F233: a null character by number":   inName("alice&#0;"),
		"F233: a surrogate by number":        inName("alice&#xD800;"),
		"F233: a number that is none":        inName("alice&#x;"),
		"F233: a number beyond Unicode":      inName("alice&#x110000;"),
		"F233: an ampersand":                 inName("alice & bob"),
		"F233: the end of CDATA":             inName("alice]]>"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, document, idp.Certificate, saml.BadXML, saml.TooLarge)
		})
	}
}

func TestF232CommentsInsideNamesAreRefused(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	a := idp.Assertion(start, audience, recipient)
	a.NameID = "admin@corp.example.evil.example"
	genuine := signed(t, idp, a.XML(), fake.Form{})
	for name, edit := range map[string][2]string{
		"F232: a comment in the NameID":         {"admin@corp.example.evil", "admin@corp.example<!---->.evil"},
		"F232: a comment before the NameID":     {">admin@", "><!--x-->admin@"},
		"F232: a comment in an audience":        {">" + audience, "><!-- -->" + audience},
		"F232: a comment in the issuer":         {entityID + "<", entityID + "<!---->.evil<"},
		"F232: a comment in an attribute":       {"alice@corp.example", "alice@corp.example<!---->.evil"},
		"F232: an element in the NameID":        {"admin@corp.example.evil", "admin@corp.example<saml:x/>.evil"},
		"F232: a comment outside the root":      {"<saml:Assertion", "<!-- --><saml:Assertion"},
		"F232: a comment that does not end":     {"admin@", "<!--admin@"},
		"F232: a comment in the digest's value": {"<ds:DigestValue>", "<ds:DigestValue><!-- AAAA -->"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(genuine, edit[0], edit[1], 1)
			if changed == genuine {
				t.Fatal("nothing was changed")
			}
			mustRefuse(t, changed, idp.Certificate, saml.BadXML, saml.BadSignature)
		})
	}
}

func TestF234WhatTwoParsersWouldReadDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	refusedThoughSigned(t, map[string][2]string{
		"F234: a prefix with two meanings":                                 {"<saml:Subject>", `<saml:Subject xmlns:saml="urn:evil">`},
		"F234: a prefix that is not declared":                              {"<saml:Subject>", `<saml:Subject evil:x="1">`},
		"F234: an element with such a prefix":                              {"<saml:OneTimeUse></saml:OneTimeUse>", "<evil:OneTimeUse></evil:OneTimeUse>"},
		"F234: a prefix outside its element":                               {"<saml:Subject>", `<x:a xmlns:x="urn:x"></x:a><x:b></x:b><saml:Subject>`},
		"F234: an element without a namespace":                             {"<saml:Subject>", "<Subject></Subject><saml:Subject>"},
		"F234: a namespace that is empty":                                  {"<saml:Subject>", `<saml:Subject xmlns="">`},
		"F234: a namespace that is relative":                               {"<saml:Subject>", `<saml:Subject xmlns:x="evil">`},
		"F234: a relative namespace, two dots":                             {"<saml:Subject>", `<saml:Subject xmlns:x="../evil">`},
		"F234: the prefix xml, declared":                                   {"<saml:Subject>", `<saml:Subject xmlns:xml="http://www.w3.org/XML/1998/namespace">`},
		"F234: the prefix xmlns, declared":                                 {"<saml:Subject>", `<saml:Subject xmlns:xmlns="urn:x">`},
		"F234: a reserved prefix":                                          {"<saml:Subject>", `<saml:Subject xmlns:XmL2="urn:x">`},
		"F234: another prefix for XML's namespace":                         {"<saml:Subject>", `<saml:Subject xmlns:x="http://www.w3.org/XML/1998/namespace">`},
		"F234: xml:base":                                                   {"<saml:Subject>", `<saml:Subject xml:base="https://evil.example">`},
		"F234: two colons":                                                 {"<saml:Subject>", "<saml:a:b></saml:a:b><saml:Subject>"},
		"F234: a colon before the name":                                    {"<saml:Subject>", "<:Subject></:Subject><saml:Subject>"},
		"F234: a colon after the name":                                     {"<saml:Subject>", "<saml:></saml:><saml:Subject>"},
		"F234: a name that is not ASCII":                                   {"<saml:Subject>", "<saml:Sübject></saml:Sübject><saml:Subject>"},
		"F234: an attribute that comes twice":                              {"<saml:Subject>", `<saml:Subject x="1" x="2">`},
		"F234: one attribute under two prefixes":                           {"<saml:Subject>", `<saml:Subject xmlns:a="urn:x" xmlns:b="urn:x" a:y="1" b:y="2">`},
		"F234: a line end in an attribute":                                 {`Recipient="`, "Recipient=\"\n"},
		"F234: a line end in an attribute by number":                       {`Recipient="`, "Recipient=\"&#10;"},
		"F234: a tab in an attribute":                                      {`Recipient="`, "Recipient=\"\t"},
		"F234: a tag in an attribute":                                      {`Recipient="`, "Recipient=\"<"},
		"F234: an attribute without quotes":                                {`Version="2.0"`, "Version=2.0"},
		"F234: an attribute without a value":                               {`Version="2.0"`, `Version="2.0" x`},
		"F234: attributes side by side":                                    {`" IssueInstant`, `"IssueInstant`},
		"F234: an end tag for another":                                     {"</saml:Subject>", "</saml:subject>"},
		"F234: an attribute with a prefix and the name of one that counts": {"<saml:Attribute Name=", `<saml:Attribute xmlns:a="urn:x" a:Name="admin" Nome=`},
		"F234: text between elements":                                      {"<saml:Subject>", "evil<saml:Subject>"},
		"F234: one more attribute on the assertion":                        {` Version="2.0"`, ` Version="2.0" x="1"`},
	}, saml.BadXML, saml.BadStructure, saml.BadSignature)
}

func TestF238AudienceAndRecipientAreThere(t *testing.T) {
	t.Parallel()
	restriction := "<saml:AudienceRestriction><saml:Audience>" + audience + "</saml:Audience></saml:AudienceRestriction>"
	refusedThoughSigned(t, map[string][2]string{
		"F238: no audience restriction":          {restriction, ""},
		"F238: an empty audience restriction":    {restriction, "<saml:AudienceRestriction></saml:AudienceRestriction>"},
		"F238: two audience restrictions":        {restriction, restriction + restriction},
		"F238: an empty audience":                {">" + audience + "<", "><"},
		"F238: an audience with space around it": {">" + audience + "<", "> " + audience + "<"},
		"F238: no recipient":                     {` Recipient="` + recipient + `"`, ""},
		"F238: an empty recipient":               {` Recipient="` + recipient + `"`, ` Recipient=""`},
		"F238: no conditions":                    {"saml:Conditions", "saml:conditions"},
		"F238: something else than an audience":  {"<saml:Audience>", "<saml:Issuer></saml:Issuer><saml:Audience>"},
	}, saml.BadStructure, saml.BadXML)
}

func TestF239TimesConfirmationAndConditionsAreUnderstood(t *testing.T) {
	t.Parallel()
	end := fake.Time(start.Add(3600e9))
	refusedThoughSigned(t, map[string][2]string{
		"F239: no NotOnOrAfter in the confirmation": {`Data NotOnOrAfter="` + end + `"`, "Data"},
		"F239: a time that is none":                 {`Data NotOnOrAfter="` + end, `Data NotOnOrAfter="` + "tomorrow"},
		"F239: a time without a zone":               {`Data NotOnOrAfter="` + end, `Data NotOnOrAfter="` + strings.TrimSuffix(end, "Z")},
		"F239: a time in another zone":              {`Data NotOnOrAfter="` + end, `Data NotOnOrAfter="` + strings.TrimSuffix(end, "Z") + "+01:00"},
		"F239: a time in a condition that is none":  {`Conditions NotBefore="`, `Conditions NotBefore="x`},
		"F239: an empty time":                       {`Conditions NotBefore="` + fake.Time(start), `Conditions NotBefore="`},
		"F239: holder of key":                       {"cm:bearer", "cm:holder-of-key"},
		"F239: sender vouches":                      {"cm:bearer", "cm:sender-vouches"},
		"F239: no method":                           {` Method="` + fake.Bearer + `"`, ""},
		"F239: no confirmation":                     {"saml:SubjectConfirmation Method", "saml:subjectConfirmation Method"},
		"F239: two confirmations":                   {"</saml:Subject>", `<saml:SubjectConfirmation Method="` + fake.Bearer + `"></saml:SubjectConfirmation></saml:Subject>`},
		"F239: a confirmation without data":         {`<saml:SubjectConfirmationData NotOnOrAfter="` + end + `" Recipient="` + recipient + `"></saml:SubjectConfirmationData>`, ""},
		"F239: a key in the confirmation":           {"</saml:SubjectConfirmationData>", "<saml:x></saml:x></saml:SubjectConfirmationData>"},
		"F239: another subject in the confirmation": {"<saml:SubjectConfirmationData", "<saml:NameID>bob</saml:NameID><saml:SubjectConfirmationData"},
		"F239: a proxy restriction":                 {"<saml:OneTimeUse>", `<saml:ProxyRestriction Count="0"></saml:ProxyRestriction><saml:OneTimeUse>`},
		"F239: a condition that nobody knows":       {"<saml:OneTimeUse>", "<saml:Condition></saml:Condition><saml:OneTimeUse>"},
		"F239: OneTimeUse twice":                    {"<saml:OneTimeUse>", "<saml:OneTimeUse></saml:OneTimeUse><saml:OneTimeUse>"},
		"F239: OneTimeUse with content":             {"<saml:OneTimeUse>", "<saml:OneTimeUse>no"},
		"a subject without a name":                  {">alice<", "><"},
		"a subject with space around its name":      {">alice<", ">alice <"},
		"a subject with a line end in its name":     {">alice<", ">ali\nce<"},
		"two names":                                 {"</saml:NameID>", "</saml:NameID><saml:NameID>bob</saml:NameID>"},
		"another version":                           {`Version="2.0"`, `Version="1.1"`},
		"no time of issue":                          {`IssueInstant="`, `IssuedInstant="`},
		"an issuer that is no entity":               {"<saml:Issuer>", `<saml:Issuer Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">`},
		"two authentication statements":             {"<saml:AttributeStatement>", `<saml:AuthnStatement AuthnInstant="` + end + `"><saml:AuthnContext></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement>`},
		"two classes of one authentication":         {"</saml:AuthnContext>", "<saml:AuthnContextClassRef>x</saml:AuthnContextClassRef></saml:AuthnContext>"},
		"a statement that nobody knows":             {"<saml:AttributeStatement>", "<saml:AuthzDecisionStatement></saml:AuthzDecisionStatement><saml:AttributeStatement>"},
		"advice":                                    {"<saml:AttributeStatement>", "<saml:Advice></saml:Advice><saml:AttributeStatement>"},
		"F234: two attributes with one name":        {`Name="mail"`, `Name="groups"`},
		"an attribute without a name":               {` Name="mail"`, ""},
		"a value with elements":                     {"<saml:AttributeValue>", "<saml:AttributeValue><saml:NameID></saml:NameID>"},
		"a value that is nil":                       {"<saml:AttributeValue>", `<saml:AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true">`},
		"something else than a value":               {"<saml:AttributeValue>", "<saml:Value></saml:Value><saml:AttributeValue>"},
	}, saml.BadStructure, saml.BadXML)
}

func TestTimesNarrow(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	xml := idp.Assertion(start, audience, recipient).XML()
	for name, test := range map[string]struct {
		old, new        string
		before, expires string
	}{
		"as they are":                   {"x", "x", "09:00:00", "10:00:00"},
		"the confirmation ends earlier": {`Data NotOnOrAfter="2026-11-22T10`, `Data NotOnOrAfter="2026-11-22T09`, "09:00:00", "09:00:00"},
		"the conditions end earlier":    {`Z" NotOnOrAfter="2026-11-22T10:00`, `Z" NotOnOrAfter="2026-11-22T09:30`, "09:00:00", "09:30:00"},
		"the session ends earlier":      {`SessionIndex="s1"`, `SessionIndex="s1" SessionNotOnOrAfter="2026-11-22T09:20:00.999Z"`, "09:00:00", "09:20:00"},
		"the confirmation begins later": {`Data NotOnOrAfter`, `Data NotBefore="2026-11-22T09:05:00Z" NotOnOrAfter`, "09:05:00", "10:00:00"},
		"the conditions do not say":     {` NotBefore="2026-11-22T09:00:00Z" NotOnOrAfter="2026-11-22T10:00:00Z"`, "", "00:00:00", "10:00:00"},
	} {
		t.Run("F239: "+name, func(t *testing.T) {
			t.Parallel()
			a, err := verify(signed(t, idp, strings.Replace(xml, test.old, test.new, 1), fake.Form{}), idp.Certificate)
			if err != nil {
				t.Fatal(err)
			}
			if got := a.NotBefore.Format("15:04:05") + " " + a.ExpiresAt.Format("15:04:05"); got != test.before+" "+test.expires {
				t.Error(got)
			}
		})
	}
}

func TestF237EncryptionIsRefused(t *testing.T) {
	t.Parallel()
	refusedThoughSigned(t, map[string][2]string{
		"F237: an encrypted name":         {"<saml:NameID ", "<saml:EncryptedID></saml:EncryptedID><saml:NameID "},
		"F237: an encrypted attribute":    {"<saml:AttributeStatement>", "<saml:AttributeStatement><saml:EncryptedAttribute></saml:EncryptedAttribute>"},
		"F237: data of another namespace": {"<saml:AttributeValue>", `<saml:AttributeValue><x:EncryptedData xmlns:x="http://www.w3.org/2001/04/xmlenc#"></x:EncryptedData>`},
		"F237: an encrypted assertion":    {"<saml:Subject>", "<saml:EncryptedAssertion></saml:EncryptedAssertion><saml:Subject>"},
	}, saml.Encrypted)
	t.Run("F237: an encrypted assertion is told before anything is looked at", func(t *testing.T) {
		t.Parallel()
		mustRefuse(t, `<saml:EncryptedAssertion xmlns:saml="`+fake.NSAssertion+`"/>`, newIdP(t).Certificate, saml.Encrypted)
	})
}

func TestF240OversizedXMLIsRefused(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	genuine := signed(t, idp, idp.Assertion(start, audience, recipient).XML(), fake.Form{})
	attribute := func(content string) string {
		return strings.Replace(genuine, "<saml:AttributeStatement>", "<saml:AttributeStatement>"+content, 1)
	}
	open := `<x:a xmlns:x="urn:x">`
	prefixes := ""
	for i := range 20 {
		prefixes += fmt.Sprintf(` xmlns:p%d="urn:x"`, i)
	}
	for name, document := range map[string]string{
		"F240: 300 KiB of text":            strings.Replace(genuine, ">alice<", ">"+strings.Repeat("a", 300<<10)+"<", 1),
		"F240: 1 MB of attributes":         strings.Replace(genuine, "<saml:Subject", "<saml:Subject"+strings.Repeat(` a="b"`, 180_000), 1),
		"F240: 33 attributes":              strings.Replace(genuine, "<saml:Subject", "<saml:Subject"+strings.Repeat(` a="b"`, 33), 1),
		"F240: depth 10,000":               attribute(strings.Repeat(open, 10_000) + strings.Repeat("</x:a>", 10_000)),
		"F240: depth 33":                   attribute(strings.Repeat(open, 33) + strings.Repeat("</x:a>", 33)),
		"F240: 5,000 elements":             attribute(strings.Repeat(`<saml:a/>`, 5000)),
		"F240: 17 prefixes":                strings.Replace(genuine, "<saml:Subject>", "<saml:Subject"+prefixes+">", 1),
		"F240: a long name":                attribute("<saml:" + strings.Repeat("a", 200) + "/>"),
		"F240: deflated, as in a redirect": "\x78\x9c\x4b\x4c\x04\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, document, idp.Certificate, saml.TooLarge, saml.BadXML)
		})
	}
	for name, edit := range map[string]func(*fake.Assertion){
		"F240: 300 attributes": func(a *fake.Assertion) {
			for i := range 300 {
				a.Attributes = append(a.Attributes, fake.Attribute{Name: fmt.Sprint(i), Values: []string{"x"}})
			}
		},
		"F240: 9 KiB of a value":     func(a *fake.Assertion) { a.Attributes[0].Values[0] = strings.Repeat("a", 9<<10) },
		"F240: a name of 2 KiB":      func(a *fake.Assertion) { a.NameID = strings.Repeat("a", 2<<10) },
		"F240: 40 audiences":         func(a *fake.Assertion) { a.Audiences = strings.Split(strings.Repeat("a ", 39)+"a", " ") },
		"F240: an index of 2 KiB":    func(a *fake.Assertion) { a.SessionIndex = strings.Repeat("a", 2<<10) },
		"F240: a recipient of 2 KiB": func(a *fake.Assertion) { a.Recipient = strings.Repeat("a", 2<<10) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := idp.Assertion(start, audience, recipient)
			edit(&a)
			mustRefuse(t, signed(t, idp, a.XML(), fake.Form{}), idp.Certificate, saml.TooLarge, saml.BadStructure)
		})
	}
	t.Run("F240: the caller's bound", func(t *testing.T) {
		t.Parallel()
		if _, err := saml.Parse(fake.Encode(genuine), len(genuine)); err != nil {
			t.Error(err)
		}
		_, err := saml.Parse(fake.Encode(genuine), len(genuine)-1)
		refusedWith(t, nil, err, saml.TooLarge)
	})
}
