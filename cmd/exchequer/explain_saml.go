// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"crypto/sha256"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/saml"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
)

// identifyAssertion reads a SAML assertion as the endpoint does, save that a
// signature whose key is not at hand is taken on trust, and reported so.
func (x *explainer) identifyAssertion(token string) (*policy.Token, *policy.Refusal) {
	document, err := saml.Parse(token, 0)
	if err != nil {
		return nil, &policy.Refusal{Reason: policy.TokenMalformed, Detail: "this is neither a JWT nor an assertion: " + err.Error()}
	}
	i, ok := x.service.AssertionIssuer(document.Issuer())
	switch {
	case !ok:
		return nil, &policy.Refusal{Reason: policy.IssuerUnknown, Detail: "no TrustedIssuer of the member saml has the assertion's Issuer, byte for byte"}
	case i.Spec().Suspended:
		return nil, &policy.Refusal{Reason: policy.IssuerSuspended, Detail: "TrustedIssuer " + i.Name() + " is suspended"}
	}
	said, ref := x.believe(i, document)
	if ref != nil {
		return nil, ref
	}
	if said.Recipient != i.Spec().SAML.Recipient {
		return nil, &policy.Refusal{Reason: policy.SubjectAudience, Detail: "the Recipient of the assertion is not " + i.Spec().SAML.Recipient}
	}
	t, ref := i.MapAssertion(policy.Presented{Claims: subject.AssertionClaims(said), Digest: sha256.Sum256([]byte(token))})
	if ref != nil {
		return nil, ref
	}
	return x.settle(i, t)
}

func (x *explainer) believe(i *policy.TrustedIssuer, document *saml.Document) (*saml.Assertion, *policy.Refusal) {
	keys := cmp.Or(i.Spec().Keys.Inline, i.Spec().Keys.Carried)
	if keys == "" {
		said, err := document.Unverified()
		if err != nil {
			return nil, &policy.Refusal{Reason: policy.TokenMalformed, Detail: err.Error()}
		}
		x.notVerified(i)
		return said, nil
	}
	set, _, err := jose.ParseKeySet([]byte(keys), jose.KeySetOptions{})
	if err != nil {
		return nil, &policy.Refusal{Outcome: policy.Unable, Reason: policy.KeysUnavailable, Detail: "the keys of TrustedIssuer " + i.Name() + " cannot be read"}
	}
	said, n, err := document.Verify(subject.PublicKeys(set))
	if err != nil {
		return nil, &policy.Refusal{Reason: policy.TokenSignature, Detail: "TrustedIssuer " + i.Name() + ": " + err.Error()}
	}
	x.report.Subject = &explainedSubject{Signature: "verified with key " + set.KeyIDs()[n]}
	return said, nil
}
