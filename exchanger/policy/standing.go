// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"
)

// maxSkew is how far the clocks of replicas may differ.
const maxSkew = 60 * time.Second

// Standing says whether a token of this token service is still what it was when it was
// issued: in time, not revoked, the issuer of its first token trusted, the client that
// it was issued to there, the ImpersonationGrant that it was made under, if any, in
// force. Whom it may be used by, and for what, is not asked.
func (t *TokenService) Standing(tok *Token, now time.Time) *Refusal {
	switch {
	case !now.Before(tok.ExpiresAt):
		return deny(TokenExpired, "exp has passed")
	case tok.NotBefore.After(now.Add(maxSkew)):
		return deny(TokenNotYetValid, "nbf is in the future")
	}
	i, ok := t.issuers[tok.Origin]
	switch {
	case !ok:
		return deny(IssuerUnknown, "no TrustedIssuer of that name")
	case i.spec.Suspended:
		return deny(IssuerSuspended, "TrustedIssuer "+i.spec.Name+" is suspended")
	case tok.OriginURL != "" && i.spec.URL != tok.OriginURL:
		return deny(IssuerUnknown, "TrustedIssuer "+i.spec.Name+" is for another issuer than the one that the first token came from")
	}
	c, ok := t.clients[tok.ClientID]
	switch {
	case !ok:
		return deny(ClientUnknown, "the client that the token was issued to is not there any more")
	case c.spec.Suspended:
		return deny(ClientSuspended, "ExchangeClient "+c.spec.ID+", to which the token was issued, is suspended")
	}
	if tok.Under != "" {
		if g, ok := t.grants[tok.Under]; !ok || !g.spec.inForceAt(now) {
			return deny(ImpersonationGrant, "ImpersonationGrant "+tok.Under+", under which the token was made, is not in force any more")
		}
	}
	return t.NotRevoked(tok, now)
}

// MayInspect says whether a client may know what a token of this token service says:
// it was issued to it, or aud has one of its names.
func (t *TokenService) MayInspect(tok *Token, clientID string) bool {
	if clientID == "" {
		return false
	}
	if tok.ClientID == clientID {
		return true
	}
	c, ok := t.clients[clientID]
	return ok && slices.ContainsFunc(tok.Audiences, func(a string) bool {
		return a == c.spec.ID || slices.Contains(c.spec.Audiences, a) || slices.Contains(c.spec.Resources, a)
	})
}

// OwnTokenIDs are the IDs of the token and of those that it was derived from, as far as
// this token service issued them: what the store is asked about.
func (t *Token) OwnTokenIDs() []string {
	var ids []string
	if t.Issuer == SelfIssuer && t.TokenID != "" {
		ids = append(ids, t.TokenID)
	}
	for i := range t.Lineage {
		if a := &t.Lineage[i]; a.Issuer == SelfIssuer && a.TokenID != "" {
			ids = append(ids, a.TokenID)
		}
	}
	return ids
}

// LongestRenewal is how long the longest family of refresh tokens may live that some
// policy allows; zero where there are none.
func (t *TokenService) LongestRenewal() time.Duration { return t.longestRenewal }

// renewals finds the longest family that a policy allows.
func (c *compilation) renewals(spec *Spec) error {
	for i := range spec.Policies {
		p := &spec.Policies[i]
		svc, err := c.service(p.TokenService, "policy", p.Namespace+"/"+p.Name)
		switch {
		case err != nil:
			return err
		case p.Refresh == RefreshBounded:
			svc.longestRenewal = max(svc.longestRenewal, svc.spec.RefreshMax)
		case p.Refresh == RefreshOffline:
			svc.longestRenewal = max(svc.longestRenewal, svc.spec.OfflineMax)
		}
	}
	return nil
}
