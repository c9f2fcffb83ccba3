// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"
)

// The typ of assertions that say what they are (RFC 8725 section 3.11). One that says
// nothing, or JWT, is an assertion because it is presented as one.
const (
	// TypeHeaderIDJAG is an identity assertion authorization grant
	// (draft-ietf-oauth-identity-assertion-authz-grant, section 3).
	TypeHeaderIDJAG = "oauth-id-jag+jwt"
	// typeHeaderGrant is an authorization grant of RFC 7523's (draft-ietf-oauth-rfc7523bis).
	typeHeaderGrant = "authorization-grant+jwt"
)

const (
	// MaxAssertionLife bounds exp - iat of an assertion: it is made for one request, and
	// remembered as long as it lives (RFC 7523 section 3, rule 4).
	MaxAssertionLife = 5 * time.Minute
	// AssertionOnce is the check that an assertion was not used before. Its refusals are
	// about the grant, and those of a client's own assertion are not.
	AssertionOnce = "assertionOnce"
)

// AsAssertion is the token as the jwt-bearer grant sees it: a JWT that says nothing
// else of itself is an assertion there. Everything else stays what it is.
func (t *Token) AsAssertion() *Token {
	if t.Class != ClassJWT {
		return t
	}
	as := *t
	as.Class = ClassJWTBearer
	return &as
}

// IsAssertion says whether tokens of a class are grants of the jwt-bearer grant, and
// nothing else.
func (c Class) IsAssertion() bool { return c == ClassJWTBearer || c == ClassIDJAG }

// Presented is the class that an issuer's tokenTypes must have for tokens of a class:
// assertions are JWTs, and it is the policies that admit them.
func (c Class) Presented() Class {
	if c.IsAssertion() {
		return ClassJWT
	}
	return c
}

// assertion holds the assertion of the jwt-bearer grant against what RFC 7523 section
// 3, and for an ID-JAG its draft, want of every one. What hangs on the policy, and on
// the time, is asked elsewhere.
func (d *deciding) assertion() *Refusal {
	t := d.request.Subject
	if d.request.Grant != GrantJWTBearer {
		return nil
	}
	switch {
	case d.request.Client.Public || d.client.spec.Public:
		return deny(ClientGrant, "the jwt-bearer grant is for clients with a credential, and "+d.client.spec.ID+" is public")
	case t.Issuer == SelfIssuer:
		// Also an ID-JAG that was made here, for somebody else.
		return deny(TokenClass, "the assertion was issued by this token service, which is no other domain")
	case t.TokenID == "":
		return deny(TokenMalformed, "the assertion has no jti, so that nobody could tell whether it was used already")
	case t.ExpiresAt.Sub(t.IssuedAt) > MaxAssertionLife:
		return deny(TokenMalformed, "the assertion's exp is more than 5 minutes after its iat: it is made for one request")
	case !d.forThisService(t):
		return deny(SubjectAudience, "the assertion's aud must be exactly one value: this issuer"+d.orAudiences())
	case t.Class == ClassIDJAG && t.ClientID != d.client.spec.ID && d.issuer.aliases[t.ClientID] != d.client.spec.ID:
		return deny(SubjectAudience, "the ID-JAG's client_id is missing, or is another client than "+d.client.spec.ID)
	}
	return nil
}

// forThisService says whether aud is one value that means this token service: its
// issuer, or for a plain assertion one of the audiences of the trusted issuer. Of two
// values one could be another server's, to which the same assertion would be good.
func (d *deciding) forThisService(t *Token) bool {
	if len(t.Audiences) != 1 {
		return false
	}
	aud := t.Audiences[0]
	return aud == d.service.spec.Issuer || t.Class != ClassIDJAG && slices.Contains(d.issuer.spec.Audiences, aud)
}

func (d *deciding) orAudiences() string {
	if d.request.Subject.Class == ClassIDJAG {
		return ""
	}
	return ", or one of the audiences of TrustedIssuer " + d.issuer.spec.Name
}

// withinAssertion keeps what is asked for within what an ID-JAG names: its resource
// claim (RFC 8707 names, a string or a list) is what the other domain's user agreed
// to. Without one, only policies say what may be asked for. A request that names
// nothing asks for all of it.
func (d *deciding) withinAssertion() ([]string, *Refusal) {
	r := d.request
	v, present := r.Subject.Claims["resource"]
	if r.Grant != GrantJWTBearer || r.Subject.Class != ClassIDJAG || !present {
		return nil, nil
	}
	named, ok := stringList(v)
	if !ok || len(named) == 0 || len(named) > maxResources {
		return nil, deny(TokenMalformed, "the ID-JAG's resource is not a string or a list of at most 16 strings")
	}
	for _, list := range [...][]string{r.Audiences, r.Resources} {
		for _, name := range list {
			if !slices.Contains(named, name) {
				return nil, deny(TargetNotGranted, "a requested target is none of those that the ID-JAG names")
			}
		}
	}
	if len(r.Audiences)+len(r.Resources) > 0 {
		return nil, nil
	}
	return named, nil
}

// maxResources is what one request may name, and so what an assertion may.
const maxResources = 16

// mayAdd says whether the policy may grant a scope that the subject lacks. What
// another domain's server granted in an ID-JAG is the most that there is, where it
// says so; and a transaction token is never wider than what it was made of
// (draft-ietf-oauth-transaction-tokens).
func (j *judging) mayAdd() bool {
	if !j.policy.spec.AddScopes || j.request.TokenType == TypeTransaction {
		return false
	}
	_, says := j.request.Subject.Claims["scope"]
	return !says || j.request.Subject.Class != ClassIDJAG
}
