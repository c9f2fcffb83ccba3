// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"strings"
	"time"
)

// Assertion is what an assertion says. Make one with [IdP.Assertion] and change it.
type Assertion struct {
	ID, Issuer           string
	NameID, NameIDFormat string
	IssuedAt             time.Time
	NotBefore, ExpiresAt time.Time
	Audiences            []string
	Recipient            string
	OneTimeUse           bool
	// AuthnContext is the class of the authentication, which was at IssuedAt;
	// empty: there is no such statement.
	AuthnContext string
	SessionIndex string
	Attributes   []Attribute
}

// Attribute is one attribute and its values.
type Attribute struct {
	Name   string
	Values []string
}

// Assertion is an ordinary assertion: alice, for an hour, for audience at
// recipient.
func (i *IdP) Assertion(now time.Time, audience, recipient string) Assertion {
	return Assertion{
		ID: "_a1b2c3", Issuer: i.EntityID, NameID: "alice", NameIDFormat: Persistent,
		IssuedAt: now, NotBefore: now, ExpiresAt: now.Add(time.Hour),
		Audiences: []string{audience}, Recipient: recipient,
		AuthnContext: Password, SessionIndex: "s1",
		Attributes: []Attribute{{"mail", []string{"alice@corp.example"}}, {"groups", []string{"staff", "doctors"}}},
	}
}

// XML writes the assertion as exclusive canonicalisation would leave it.
func (a Assertion) XML() string {
	var b strings.Builder
	w := func(parts ...string) { b.WriteString(strings.Join(parts, "")) }
	w(`<saml:Assertion xmlns:saml="`, NSAssertion, `" ID="`, a.ID, `" IssueInstant="`, Time(a.IssuedAt), `" Version="2.0">`)
	w(`<saml:Issuer>`, Text(a.Issuer), `</saml:Issuer><saml:Subject>`)
	w(`<saml:NameID Format="`, a.NameIDFormat, `">`, Text(a.NameID), `</saml:NameID>`)
	w(`<saml:SubjectConfirmation Method="`, Bearer, `"><saml:SubjectConfirmationData NotOnOrAfter="`, Time(a.ExpiresAt),
		`" Recipient="`, a.Recipient, `"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>`)
	w(`<saml:Conditions NotBefore="`, Time(a.NotBefore), `" NotOnOrAfter="`, Time(a.ExpiresAt), `"><saml:AudienceRestriction>`)
	for _, audience := range a.Audiences {
		w(`<saml:Audience>`, Text(audience), `</saml:Audience>`)
	}
	w(`</saml:AudienceRestriction>`)
	if a.OneTimeUse {
		w(`<saml:OneTimeUse></saml:OneTimeUse>`)
	}
	w(`</saml:Conditions>`)
	if a.AuthnContext != "" {
		w(`<saml:AuthnStatement AuthnInstant="`, Time(a.IssuedAt), `" SessionIndex="`, a.SessionIndex, `"><saml:AuthnContext>`,
			`<saml:AuthnContextClassRef>`, a.AuthnContext, `</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`)
	}
	if len(a.Attributes) > 0 {
		w(`<saml:AttributeStatement>`)
		for _, attribute := range a.Attributes {
			w(`<saml:Attribute Name="`, Text(attribute.Name), `">`)
			for _, value := range attribute.Values {
				w(`<saml:AttributeValue>`, Text(value), `</saml:AttributeValue>`)
			}
			w(`</saml:Attribute>`)
		}
		w(`</saml:AttributeStatement>`)
	}
	w(`</saml:Assertion>`)
	return b.String()
}

// Time is a time as SAML has it.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// Text is text as canonical XML has it.
func Text(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;").Replace(s)
}
