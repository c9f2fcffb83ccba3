// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/saml"
)

// Assertion makes the SAML 2.0 assertion that the decision allows, signed by the
// token service's active key (RFC 8693, section 3; saml-core-2.0-os). It was read
// and verified as a stranger would, and compared with the grant, when it is
// returned. A refusal means that nothing left.
func (m *Minter) Assertion(d *policy.Decision, k *keys.Current, now func() time.Time) (Token, *policy.Refusal) {
	grant, ok := d.Grant()
	if !ok || grant.TokenType != policy.TypeSAML2 || grant.SAML == nil {
		return Token{}, refuse(policy.Denied, policy.Internal, "the decision does not allow an assertion")
	}
	if k == nil || k.AccessToken == nil {
		return Token{}, refuse(policy.Unable, policy.SignerUnavailable, "token service "+grant.TokenService+" has no active signing key")
	}
	certified := k.Certificates()
	at := slices.IndexFunc(certified, func(c keys.Certified) bool { return c.State == keys.Active })
	if k.Signing == nil || at < 0 {
		return Token{}, refuse(policy.Denied, policy.TokenTypeNotGranted,
			"the signing key of TokenService "+grant.TokenService+" makes no XML signatures: it is with an external signer, or an EdDSA key")
	}
	if !now().Before(grant.ExpiresAt) {
		return Token{}, expired("before")
	}
	t := Token{KeyID: k.Signing.KeyID(), ExpiresIn: int64(grant.ExpiresAt.Sub(grant.IssuedAt).Seconds())}
	t.TokenID, t.Transaction = identifiers()
	t.TokenID = "_" + t.TokenID // an ID begins with no digit (xs:ID)
	if grant.Subject.Transaction != "" {
		t.Transaction = grant.Subject.Transaction
	}
	statement, ref := statementOf(grant, &t)
	if ref != nil {
		return Token{}, ref
	}
	signer, _ := k.Signing.CryptoSigner()
	var err error
	if t.Value, err = saml.Sign(statement, signer, certified[at].Certificate); err != nil {
		return Token{}, refuse(policy.Denied, policy.ClaimInvalid, "the assertion cannot be made: "+err.Error())
	}
	if len(t.Value) > grant.TokenBytes {
		return Token{}, refuse(policy.Denied, policy.TokenTooLarge, "the assertion is larger than limits.tokenBytes of TokenService "+grant.TokenService)
	}
	if !now().Before(grant.ExpiresAt) {
		return Token{}, expired("while")
	}
	return t, nil
}

// statementOf says what the grant says, as an assertion.
func statementOf(g *policy.Grant, t *Token) (*saml.Assertion, *policy.Refusal) {
	name, ref := nameOf(g)
	if ref != nil {
		return nil, ref
	}
	a := &saml.Assertion{
		ID: t.TokenID, Issuer: g.Issuer, NameID: name,
		IssuedAt: g.IssuedAt, NotBefore: g.IssuedAt, ExpiresAt: g.ExpiresAt,
		Audiences: []string{g.SAML.EntityID}, Recipient: g.SAML.Recipient,
		AuthenticatedAt: authenticatedAt(g.Subject), AuthnContext: g.Subject.ACR,
	}
	if !strings.Contains(a.AuthnContext, ":") {
		a.AuthnContext = "" // a class is a URI; unspecified is written then
	}
	a.Attributes, ref = attributesOf(g, t)
	return a, ref
}

// authenticatedAt is when the subject authenticated, where that is mapped; else it
// was not after the first token of the chain was issued.
func authenticatedAt(s *policy.Token) time.Time {
	switch {
	case s.AuthTime > 0:
		return time.Unix(s.AuthTime, 0).UTC()
	case !s.OriginIssuedAt.IsZero():
		return s.OriginIssuedAt
	}
	return s.IssuedAt
}

// nameOf names the subject in the format that the target wants.
func nameOf(g *policy.Grant) (saml.NameID, *policy.Refusal) {
	switch g.SAML.NameIDFormat {
	case "", "Unspecified":
		return saml.NameID{Value: g.Subject.Subject, Format: saml.FormatUnspecified}, nil
	case "Persistent":
		return saml.NameID{Value: g.Subject.Subject, Format: saml.FormatPersistent}, nil
	case "Transient":
		id, _ := identifiers()
		return saml.NameID{Value: "_" + id, Format: saml.FormatTransient}, nil
	case "EmailAddress":
		local, domain, ok := strings.Cut(g.Subject.Username, "@")
		if !ok || local == "" || domain == "" || strings.ContainsAny(domain, "@ ") {
			return saml.NameID{}, refuse(policy.Denied, policy.SubjectMapping,
				"saml.nameIDFormat is EmailAddress, and the subject's username is no e-mail address: map it in claimMappings.username of TrustedIssuer "+g.Subject.Origin)
		}
		return saml.NameID{Value: g.Subject.Username, Format: saml.FormatEmailAddress}, nil
	}
	return saml.NameID{}, refuse(policy.Denied, policy.Internal, "a nameIDFormat that is not known")
}

// attributesOf are the grant's claims and the target's attributes, and what an
// access token would say of scopes and of everybody who is not the subject: none of
// it may get lost because the token has another form.
func attributesOf(g *policy.Grant, t *Token) ([]saml.Attribute, *policy.Refusal) {
	var all []saml.Attribute
	for _, c := range slices.Concat(g.Claims, g.SAML.Attributes) {
		values, ok := textsOf(c.Value)
		if !ok {
			return nil, refuse(policy.Denied, policy.ClaimInvalid, "claim "+c.Name+" is no text, number, boolean or list of these, and an attribute of an assertion is nothing else")
		}
		at := slices.IndexFunc(all, func(a saml.Attribute) bool { return a.Name == c.Name })
		if at >= 0 && !slices.Equal(all[at].Values, values) {
			return nil, refuse(policy.Denied, policy.ClaimConflict, "attribute "+c.Name+" is given two different values, by a claim and by saml.attributes")
		}
		if at < 0 {
			all = append(all, saml.Attribute{Name: c.Name, Values: values})
		}
	}
	all = append(all, saml.Attribute{Name: "client_id", Values: []string{g.ClientID}}, saml.Attribute{Name: "txn", Values: []string{t.Transaction}})
	if len(g.Scopes) > 0 {
		all = append(all, saml.Attribute{Name: "scope", Values: g.Scopes})
	}
	for _, other := range []struct {
		name  string
		there bool
		value any
	}{{"act", g.Act != nil, g.Act}, {"may_act", g.Subject.MayAct != nil, g.Subject.MayAct}, {"impersonator", g.Impersonator != nil, g.Impersonator}} {
		if !other.there {
			continue
		}
		text, err := json.Marshal(other.value)
		if err != nil {
			return nil, refuse(policy.Denied, policy.ClaimInvalid, "claim "+other.name+" cannot be written")
		}
		all = append(all, saml.Attribute{Name: other.name, Values: []string{string(text)}})
	}
	for n := range all {
		all[n].NameFormat = saml.AttributeBasic
	}
	return all, nil
}

// textsOf are the values of an attribute.
func textsOf(v any) ([]string, bool) {
	switch x := v.(type) {
	case string:
		return []string{x}, true
	case bool:
		return []string{strconv.FormatBool(x)}, true
	case int64:
		return []string{strconv.FormatInt(x, 10)}, true
	case float64:
		return []string{strconv.FormatFloat(x, 'g', -1, 64)}, true
	case []any:
		var all []string
		for _, e := range x {
			if _, list := e.([]any); list {
				return nil, false
			}
			text, ok := textsOf(e)
			if !ok {
				return nil, false
			}
			all = append(all, text...)
		}
		return all, true
	}
	return nil, false
}
