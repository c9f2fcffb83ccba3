// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/beevik/etree"
)

const (
	// maxText bounds a name; 1,024 bytes is what a TrustedIssuer can compare with.
	maxText = 1024
	// maxValue bounds an attribute's value.
	maxValue = 8 << 10
	// maxNames bounds the attributes, which are what claims are made of.
	maxNames = 256
	// maxAudiences is as many as a TrustedIssuer has.
	maxAudiences = 32
)

// factsOf reads an assertion whose signature is gone and verified. What is not
// known here is refused: a condition that is not understood is one that may not
// hold (saml-core-2.0-os, 2.5.1.1).
func factsOf(root *etree.Element) (*Assertion, error) {
	if !is(root, nsAssertion, "Assertion") || !onlyAttributes(root, "ID", "IssueInstant", "Version") || !onlySpace(root) {
		return nil, refuse(BadStructure, "the assertion has other attributes than ID, IssueInstant and Version, or text")
	}
	if attr(root, "Version", "") != "2.0" {
		return nil, refuse(BadStructure, "the assertion is not of version 2.0")
	}
	f := &facts{a: &Assertion{ID: attr(root, "ID", "")}}
	if !isNCName(f.a.ID) {
		return nil, refuse(BadStructure, "the assertion has no ID")
	}
	var err error
	if f.a.IssuedAt, err = instant(root, "IssueInstant"); err != nil {
		return nil, err
	}
	readers := []reader{
		{"Issuer", true, f.issuer},
		{"Subject", true, f.subject},
		{"Conditions", true, f.conditions},
		{"AuthnStatement", false, f.authentication},
		{"AttributeStatement", false, f.attributes},
	}
	if err := each(root, readers, "the assertion has not exactly Issuer, Signature, Subject, Conditions and at most one AuthnStatement and AttributeStatement"); err != nil {
		return nil, err
	}
	return f.a, nil
}

type facts struct{ a *Assertion }

// reader reads one kind of child.
type reader struct {
	tag      string
	required bool
	read     func(*etree.Element) error
}

// each gives every child to its reader, and refuses a child that comes twice,
// that nobody reads, or that is missing.
func each(el *etree.Element, readers []reader, otherwise string) error {
	seen := map[string]bool{}
	for _, child := range el.ChildElements() {
		i := slices.IndexFunc(readers, func(r reader) bool { return is(child, nsAssertion, r.tag) })
		if i < 0 || seen[child.Tag] {
			return refuse(BadStructure, otherwise)
		}
		seen[child.Tag] = true
		if err := readers[i].read(child); err != nil {
			return err
		}
	}
	for _, r := range readers {
		if r.required && !seen[r.tag] {
			return refuse(BadStructure, otherwise)
		}
	}
	return nil
}

func (f *facts) issuer(el *etree.Element) (err error) {
	f.a.Issuer, err = issuerOf(el)
	return err
}

func issuerOf(el *etree.Element) (string, error) {
	format := attr(el, "Format", formatEntity)
	if format != formatEntity || !onlyAttributes(el, "Format") {
		return "", refuse(BadStructure, "the Issuer is not an entity ID")
	}
	return word(el)
}

func (f *facts) subject(el *etree.Element) error {
	if !onlySpace(el) || !onlyAttributes(el) {
		return refuse(BadStructure, "the Subject has attributes or text")
	}
	return each(el, []reader{
		{"NameID", true, f.nameID},
		{"SubjectConfirmation", true, f.confirmation},
	}, "the Subject has not exactly one NameID and one SubjectConfirmation")
}

func (f *facts) nameID(el *etree.Element) (err error) {
	if !onlyAttributes(el, "Format", "NameQualifier", "SPNameQualifier", "SPProvidedID") {
		return refuse(BadStructure, "the NameID has unknown attributes")
	}
	f.a.NameID = NameID{
		Format:          attr(el, "Format", FormatUnspecified),
		NameQualifier:   attr(el, "NameQualifier", ""),
		SPNameQualifier: attr(el, "SPNameQualifier", ""),
	}
	f.a.NameID.Value, err = word(el)
	return err
}

// confirmation reads the one way in which the subject is confirmed. Address and
// InResponseTo are not looked at: who presents the assertion has authenticated,
// and there was no request.
func (f *facts) confirmation(el *etree.Element) error {
	if attr(el, "Method", "") != bearer || !onlyAttributes(el, "Method") {
		return refuse(BadStructure, "the SubjectConfirmation's method is not bearer")
	}
	data := el.ChildElements()
	if len(data) != 1 || !is(data[0], nsAssertion, "SubjectConfirmationData") || !onlySpace(el) {
		return refuse(BadStructure, "the SubjectConfirmation has not exactly one SubjectConfirmationData")
	}
	if !onlyAttributes(data[0], "Recipient", "NotOnOrAfter", "NotBefore", "InResponseTo", "Address") || !onlySpace(data[0]) || len(data[0].ChildElements()) > 0 {
		return refuse(BadStructure, "the SubjectConfirmationData has more than Recipient, NotOnOrAfter, NotBefore, InResponseTo and Address")
	}
	f.a.Recipient = attr(data[0], "Recipient", "")
	if f.a.Recipient == "" || len(f.a.Recipient) > maxText {
		return refuse(BadStructure, "the SubjectConfirmationData has no Recipient")
	}
	if !has(data[0], "NotOnOrAfter") {
		return refuse(BadStructure, "the SubjectConfirmationData has no NotOnOrAfter")
	}
	return f.within(data[0])
}

func (f *facts) conditions(el *etree.Element) error {
	if !onlyAttributes(el, "NotBefore", "NotOnOrAfter") || !onlySpace(el) {
		return refuse(BadStructure, "the Conditions have other attributes than NotBefore and NotOnOrAfter")
	}
	if err := f.within(el); err != nil {
		return err
	}
	return each(el, []reader{
		{"AudienceRestriction", true, f.audiences},
		{"OneTimeUse", false, f.once},
	}, "the Conditions are not exactly one AudienceRestriction and at most one OneTimeUse")
}

// within narrows the time in which the assertion holds.
func (f *facts) within(el *etree.Element) error {
	if has(el, "NotBefore") {
		t, err := instant(el, "NotBefore")
		if err != nil {
			return err
		}
		if t.After(f.a.NotBefore) {
			f.a.NotBefore = t
		}
	}
	for _, name := range []string{"NotOnOrAfter", "SessionNotOnOrAfter"} {
		if !has(el, name) {
			continue
		}
		t, err := instant(el, name)
		if err != nil {
			return err
		}
		if f.a.ExpiresAt.IsZero() || t.Before(f.a.ExpiresAt) {
			f.a.ExpiresAt = t
		}
	}
	return nil
}

func (f *facts) audiences(el *etree.Element) error {
	children := el.ChildElements()
	if len(children) == 0 || len(children) > maxAudiences || !onlySpace(el) || !onlyAttributes(el) {
		return refuse(BadStructure, "the AudienceRestriction has no audience, too many, or text")
	}
	for _, child := range children {
		if !is(child, nsAssertion, "Audience") || !onlyAttributes(child) {
			return refuse(BadStructure, "the AudienceRestriction has something else than audiences")
		}
		audience, err := word(child)
		if err != nil {
			return err
		}
		f.a.Audiences = append(f.a.Audiences, audience)
	}
	return nil
}

func (f *facts) once(el *etree.Element) error {
	if len(el.Child) > 0 || !onlyAttributes(el) {
		return refuse(BadStructure, "OneTimeUse is not empty")
	}
	f.a.OneTimeUse = true
	return nil
}

func (f *facts) authentication(el *etree.Element) (err error) {
	if !onlyAttributes(el, "AuthnInstant", "SessionIndex", "SessionNotOnOrAfter") || !onlySpace(el) {
		return refuse(BadStructure, "the AuthnStatement has other attributes than AuthnInstant, SessionIndex and SessionNotOnOrAfter")
	}
	if f.a.AuthenticatedAt, err = instant(el, "AuthnInstant"); err != nil {
		return err
	}
	if f.a.SessionIndex = attr(el, "SessionIndex", ""); len(f.a.SessionIndex) > maxText {
		return refuse(TooLarge, "the SessionIndex is too long")
	}
	if err := f.within(el); err != nil {
		return err
	}
	return each(el, []reader{
		{"SubjectLocality", false, func(*etree.Element) error { return nil }},
		{"AuthnContext", true, f.context},
	}, "the AuthnStatement has not exactly one AuthnContext and at most one SubjectLocality")
}

// context reads the class of an authentication; how it was declared in detail,
// and by whom else, is not looked at.
func (f *facts) context(el *etree.Element) error {
	for _, child := range el.ChildElements() {
		if !is(child, nsAssertion, "AuthnContextClassRef") {
			continue
		}
		if f.a.AuthnContext != "" {
			return refuse(BadStructure, "the AuthnContext has two classes")
		}
		var err error
		if f.a.AuthnContext, err = word(child); err != nil {
			return err
		}
	}
	return nil
}

func (f *facts) attributes(el *etree.Element) error {
	children := el.ChildElements()
	if len(children) > maxNames {
		return refuse(TooLarge, "more than 256 attributes")
	}
	if !onlySpace(el) || !onlyAttributes(el) {
		return refuse(BadStructure, "the AttributeStatement has attributes or text")
	}
	seen := map[string]bool{}
	for _, child := range children {
		if !is(child, nsAssertion, "Attribute") || !onlySpace(child) {
			return refuse(BadStructure, "the AttributeStatement has something else than attributes")
		}
		attribute := Attribute{Name: attr(child, "Name", ""), NameFormat: attr(child, "NameFormat", "")}
		if attribute.Name == "" || len(attribute.Name) > maxText || seen[attribute.Name] {
			return refuse(BadStructure, "an attribute without a name, or two with one name")
		}
		seen[attribute.Name] = true
		for _, value := range child.ChildElements() {
			text, ok := textOf(value)
			if !ok || !is(value, nsAssertion, "AttributeValue") || isNil(value) {
				return refuse(BadStructure, "an attribute's value is nil or has elements; only text is read")
			}
			if len(text) > maxValue {
				return refuse(TooLarge, "an attribute's value is longer than 8 KiB")
			}
			attribute.Values = append(attribute.Values, text)
		}
		f.a.Attributes = append(f.a.Attributes, attribute)
	}
	return nil
}

func isNil(el *etree.Element) bool {
	return slices.ContainsFunc(el.Attr, func(a etree.Attr) bool { return a.Key == "nil" && a.Value != "false" && a.Value != "0" })
}

// word reads text that names something. It is taken as it is or not at all:
// trimming it would make two names one.
func word(el *etree.Element) (string, error) {
	text, ok := textOf(el)
	if !ok || text == "" || len(text) > maxText || strings.TrimSpace(text) != text || strings.ContainsFunc(text, unicode.IsControl) {
		return "", refuse(BadStructure, "a name that is empty, too long, has elements or control characters inside, or space around it")
	}
	return text, nil
}

// instant reads a time in UTC, which is the only zone of SAML (saml-core-2.0-os,
// 1.3.3).
func instant(el *etree.Element, name string) (time.Time, error) {
	text := attr(el, name, "")
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || !strings.HasSuffix(text, "Z") {
		return time.Time{}, refuse(BadStructure, "a time that is missing or not in UTC, as 2006-01-02T15:04:05Z")
	}
	return t, nil
}
