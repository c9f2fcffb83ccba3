// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
)

// SubjectOnce is the check that a subject token which may be used once was not used
// before. Its refusals are about the token, and those of a client's own assertion are
// not.
const SubjectOnce = "subjectOnce"

// SAMLGrant is what only an assertion says: for whom it is, and what its one
// target wants to know of the subject.
type SAMLGrant struct {
	EntityID     string
	Recipient    string
	NameIDFormat string
	// Attributes are the target's, sorted by name; their values are strings and
	// lists of strings. The grant's claims are attributes besides.
	Attributes []GrantedClaim
}

// addEntity makes an issuer of assertions known by its entity ID, and by nothing else:
// that may well be the URL of an issuer of tokens, because many a provider is both.
func (t *TokenService) addEntity(i *TrustedIssuer) error {
	switch {
	case i.spec.URL == "": // a suspended one whose name is another's now
	case i.spec.SAML == nil && !i.spec.Suspended:
		return fmt.Errorf("issuer %s: an issuer of assertions, without what is known of them", i.spec.Name)
	case t.byEntity[i.spec.URL] != nil:
		return fmt.Errorf("issuer %s: its entity ID is that of issuer %s", i.spec.Name, t.byEntity[i.spec.URL].spec.Name)
	default:
		t.byEntity[i.spec.URL] = i
	}
	return nil
}

// AssertionIssuer returns the trusted issuer of SAML assertions whose entity ID is
// exactly this.
func (t *TokenService) AssertionIssuer(entityID string) (*TrustedIssuer, bool) {
	i, ok := t.byEntity[entityID]
	return i, ok
}

// MapAssertion turns a verified assertion of this issuer into facts, as Map does with
// a token. Its claims are made from the assertion; that it is one is certain, and
// nothing that it says can make it anything else.
func (i *TrustedIssuer) MapAssertion(p Presented) (*Token, *Refusal) {
	if i.spec.Kind != IssuerSAML {
		return nil, deny(TokenClass, "TrustedIssuer "+i.spec.Name+" does not issue SAML assertions")
	}
	p.Class = ClassSAML2
	return i.Map(p)
}

// takesAssertions says whether the target can be given an assertion.
func (j *judging) takesAssertions() *Refusal {
	if j.request.TokenType == TypeSAML2 && j.target.client.SAML == nil {
		return deny(TokenTypeNotGranted, "spec.saml of "+j.target.client.ID+" does not say what assertions for it look like")
	}
	return nil
}

// samlAttributes evaluates what the target wants to know. Whoever asks for a
// token of another type costs nothing here.
func (j *judging) samlAttributes() *Refusal {
	if j.request.TokenType != TypeSAML2 {
		return nil
	}
	for i := range j.target.attributes {
		a := &j.target.attributes[i]
		v, err := a.program.Eval(&j.facts)
		if err != nil {
			return unable(ClaimInvalid, "saml.attributes "+a.name+" of "+j.target.client.ID+": its expression gives no value for this request: "+err.Error())
		}
		if v == nil {
			continue
		}
		if IsReservedClaim(a.name) {
			return deny(ClaimInvalid, "saml.attributes "+a.name+" of "+j.target.client.ID+" is reserved")
		}
		if _, ok := stringList(v); !ok || !fitsClaim(v, maxClaimBytes) {
			return deny(ClaimInvalid, "saml.attributes "+a.name+" of "+j.target.client.ID+" is no string or list of strings of at most 4 KiB")
		}
		j.attributes = append(j.attributes, GrantedClaim{Name: a.name, Value: v})
	}
	slices.SortFunc(j.attributes, func(a, b GrantedClaim) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// samlGrant is the assertion's part of a grant; nil for other types. An assertion
// has one recipient, so it has one target.
func (d *deciding) samlGrant(chosen []*judging) (*SAMLGrant, *Refusal) {
	if d.request.TokenType != TypeSAML2 {
		return nil, nil
	}
	if len(chosen) != 1 {
		return nil, combined(TargetsMixed, "a SAML assertion is for one target")
	}
	t := chosen[0].target.client.SAML
	return &SAMLGrant{EntityID: t.EntityID, Recipient: t.Recipient, NameIDFormat: t.NameIDFormat, Attributes: chosen[0].attributes}, nil
}

// lifetimes are the default and the most that a token of the asked type may live.
func (j *judging) lifetimes() Lifetimes {
	s := j.service.spec
	l := Lifetimes{Default: s.DefaultLifetime, Max: s.MaxLifetime}
	switch j.request.TokenType {
	case TypeSAML2:
		l = Lifetimes{Default: or(s.SAML2.Default, l.Default), Max: or(s.SAML2.Max, l.Max)}
	case TypeIDToken:
		l = Lifetimes{Default: or(s.IDToken.Default, l.Default), Max: or(s.IDToken.Max, l.Max)}
	case TypeHandover:
		l.Max = min(l.Max, maxHandover)
	case TypeAccessToken, TypeJWT, TypeRefreshToken, TypeTransaction, TypeIDJAG:
	}
	return l
}
