// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"
)

// Family is a family of refresh tokens: what the first exchange gave, which every
// renewal stays within.
type Family struct {
	// ID is the jti of the first access token: what the others descend from.
	ID       string
	ClientID string
	// Targets are client IDs.
	Targets []string
	Scopes  []string
	// Confirmation is the key of the first token, which renewals stay bound to.
	Confirmation Confirmation
	// OwnCredential says that the subject token was the client's own credential.
	OwnCredential bool
	// Offline says that the family outlives the subject token.
	Offline bool
	// IssuedAt is when the first token was issued, EndsAt when the family ends.
	IssuedAt time.Time
	EndsAt   time.Time
}

// RefreshClient is the check that a refresh token is presented by the client that it
// was given to. Its refusals say no more to another one than that the token is not
// valid; the decision has the same check again.
const RefreshClient = "refreshClient"

// link is the family as an ancestor of what it renews.
func (f *Family) link() Ancestor {
	return Ancestor{Issuer: SelfIssuer, TokenID: f.ID, ClientID: f.ClientID, IssuedAt: f.IssuedAt.Unix()}
}

// family holds a renewal against what was given first: the same client, nothing more
// than then, before the end, and nothing revoked since. The tokens of then need not
// be valid any more; that their issuer is trusted still was asked already.
func (d *deciding) family() *Refusal {
	r, f := d.request, d.request.Family
	switch {
	case r.Grant != GrantRefresh && f == nil:
		return nil
	case r.Grant != GrantRefresh || f == nil:
		return deny(RefreshExpired, "there is no family of refresh tokens to renew")
	case f.ClientID != d.client.spec.ID:
		return deny(SubjectAudience, "the refresh token was given to another client than "+d.client.spec.ID)
	case !r.Now.Before(f.EndsAt):
		return deny(RefreshExpired, "the family of refresh tokens has ended")
	}
	for i := range d.targets {
		if !slices.Contains(f.Targets, d.targets[i].client.ID) {
			return deny(TargetNotGranted, "a requested target is none of those that the first token was for")
		}
	}
	for _, s := range r.Scopes {
		if !slices.Contains(f.Scopes, s) {
			return deny(ScopeNotGranted, "a requested scope is none of those that the first token had")
		}
	}
	with := *r.Subject
	with.Lineage = append(r.Subject.lineage(), f.link())
	return d.service.NotRevoked(&with, r.Now)
}

// AsHandover is what a hand-over token stands for, as the token that was handed over:
// no access token, and admitted by those policies alone that say so.
func (t *Token) AsHandover() *Token {
	as := *t
	as.Class = ClassHandover
	return &as
}

// handedOver lets a hand-over token be used by the one client that it names.
func (d *deciding) handedOver() *Refusal {
	t := d.request.Subject
	if t.Class == ClassHandover && !slices.Contains(t.Audiences, d.client.spec.ID) {
		return deny(SubjectAudience, "the hand-over token is for another client than "+d.client.spec.ID)
	}
	return nil
}

// refreshes says why no refresh token goes with what is asked for, where one is asked
// for.
func (j *judging) refreshes() *Refusal {
	r, mode := j.request, j.policy.spec.Refresh
	if !r.renewable() {
		return nil
	}
	if r.OfflineAccess {
		if ref := j.offline(); ref != nil {
			return ref
		}
	}
	switch {
	case mode == RefreshNone || j.service.spec.RefreshMax <= 0:
		return deny(TokenTypeNotGranted, "token.refresh is None")
	case r.Family != nil && r.Family.Offline && mode != RefreshOffline:
		return deny(TokenTypeNotGranted, "token.refresh is not Offline any more, and the refresh token outlives its subject token")
	case j.under != nil:
		return deny(ImpersonationGrant, "there are no refresh tokens under an ImpersonationGrant")
	case r.Grant == GrantJWTBearer:
		return deny(TokenTypeNotGranted, "no refresh token is given for an assertion: present another one")
	}
	if !r.Client.Public {
		return nil
	}
	if c, ref := j.confirmation(); ref != nil || c == (Confirmation{}) {
		return deny(SubjectBinding, "a public client gets a refresh token only that is bound to its key")
	}
	return nil
}

// offline judges the scope offline_access, which is answered as a scope.
func (j *judging) offline() *Refusal {
	switch t := j.request.TokenType; {
	case t != TypeAccessToken && t != TypeJWT && t != TypeRefreshToken:
		return deny(ScopeNotGranted, "scope offline_access goes with an access token alone")
	case j.policy.spec.Refresh != RefreshOffline:
		return deny(ScopeNotGranted, "scope offline_access: token.refresh is not Offline")
	}
	return nil
}

// renewable says whether a refresh token is to go with what is given.
func (r *Request) renewable() bool {
	return r.TokenType == TypeRefreshToken || r.OfflineAccess || r.Grant == GrantRefresh
}

// renewal is what all policies together say of the refresh token: offline only if all
// do, and never longer than the first of the family was given.
func (d *deciding) renewal(chosen []*judging) Renewal {
	r, s := d.request, d.service.spec
	if !r.renewable() {
		return Renewal{}
	}
	out := Renewal{Idle: s.RefreshIdle, Offline: true}
	for _, j := range chosen {
		out.Offline = out.Offline && j.policy.spec.Refresh == RefreshOffline
	}
	from := r.Now
	if r.Family != nil {
		out.Offline = r.Family.Offline
		from = r.Family.IssuedAt
	}
	out.EndsAt = from.Add(s.RefreshMax)
	if out.Offline {
		out.EndsAt = from.Add(s.OfflineMax)
	}
	switch {
	case r.Family != nil:
		out.EndsAt = earlier(out.EndsAt, r.Family.EndsAt)
	case !out.Offline:
		out.EndsAt = earlier(out.EndsAt, r.Subject.ExpiresAt)
		if r.Actor != nil {
			out.EndsAt = earlier(out.EndsAt, r.Actor.ExpiresAt)
		}
	}
	out.EndsAt = out.EndsAt.UTC().Truncate(time.Second)
	return out
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// KeysOutlive is how long after its last use a signing key, and the sealing key beside
// it, have to be there: for the longest token, and for a refresh token that lies unused
// for as long as it may.
func (s *Service) KeysOutlive() time.Duration {
	return max(s.MaxLifetime, s.IDToken.Max, s.SAML2.Max, s.RefreshIdle, s.LinkIdle)
}
