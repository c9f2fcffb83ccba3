// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"fmt"
	"strings"
)

// Wrapped are the signature wrapping attacks (XSW, "On Breaking SAML: Be Whoever
// You Want to Be", 2012, and what was found since) on a genuine assertion: each
// leaves the signed bytes somewhere in a document whose obvious reading is
// another, which says evil. The names are the attacks'; the first eight are
// numbered as tools do.
func (i *IdP) Wrapped(a Assertion, evil string) (map[string]string, error) {
	original := a.XML()
	signature, err := i.Signature(original, Form{})
	if err != nil {
		return nil, err
	}
	signed := Put(original, signature)
	e := a
	e.NameID = evil
	sameID := e.XML()
	e.ID = "_evil"
	otherID := e.XML()
	object := func(content string) string {
		return strings.Replace(signature, "</ds:Signature>", "<ds:Object>"+content+"</ds:Object></ds:Signature>", 1)
	}
	inside := func(outer, inner string) string {
		return strings.Replace(outer, "</saml:Assertion>", inner+"</saml:Assertion>", 1)
	}
	advice := func(outer, inner string) string {
		return strings.Replace(outer, "</saml:Conditions>", "</saml:Conditions><saml:Advice>"+inner+"</saml:Advice>", 1)
	}
	response := func(content ...string) string {
		return `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r" Version="2.0">` + strings.Join(content, "") + `</samlp:Response>`
	}
	return map[string]string{
		"XSW1: the signed response inside the signature of an evil one":       response(object(response(original)), otherID),
		"XSW2: the signed response before the signature's place":              response(signature, response(original), otherID),
		"XSW3: an evil assertion before the signed one":                       response(otherID, signed),
		"XSW4: an evil assertion around the signed one":                       inside(otherID, signed),
		"XSW5: an evil assertion with the signature, the signed one after it": inside(Put(otherID, signature), original),
		"XSW6: the signed one inside the signature of an evil one":            Put(otherID, strings.Replace(signature, "</ds:SignatureValue>", "</ds:SignatureValue>"+original, 1)),
		"XSW7: an evil assertion in extensions":                               response("<samlp:Extensions>"+otherID+"</samlp:Extensions>", signed),
		"XSW8: the signed one in an object of an evil one's signature":        Put(otherID, object(original)),
		"XSW9: the signed one with the evil one's ID":                         inside(Put(sameID, signature), original),
		"the signed one in the advice of an evil one":                         advice(otherID, signed),
		"the signature in an evil one, the signed one in its advice":          advice(Put(otherID, signature), original),
		"the evil one in the advice of the signed one":                        advice(signed, otherID),
		"an evil assertion after the signed one":                              response(signed, otherID),
		"an evil assertion with the same ID":                                  Put(sameID, signature),
		"two roots":                                                           signed + otherID,
		"two roots, the evil one first":                                       otherID + signed,
		"the unsigned assertion":                                              original,
		"an unsigned assertion in a signed response":                          response(signature, original),
		"an evil subject after the signed one": strings.Replace(signed, "</saml:Subject>",
			fmt.Sprintf("</saml:Subject><saml:Subject><saml:NameID>%s</saml:NameID></saml:Subject>", evil), 1),
		"an evil name in the signed one": strings.Replace(signed, ">"+a.NameID+"<", ">"+evil+"<", 1),
		"an evil subject inside the signature": strings.Replace(signed, "</ds:Signature>",
			fmt.Sprintf("<saml:Subject><saml:NameID>%s</saml:NameID></saml:Subject></ds:Signature>", evil), 1),
		"an evil assertion in the key info": strings.Replace(signed, "</ds:Signature>", "<ds:KeyInfo>"+otherID+"</ds:KeyInfo></ds:Signature>", 1),
		"two signatures":                    Put(signed, signature),
		"the signature at the end":          inside(original, signature),
	}, nil
}
