// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"context"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// account is a verified service-account token: who it is, and what has to be
// looked at again whenever it is shown.
type account struct {
	proof                trust.Proof
	issuer               string // the TrustedIssuer's name
	rawIssuer            string
	subject              string
	namespace, name, uid string
	// spiffeID is that of an SVID, which is no service account.
	spiffeID       string
	audience       string
	expires, since time.Time
	notBefore      time.Time
	skew, maxAge   time.Duration
	revokedBefore  time.Time
	// review says that the API server must vouch for the token at every use.
	review bool
}

func (a *account) until() time.Time { return a.expires.Add(a.skew) }

// recall returns what is known of a token that was verified before, if it would
// be verified the same way now.
func (a *Authenticator) recall(svc *policy.TokenService, key *trust.Key, now time.Time) (*account, bool) {
	acct, ok := a.accounts.Get(key, now)
	if !ok {
		return nil, false
	}
	if _, stands := acct.proof.Stands(a.issuers, svc); !stands {
		a.accounts.Drop(key)
		return nil, false
	}
	return acct, true
}

// verifyAccount verifies a token that a cluster has signed. The issuer's own
// rules over its tokens hold for credentials as they do for subjects.
func (a *Authenticator) verifyAccount(ctx context.Context, svc *policy.TokenService, parsed *jose.Compact, digest [sha256.Size]byte) (*account, *policy.Refusal) {
	ti, verified, proof, ref := trust.Verify(ctx, a.issuers, svc, parsed, trust.Client)
	if ref != nil {
		return nil, credential(ref)
	}
	t, ref := ti.Identify(policy.Presented{Type: verified.Type, Header: verified.Header, Claims: verified.Claims, Digest: digest})
	if ref != nil {
		return nil, credential(ref)
	}
	acct := &account{
		proof: proof, issuer: ti.Name(), rawIssuer: t.RawIssuer, subject: t.RawSubject,
		expires: t.ExpiresAt, since: t.IssuedAt, notBefore: t.NotBefore,
		skew: ti.Spec().ClockSkew, maxAge: ti.Spec().MaxTokenAge, revokedBefore: ti.Spec().RevokeIssuedBefore,
		review: ti.Spec().TokenReview,
	}
	if len(t.Audiences) == 1 {
		acct.audience = t.Audiences[0]
	}
	if ti.Spec().Kind == policy.IssuerSPIFFE {
		return acct, acct.readSVID()
	}
	if !acct.read(verified.Claims) {
		return nil, trust.Deny(policy.ClientCredentials, "client assertion: it is no bound service-account token: sub and the claim kubernetes.io must name the same service account, with its UID")
	}
	return acct, nil
}

// credential says of a refusal that it is about a client's credential. That
// nobody can tell now stays what it is.
func credential(ref *policy.Refusal) *policy.Refusal {
	if ref.Reason != policy.KeysUnavailable && ref.Reason != policy.UpstreamUnavailable {
		ref.Reason = policy.ClientCredentials
	}
	ref.Detail = "client assertion: " + ref.Detail
	return ref
}

// read takes the identity from the claim kubernetes.io, which has its parts
// apart, and wants `sub` to say the same.
func (a *account) read(claims map[string]any) bool {
	k8s, _ := claims["kubernetes.io"].(map[string]any)
	sa, _ := k8s["serviceaccount"].(map[string]any)
	a.namespace, _ = k8s["namespace"].(string)
	a.name, _ = sa["name"].(string)
	a.uid, _ = sa["uid"].(string)
	if a.namespace == "" || a.name == "" || a.uid == "" || strings.ContainsAny(a.namespace+a.name, ":/") {
		return false
	}
	return a.subject == "system:serviceaccount:"+a.namespace+":"+a.name
}

// serviceAccount finds the client that a verified service account authenticates.
func (a *Authenticator) serviceAccount(ctx context.Context, svc *policy.TokenService, acct *account, given *Credentials, key *trust.Key, now time.Time) (Authenticated, *policy.Refusal) {
	if ref := acct.check(svc, now); ref != nil {
		return Authenticated{}, ref
	}
	c, ref := acct.client(svc, given.ClientID)
	if ref != nil {
		return Authenticated{}, ref
	}
	if acct.review {
		// Last, and at every use: nobody makes us ask for what would be refused anyway.
		if ref := a.reviews.Check(ctx, trust.Question{
			Key: *key, Token: given.Assertion, Issuer: acct.issuer, Audiences: svc.Spec().AssertionAudiences, Subject: acct.subject, UID: acct.uid,
		}, now); ref != nil {
			return Authenticated{}, credential(ref)
		}
	}
	method := MethodServiceAccount
	if acct.spiffeID != "" {
		method = MethodJWTSVID
	}
	return Authenticated{ClientAuth: policy.ClientAuth{
		ID: c.ID(), Method: method, CredentialDigest: key.Digest,
		Issuer: acct.rawIssuer, Subject: acct.subject,
	}}, nil
}

// check holds the token against the service and the time, at every use.
func (a *account) check(svc *policy.TokenService, now time.Time) *policy.Refusal {
	var detail string
	switch {
	case !svc.IsCredentialAudience(a.audience):
		detail = audienceDetail
	case !now.Before(a.until()):
		detail = "client assertion: exp has passed"
	case a.since.After(now.Add(a.skew)):
		detail = "client assertion: iat is in the future"
	case a.notBefore.After(now.Add(a.skew)):
		detail = "client assertion: nbf is in the future"
	case a.expires.Before(a.since) || a.notBefore.After(a.expires):
		detail = "client assertion: exp is before iat or nbf"
	case a.maxAge > 0 && a.since.Before(now.Add(-a.maxAge)):
		detail = "client assertion: iat is longer ago than maxTokenAge of TrustedIssuer " + a.issuer
	case !a.revokedBefore.IsZero() && a.since.Before(a.revokedBefore):
		detail = "client assertion: revokeIssuedBefore of TrustedIssuer " + a.issuer
	default:
		return nil
	}
	return trust.Deny(policy.ClientCredentials, detail)
}

// client finds the one client that the account authenticates; a client_id that
// is given must name it, and must be given when there are several.
func (a *account) client(svc *policy.TokenService, clientID string) (*policy.AskingClient, *policy.Refusal) {
	if a.spiffeID != "" {
		return oneOf(svc, svc.ClientsBySPIFFE(a.issuer, a.spiffeID), clientID, "the SPIFFE ID, in the trust domain of TrustedIssuer "+a.issuer)
	}
	if clientID != "" {
		// A suspended client is found by its ID only.
		if c, ok := svc.Client(clientID); ok && c.HasUID(a.issuer, a.namespace, a.name, a.uid) {
			return client(svc, clientID)
		}
	}
	var found []*policy.AskingClient
	for _, c := range svc.ClientsByServiceAccount(a.issuer, a.namespace, a.name) {
		if c.HasUID(a.issuer, a.namespace, a.name, a.uid) {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 0:
		return nil, trust.Deny(policy.ClientUnknown, "no ExchangeClient in force has this service account of TrustedIssuer "+a.issuer)
	case clientID != "":
		return nil, trust.Deny(policy.FormInvalid, "client_id differs from that of the service account")
	case len(found) > 1:
		return nil, trust.Deny(policy.FormInvalid, "the service account authenticates several clients: client_id must choose")
	}
	return found[0], nil
}
