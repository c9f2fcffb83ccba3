// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// assertion reads a client_assertion and lets its `iss`, which nobody has vouched
// for yet, say what it is: a token of a trusted issuer, or one that a client has
// signed itself; a `sub` that is a SPIFFE ID says that it is an SVID. A client's ID has no colon and a trusted issuer's URL has one,
// so it cannot be both.
func (a *Authenticator) assertion(ctx context.Context, svc *policy.TokenService, c Credentials, now time.Time) (Authenticated, *policy.Refusal) {
	switch {
	case c.Assertion == "":
		return refuse(policy.FormInvalid, "client_assertion_type is sent without client_assertion")
	case c.AssertionType == "":
		return refuse(policy.FormInvalid, "client_assertion is sent without client_assertion_type")
	case c.AssertionType != AssertionType && c.AssertionType != AssertionTypeSVID:
		return refuse(policy.ClientCredentials, "client_assertion_type is neither "+AssertionType+" nor "+AssertionTypeSVID)
	}
	limit := a.limits.TokenBytes
	if limit <= 0 {
		limit = jose.DefaultTokenBytes
	}
	if len(c.Assertion) > limit {
		return refuse(policy.ClientCredentials, "the client assertion is above its limit")
	}
	key := trust.Key{Service: svc.Name(), Digest: sha256.Sum256([]byte(c.Assertion))}
	if acct, ok := a.recall(svc, &key, now); ok {
		return a.serviceAccount(ctx, svc, acct, &c, &key, now)
	}
	parsed, err := jose.Parse(c.Assertion, a.limits)
	if err != nil {
		return refuse(policy.ClientCredentials, "client assertion: "+err.Error())
	}
	// An SVID need not have iss: the trust domain in its sub stands for that.
	iss := trust.Selects(svc, parsed, trust.Client)
	switch {
	case iss == "":
		return refuse(policy.ClientCredentials, "client assertion: iss must be a non-empty string")
	case len(svc.IssuersByURL(iss)) > 0:
	case c.AssertionType == AssertionTypeSVID:
		return refuse(policy.ClientCredentials, "client assertion: its sub is of no trust domain that a TrustedIssuer declares")
	default:
		return a.privateKeyJWT(svc, parsed, iss, c.ClientID, key.Digest, now)
	}
	acct, ref := a.verifyAccount(ctx, svc, parsed, key.Digest)
	if ref != nil {
		return Authenticated{}, ref
	}
	auth, ref := a.serviceAccount(ctx, svc, acct, &c, &key, now)
	if ref == nil {
		a.accounts.Put(key, acct, trust.Cost(len(c.Assertion)), acct.until())
	}
	return auth, ref
}

// soleAudience reads an `aud` that names exactly one audience, as a string or as
// a list. Of two, one could be another server's, to which the very same
// assertion would be good.
func soleAudience(v any) (string, bool) {
	if list, isList := v.([]any); isList {
		if len(list) != 1 {
			return "", false
		}
		v = list[0]
	}
	s, ok := v.(string)
	return s, ok && s != ""
}

const audienceDetail = "client assertion: aud must be exactly one value, the token service's issuer or one of its clientAssertionAudiences"
