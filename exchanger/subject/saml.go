// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/saml"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// AssertionKeys are the keys of issuers whose signatures do not say which key made
// them; [issuer.Manager] has them.
type AssertionKeys interface {
	// All may wait for a fetch; its error wraps issuer.ErrKeyUnknown or
	// issuer.ErrUnable.
	All(ctx context.Context, name, digest string, tried *jose.KeySet) (*jose.KeySet, error)
}

// Assertion is a verified SAML 2.0 assertion.
type Assertion struct {
	*policy.Token
	// Once says that it may be used once; Issuer and Until are for whoever remembers
	// that.
	Once   bool
	Issuer string
	Until  time.Time
}

// VerifyAssertion is Verify for a SAML 2.0 assertion (RFC 8693, section 3; RFC 7522,
// section 3). The issuer is found by the entity ID, which is looked for among the
// issuers of assertions and no others, before anything is fetched. Nothing is
// remembered: each presentation is verified anew.
func (v *Verifier) VerifyAssertion(ctx context.Context, svc *policy.TokenService, token string, now time.Time, use trust.Use) (*Assertion, *policy.Refusal) {
	a, ref := v.assertion(ctx, svc, token, now, use)
	if ref != nil {
		return nil, named(ref)
	}
	return a, nil
}

func (v *Verifier) assertion(ctx context.Context, svc *policy.TokenService, token string, now time.Time, use trust.Use) (*Assertion, *policy.Refusal) {
	document, err := saml.Parse(token, v.limits.TokenBytes)
	if err != nil {
		return nil, trust.Deny(policy.TokenMalformed, err.Error())
	}
	ti, ok := svc.AssertionIssuer(document.Issuer())
	switch {
	case !ok:
		return nil, trust.Deny(policy.IssuerUnknown, "no TrustedIssuer of the member saml has the assertion's Issuer, byte for byte")
	case ti.Spec().Suspended:
		return nil, trust.Deny(policy.IssuerSuspended, "TrustedIssuer "+ti.Name()+" is suspended")
	case !use.Of(ti.Spec()):
		return nil, trust.Deny(policy.IssuerUnknown, "use of TrustedIssuer "+ti.Name()+" does not include "+use.String())
	}
	said, ref := v.believe(ctx, ti, document)
	if ref != nil {
		return nil, ref
	}
	if said.Recipient != ti.Spec().SAML.Recipient {
		return nil, trust.Deny(policy.SubjectAudience, "the Recipient of the assertion's SubjectConfirmationData is not "+ti.Spec().SAML.Recipient)
	}
	mapped, ref := ti.MapAssertion(policy.Presented{Claims: AssertionClaims(said), Digest: sha256.Sum256([]byte(token))})
	if ref != nil {
		return nil, ref
	}
	t, ref := v.settle(ctx, svc, ti, mapped, now)
	if ref != nil {
		return nil, ref
	}
	return &Assertion{Token: t, Once: said.OneTimeUse, Issuer: ti.Spec().URL, Until: said.ExpiresAt.Add(ti.Spec().ClockSkew)}, nil
}

// believe verifies the signature with the keys that the issuer has now, and once
// more with those that it turns out to have: providers rotate.
func (v *Verifier) believe(ctx context.Context, ti *policy.TrustedIssuer, document *saml.Document) (*saml.Assertion, *policy.Refusal) {
	from, ok := v.issuers.(AssertionKeys)
	if !ok {
		return nil, trust.Deny(policy.TokenSignature, "this process has no keys of issuers of assertions")
	}
	var tried *jose.KeySet
	for {
		set, err := from.All(ctx, ti.Name(), ti.KeysDigest(), tried)
		switch {
		case err != nil && errors.Is(err, issuer.ErrKeyUnknown) && tried != nil:
			return nil, trust.Deny(policy.TokenSignature, "TrustedIssuer "+ti.Name()+": the signature verifies with none of its keys")
		case err != nil:
			return nil, &policy.Refusal{Outcome: policy.Unable, Reason: policy.KeysUnavailable, Detail: "the keys of TrustedIssuer " + ti.Name() + " cannot be told now"}
		}
		said, _, err := document.Verify(PublicKeys(set))
		if err == nil {
			return said, nil
		}
		var refused *saml.Error
		if errors.As(err, &refused) && (refused.Code != saml.BadSignature && refused.Code != saml.KeyUnsuitable) {
			return nil, trust.Deny(policy.TokenMalformed, "TrustedIssuer "+ti.Name()+": "+err.Error())
		}
		if tried != nil {
			return nil, trust.Deny(policy.TokenSignature, "TrustedIssuer "+ti.Name()+": "+err.Error())
		}
		tried = set
	}
}

// PublicKeys are the keys of a set as signatures of assertions are verified with them.
func PublicKeys(set *jose.KeySet) []crypto.PublicKey {
	var keys []crypto.PublicKey
	for _, kid := range set.KeyIDs() {
		key, _ := set.Key(kid)
		der, err := key.MarshalDER()
		if err != nil {
			continue
		}
		if public, err := x509.ParsePKIXPublicKey(der); err == nil {
			keys = append(keys, public)
		}
	}
	return keys
}

// AssertionClaims makes claims of an assertion, for claimMappings and rules to read as
// those of a token. Attributes stand under their own names, one value as a string
// and several as a list, unless the name means something in a token; under
// `attributes` all of them are lists.
func AssertionClaims(a *saml.Assertion) map[string]any {
	claims := map[string]any{}
	attributes := map[string]any{}
	for _, attribute := range a.Attributes {
		values := make([]any, len(attribute.Values))
		for n, v := range attribute.Values {
			values[n] = v
		}
		attributes[attribute.Name] = values
		if policy.IsReservedClaim(attribute.Name) {
			aboutOthers(claims, attribute)
			continue
		}
		claims[attribute.Name] = values
		if len(values) == 1 {
			claims[attribute.Name] = values[0]
		}
	}
	name := map[string]any{"value": a.NameID.Value, "format": a.NameID.Format}
	set(name, "nameQualifier", a.NameID.NameQualifier)
	set(name, "spNameQualifier", a.NameID.SPNameQualifier)
	claims["attributes"], claims["nameID"] = attributes, name
	claims["iss"], claims["sub"], claims["jti"] = a.Issuer, a.NameID.Value, a.ID
	claims["iat"], claims["exp"] = a.IssuedAt.Unix(), a.ExpiresAt.Unix()
	audiences := make([]any, len(a.Audiences))
	for n, v := range a.Audiences {
		audiences[n] = v
	}
	claims["aud"] = audiences
	if !a.NotBefore.IsZero() {
		claims["nbf"] = a.NotBefore.Unix()
	}
	if !a.AuthenticatedAt.IsZero() {
		claims["auth_time"] = a.AuthenticatedAt.Unix()
	}
	set(claims, "acr", a.AuthnContext)
	set(claims, "sid", a.SessionIndex)
	return claims
}

func set(claims map[string]any, name, value string) {
	if value != "" {
		claims[name] = value
	}
}

// aboutOthers reads what an assertion says of those who act in it or impersonate, as
// assertions of this project say it: in JSON. An assertion is a hop like any other, at
// which nobody is forgotten (RFC 8693, section 4.1). What begins like an object and is
// not exactly one stays text, which is refused where such a claim is read; any other
// text is an attribute that happens to have that name.
func aboutOthers(claims map[string]any, a saml.Attribute) {
	switch a.Name {
	case "act", "may_act", "impersonator", "cnf":
	default:
		return
	}
	for _, value := range a.Values {
		if !strings.HasPrefix(strings.TrimSpace(value), "{") {
			continue
		}
		object, err := jose.DecodeStrict([]byte(value), jose.DefaultJSONDepth)
		if err != nil || len(a.Values) > 1 {
			claims[a.Name] = value
			return
		}
		claims[a.Name] = object
	}
}
