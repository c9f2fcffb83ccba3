// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml

import (
	"strings"
	"testing"
)

// Other checks would refuse most of these as well: each is held to its own words.
func TestF229ThereIsOneAssertionAndOneSignature(t *testing.T) {
	t.Parallel()
	in := func(content string) string {
		return `<s:Assertion xmlns:s="` + nsAssertion + `" xmlns:d="` + nsSignature + `" ID="_1"><s:Issuer>x</s:Issuer><d:Signature/>` + content + `</s:Assertion>`
	}
	for document, want := range map[string]string{
		in(""):                              "the signature has other elements",
		in("<d:Signature/>"):                "more than one signature",
		in("<s:x><s:signature/></s:x>"):     "more than one signature",
		in("<s:Assertion/>"):                "an assertion inside",
		in("<s:x><d:ASSERTION/></s:x>"):     "an assertion inside",
		in("<s:AssertionIDRef/>"):           "an assertion inside",
		in("<s:AssertionURIRef/>"):          "an assertion inside",
		in("<s:EncryptedID/>"):              "a part of the assertion is encrypted",
		in("<s:x><d:encrypteddata/></s:x>"): "a part of the assertion is encrypted",

		`<s:EncryptedAssertion xmlns:s="` + nsAssertion + `"/>`:                                         "the assertion is encrypted",
		`<p:Response xmlns:p="` + nsProtocol + `">` + in("") + `</p:Response>`:                          "not a SAML 2.0 assertion",
		`<s:Assertion xmlns:s="urn:oasis:names:tc:SAML:1.0:assertion"/>`:                                "not a SAML 2.0 assertion",
		`<Assertion xmlns="` + nsAssertion + `"/>`:                                                      "does not begin with Issuer and Signature",
		`<s:Assertion xmlns:s="` + nsAssertion + `"><s:Subject/><s:Issuer>x</s:Issuer></s:Assertion>`:   "does not begin with Issuer and Signature",
		`<s:Assertion xmlns:s="` + nsAssertion + `"><s:Issuer>x</s:Issuer><s:Signature/></s:Assertion>`: "does not begin with Issuer and Signature",
		strings.Replace(in(""), ` ID="_1"`, ` ID="1"`, 1):                                               "the assertion has no ID",
		strings.Replace(in(""), ` ID="_1"`, "", 1):                                                      "the assertion has no ID",
		strings.Replace(in(""), `<s:Issuer>`, `<s:Issuer Format="urn:x">`, 1):                           "the Issuer is not an entity ID",
		strings.Replace(in(""), `<s:Issuer>x`, `<s:Issuer> x`, 1):                                       "a name that is empty",
		strings.Replace(in(""), `<s:Issuer>x`, `<s:Issuer>`, 1):                                         "a name that is empty",
	} {
		if d, err := parse([]byte(document), DefaultBytes); d != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s: %v, want %q", document, err, want)
		}
	}
}
