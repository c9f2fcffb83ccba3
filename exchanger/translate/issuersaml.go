// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/saml"
)

// samlIssuer reads an identity provider whose assertions are accepted. Its keys are
// a key set like every other: made of its certificates, here or by whoever fetches
// its metadata.
func (w *world) samlIssuer(i *issuer, in *v1alpha1.SAMLIssuer) {
	i.spec.Kind, i.spec.URL = policy.IssuerSAML, in.EntityID
	i.spec.Classes = []policy.Class{policy.ClassSAML2}
	i.spec.Algorithms = []string{}
	i.exactName("spec.saml.entityID", in.EntityID)
	i.spec.Audiences = i.names("spec.saml.audiences", in.Audiences, 32)
	if len(i.spec.Audiences) == 0 {
		i.invalid("spec.saml.audiences", "expected at least one: an assertion says for whom it is")
	}
	i.spec.SAML = &policy.SAMLIssuer{Recipient: in.Recipient}
	switch {
	case in.Recipient != "":
		i.exactName("spec.saml.recipient", in.Recipient)
	case i.service != nil:
		i.spec.SAML.Recipient = i.service.spec.Issuer + "/token"
	}
	if i.spec.ForClient {
		i.invalid("spec.use", "Client is not possible here: clients do not authenticate with assertions of SAML")
	}
	rules := w.dialRules(i)
	var set members
	set.add("certificates", len(in.Certificates) > 0)
	set.add("metadataURL", in.MetadataURL != "")
	if !i.exactlyOne("spec.saml", set, "certificates and metadataURL") {
		return
	}
	if len(in.Certificates) > 0 {
		i.spec.Keys.Inline = w.samlCertificates(i, in.Certificates)
		return
	}
	w.samlMetadata(i, in.MetadataURL, rules)
}

func (w *world) samlMetadata(i *issuer, url v1alpha1.URL, rules egress.Rules) {
	w.dialled(i.object, "spec.saml.metadataURL", url, rules)
	i.spec.Keys.JWKSURL = string(url)
}

// samlCertificates makes a key set of certificates. One that is written twice is
// there once.
func (w *world) samlCertificates(i *issuer, list []v1alpha1.PEM) string {
	const field = "spec.saml.certificates"
	i.atMost(field, len(list), 8)
	var certificates []*x509.Certificate
	for n, block := range list[:min(len(list), 8)] {
		c, err := saml.ParseCertificates([]string{string(block)})
		if err != nil {
			i.invalid(fmt.Sprintf("%s[%d]", field, n), "expected one PEM block CERTIFICATE, with an RSA key of 2048 to 8192 bits, or an ECDSA key on P-256 or P-384")
			return ""
		}
		certificates = append(certificates, c...)
	}
	slices.SortFunc(certificates, func(a, b *x509.Certificate) int { return bytes.Compare(a.Raw, b.Raw) })
	text, err := saml.KeySet(slices.CompactFunc(certificates, func(a, b *x509.Certificate) bool { return a.Equal(b) }))
	if err != nil {
		i.invalid(field, "the keys of the certificates cannot be read")
		return ""
	}
	return w.keySet(i.object, field, text)
}

// samlAssertion makes facts of what an assertion would say. Its issuer has no other
// tokens, so an example need not say what it is.
func (x *example) samlAssertion(i *policy.TrustedIssuer) (*policy.Token, *policy.Refusal) {
	if x.given.TokenType != "" && x.class != policy.ClassSAML2 && x.class != policy.ClassAccessToken {
		return nil, &policy.Refusal{Reason: policy.TokenClass, Check: "subjectToken", Detail: "tokens of issuer " + i.Name() + " are of class SAML2"}
	}
	x.class = policy.ClassSAML2
	t, ref := i.MapAssertion(policy.Presented{Claims: x.claims})
	return settled(i, t, ref)
}
