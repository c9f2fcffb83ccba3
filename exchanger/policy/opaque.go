// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"time"
)

// opaqueLife is how long a token counts as good of which its issuer does not say when
// it ends: that long at most does what is made of it live on after it was revoked
// there.
const opaqueLife = 5 * time.Minute

// Said is what a server said of an opaque token.
type Said struct {
	// Claims are as the server said them, strictly decoded.
	Claims map[string]any
	Digest [sha256.Size]byte
	// At is when it was asked.
	At time.Time
}

// Opaque says whether tokens of this kind are selected by a token type URI, and mean
// nothing before their server was asked.
func (k IssuerKind) Opaque() bool {
	switch k { //nolint:exhaustive // every other kind has tokens that say something
	case IssuerIntrospection, IssuerUserInfo, IssuerRefreshToken, IssuerWebhook:
		return true
	}
	return false
}

// IssuerByTokenType returns the issuer of opaque tokens that a subject_token_type
// selects, suspended ones included.
func (t *TokenService) IssuerByTokenType(uri string) (*TrustedIssuer, bool) {
	i, ok := t.byTokenType[uri]
	return i, ok
}

// UserInfoAudience is the aud that subjects of a userInfo issuer have.
func UserInfoAudience(issuer string) string { return "userinfo:" + issuer }

// MapOpaque turns what was said of an opaque token of this issuer into facts, as Map
// does for tokens that say it themselves. Where nothing was said of exp, it ends five
// minutes after its server was asked. Where nothing was said of iat, nobody knows how
// old it is, and it counts as old as maxTokenAge lets it be: a revocation by issue time
// then refuses it rather than not. now is the time of the request.
func (i *TrustedIssuer) MapOpaque(said *Said, now time.Time) (*Token, *Refusal) {
	t := &Token{Issuer: i.spec.Name, Origin: i.spec.Name, RawIssuer: i.spec.URL, Class: ClassOpaque, Claims: said.Claims, Digest: said.Digest}
	if i.spec.Kind == IssuerRefreshToken {
		t.Class = ClassRefreshToken
	}
	if ref := i.sayable(said.Claims); ref != nil {
		return nil, ref
	}
	sub, ok := said.Claims["sub"].(string)
	if !ok || sub == "" || len(sub) > maxIdentity || hasControl(sub) {
		return nil, deny(TokenMalformed, "the answer's sub must be a string of 1 to 255 bytes without control characters")
	}
	t.RawSubject = sub
	// Who acts, who impersonates and to which key it is bound is said of a person too,
	// and forgotten of nobody.
	if ref := chainClaims(t); ref != nil {
		return nil, ref
	}
	steps := [...]func(*Token) *Refusal{audiences, parties, tokenID}
	if i.spec.Kind == IssuerUserInfo {
		// Nothing else in the answer is about the token: it says who, not for whom.
		t.Audiences = []string{UserInfoAudience(i.spec.Name)}
	} else {
		for _, step := range steps {
			if ref := step(t); ref != nil {
				return nil, ref
			}
		}
		if ref := optionalTimes(t); ref != nil {
			return nil, ref
		}
	}
	if t.ExpiresAt.IsZero() {
		t.ExpiresAt = said.At.Add(min(opaqueLife, i.spec.MaxTokenAge))
	}
	if t.IssuedAt.IsZero() {
		t.IssuedAt = now.Add(-i.spec.MaxTokenAge)
	}
	facts := &Facts{Claims: said.Claims, Header: map[string]any{}}
	for _, step := range [...]func(*Token, *Facts, Presented) *Refusal{i.checkClaims, i.mapClaims} {
		if ref := step(t, facts, Presented{Claims: said.Claims}); ref != nil {
			return nil, ref
		}
	}
	return t, nil
}

// sayable refuses what a server may not say of a token.
func (i *TrustedIssuer) sayable(claims map[string]any) *Refusal {
	if i.spec.Kind != IssuerWebhook {
		return nil
	}
	for _, name := range [...]string{"iss", "act", "may_act", "cnf", "impersonator"} {
		if _, there := claims[name]; there {
			return deny(TokenMalformed, "the webhook's answer has "+name+", which a webhook cannot say")
		}
	}
	if _, there := claims["aud"]; !there {
		return deny(SubjectAudience, "the webhook's answer has no aud")
	}
	return nil
}

// optionalTimes reads exp, iat and nbf where they were said.
func optionalTimes(t *Token) *Refusal {
	for name, to := range map[string]*time.Time{"exp": &t.ExpiresAt, "iat": &t.IssuedAt, "nbf": &t.NotBefore} {
		v, there := t.Claims[name]
		if !there {
			continue
		}
		at, ok := numericDate(v)
		if !ok {
			return deny(TokenMalformed, "the answer's exp, iat or nbf is not a NumericDate")
		}
		*to = at
	}
	return nil
}
