// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// typeCases are requests for other tokens than access tokens, and what renews them.
func typeCases() map[string]decideCase {
	service := func(s *Spec) *Service { return &s.Services[0] }
	lasting := func(s *Spec, refresh Refresh, policies ...string) {
		svc := service(s)
		svc.RefreshIdle, svc.RefreshMax, svc.OfflineMax = time.Hour, 24*time.Hour, 240*time.Hour
		for _, p := range policies {
			policyNamed(s, p).Refresh = refresh
		}
	}
	asks := func(refresh Refresh, change func(*Spec, *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			lasting(s, refresh, "images")
			r.TokenType = TypeRefreshToken
			change(s, r)
		}
	}
	renews := func(refresh Refresh, change func(*Spec, *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			lasting(s, refresh, "images")
			r.Grant, r.ScopesGiven = GrantRefresh, true
			r.Scopes = []string{"images"}
			r.Family = &Family{
				ID: "first", ClientID: "shop/frontend", Targets: []string{"media/images-resource"}, Scopes: []string{"images", "wide"},
				Offline: refresh == RefreshOffline, IssuedAt: now().Add(-time.Hour), EndsAt: now().Add(3 * time.Minute),
			}
			// What was presented an hour ago is not valid any more.
			r.Subject.IssuedAt, r.Subject.ExpiresAt = now().Add(-48*time.Hour), now().Add(-time.Minute)
			change(s, r)
		}
	}
	hands := func(change func(*Spec, *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			policyNamed(s, "images").TokenTypes = []TokenType{TypeHandover}
			r.TokenType = TypeHandover
			r.Audiences = []string{"media/images-resource"}
			change(s, r)
		}
	}
	handed := func(change func(*Spec, *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			policyNamed(s, "images").SubjectClasses = []Class{ClassHandover}
			*r.Subject = *own()
			r.Subject.Class, r.SubjectAs = ClassHandover, AsHandover
			r.Subject.Audiences = []string{"shop/frontend"}
			change(s, r)
		}
	}
	same := func(*Spec, *Request) {}
	forSeconds := func(n int) verdict {
		v := granted("images")
		v.seconds = n
		return v
	}
	opaque := func(s *Spec, _ *Request) { clientNamed(s, "media/images-resource").Opaque = true }
	return map[string]decideCase{
		"an ID token where the policy has it": {func(s *Spec, r *Request) {
			policyNamed(s, "images").TokenTypes = []TokenType{TypeIDToken}
			service(s).IDToken = Lifetimes{Default: time.Minute, Max: 2 * time.Minute}
			r.TokenType = TypeIDToken
		}, forSeconds(60)},
		"an ID token where the policy has it not": {func(_ *Spec, r *Request) { r.TokenType = TypeIDToken }, refusedBy("tokenType", TokenTypeNotGranted)},
		"an opaque token":                         {opaque, granted("images")},
		"a JWT of a target whose tokens are opaque": {func(s *Spec, r *Request) {
			opaque(s, r)
			policyNamed(s, "images").TokenTypes = []TokenType{TypeJWT}
			r.TokenType = TypeJWT
		}, refusedBy("tokenType", TokenTypeNotGranted)},
		"an opaque target and another": {func(s *Spec, r *Request) {
			opaque(s, r)
			r.Audiences = []string{"media/images-resource", "media/contacts-resource"}
			r.Scopes = []string{"wide"}
			r.Subject.Scopes = append(r.Subject.Scopes, "wide")
		}, refusedBy("combine", TokenTypeNotGranted)},

		"a refresh token where the policy has none": {asks(RefreshNone, same), refusedBy("tokenType", TokenTypeNotGranted)},
		"a refresh token": {asks(RefreshBounded, same), granted("images")},
		"a refresh token of a policy without access token": {asks(RefreshBounded, func(s *Spec, _ *Request) { policyNamed(s, "images").TokenTypes = []TokenType{TypeIDToken} }), refusedBy("tokenType", TokenTypeNotGranted)},
		"a refresh token where one of two has none": {asks(RefreshBounded, func(_ *Spec, r *Request) {
			r.Audiences = []string{"media/images-resource", "media/contacts-resource"}
			r.Scopes = []string{"wide"}
			r.Subject.Scopes = append(r.Subject.Scopes, "wide")
		}), refusedBy("tokenType", TokenTypeNotGranted)},
		"offline access": {asks(RefreshOffline, func(_ *Spec, r *Request) {
			r.TokenType, r.OfflineAccess = TypeAccessToken, true
		}), granted("images")},
		"offline access of a family that ends": {asks(RefreshBounded, func(_ *Spec, r *Request) {
			r.TokenType, r.OfflineAccess = TypeAccessToken, true
		}), refusedBy("tokenType", ScopeNotGranted)},
		"offline access with an ID token": {asks(RefreshOffline, func(s *Spec, r *Request) {
			policyNamed(s, "images").TokenTypes = []TokenType{TypeIDToken}
			r.TokenType, r.OfflineAccess = TypeIDToken, true
		}), refusedBy("tokenType", ScopeNotGranted)},
		"a refresh token for a public client without a key": {asks(RefreshBounded, func(s *Spec, r *Request) {
			policyNamed(s, "images").PublicClients = []string{"shop/frontend"}
			r.Client.Public = true
		}), refusedBy("binding", SubjectBinding)},
		"a refresh token for an assertion": {asks(RefreshBounded, func(s *Spec, r *Request) {
			clientNamed(s, "shop/frontend").JWTBearer = true
			p := policyNamed(s, "images")
			p.SubjectClasses, p.SubjectAudience = []Class{ClassJWTBearer}, AudienceRule{Match: AudienceIssuer}
			r.Grant, r.SubjectAs = GrantJWTBearer, AsAssertion
			r.Subject.Class, r.Subject.Audiences = ClassJWTBearer, []string{"https://sts.example"}
			r.Subject.IssuedAt, r.Subject.ExpiresAt = r.Now, r.Now.Add(MaxAssertionLife)
		}), refusedBy("tokenType", TokenTypeNotGranted)},

		"a renewal":                            {renews(RefreshBounded, same), forSeconds(180)},
		"a renewal of an offline token":        {renews(RefreshOffline, same), forSeconds(180)},
		"a renewal needs no grant of a client": {renews(RefreshBounded, func(s *Spec, _ *Request) { clientNamed(s, "shop/frontend").TokenExchange = false }), forSeconds(180)},
		"a renewal by another client":          {renews(RefreshBounded, func(_ *Spec, r *Request) { r.Family.ClientID = "shop/other" }), refusedBy("family", SubjectAudience)},
		"a renewal for another target": {renews(RefreshBounded, func(_ *Spec, r *Request) {
			r.Family.Targets = []string{"media/contacts-resource"}
		}), refusedBy("family", TargetNotGranted)},
		"a renewal with a scope that was not given first": {renews(RefreshBounded, func(_ *Spec, r *Request) { r.Family.Scopes = []string{"wide"} }), refusedBy("family", ScopeNotGranted)},
		"a renewal after the end":                         {renews(RefreshBounded, func(_ *Spec, r *Request) { r.Family.EndsAt = r.Now }), refusedBy("family", RefreshExpired)},
		"a renewal of nothing":                            {renews(RefreshBounded, func(_ *Spec, r *Request) { r.Family, r.Subject = nil, alice() }), refusedBy("family", RefreshExpired)},
		"a renewal that the policy has not any more":      {renews(RefreshBounded, func(s *Spec, _ *Request) { policyNamed(s, "images").Refresh = RefreshNone }), refusedBy("tokenType", TokenTypeNotGranted)},
		"a renewal of an offline token where the policy is bounded now": {renews(RefreshOffline, func(s *Spec, _ *Request) {
			policyNamed(s, "images").Refresh = RefreshBounded
		}), refusedBy("tokenType", TokenTypeNotGranted)},
		"a renewal after the issuer was suspended": {renews(RefreshOffline, func(s *Spec, _ *Request) { issuerNamed(s, "corp").Suspended = true }), refusedBy("subjectIssuer", IssuerSuspended)},
		"a renewal of what the issuer revoked": {renews(RefreshOffline, func(s *Spec, _ *Request) {
			issuerNamed(s, "corp").RevokeIssuedBefore = now().Add(-47 * time.Hour)
		}), refusedBy("subjectNotRevoked", TokenRevoked)},
		"a renewal of what the client was given before it was revoked": {renews(RefreshOffline, func(s *Spec, _ *Request) {
			clientNamed(s, "shop/frontend").RevokeIssuedBefore = now().Add(-time.Minute)
		}), refusedBy("family", TokenRevoked)},
		"a renewal of what the service gave before it was revoked": {renews(RefreshOffline, func(s *Spec, _ *Request) {
			service(s).RevokeIssuedBefore = now().Add(-time.Minute)
		}), refusedBy("family", TokenRevoked)},
		"a renewal after the rules changed": {renews(RefreshOffline, func(s *Spec, _ *Request) {
			policyNamed(s, "images").SubjectRules = []Rule{{Expression: "false"}}
		}), refusedBy("subjectRules", SubjectRule)},
		"a renewal without the key": {renews(RefreshBounded, func(_ *Spec, r *Request) {
			r.Family.Confirmation = Confirmation{JKT: "key"}
		}), refusedBy("binding", SubjectBinding)},
		"a renewal with another key": {renews(RefreshBounded, func(_ *Spec, r *Request) {
			r.Family.Confirmation = Confirmation{JKT: "key"}
			r.Proof.JKT = "another"
		}), refusedBy("binding", SubjectBinding)},
		"a renewal with the key": {renews(RefreshBounded, func(_ *Spec, r *Request) {
			r.Family.Confirmation = Confirmation{JKT: "key"}
			r.Proof.JKT = "key"
		}), forSeconds(180)},

		"a hand-over token":                 {hands(same), forSeconds(60)},
		"a hand-over token by another name": {hands(func(_ *Spec, r *Request) { r.Audiences = []string{"media/img"} }), refusedBy("tokenType", TokenTypeNotGranted)},
		"a hand-over token for two names":   {hands(func(_ *Spec, r *Request) { r.Audiences = append(r.Audiences, "media/img") }), refusedBy("tokenType", TokenTypeNotGranted)},
		"a hand-over token for nobody": {hands(func(_ *Spec, r *Request) {
			r.Audiences = nil
			r.Resources = []string{"https://images.media.example/api"}
		}), refusedBy("tokenType", TokenTypeNotGranted)},
		"what was handed over":                  {handed(same), granted("images")},
		"what was handed over to somebody else": {handed(func(_ *Spec, r *Request) { r.Subject.Audiences = []string{"shop/other"} }), refusedBy("handover", SubjectAudience)},
		"what was handed over, as an access token": {handed(func(_ *Spec, r *Request) {
			r.SubjectAs = AsAccessToken
		}), refusedBy("subjectClass", TokenClass)},
		"an access token, as if it was handed over": {func(_ *Spec, r *Request) { r.SubjectAs = AsHandover }, refusedBy("subjectClass", TokenClass)},
		"what was handed over where no policy says so": {handed(func(s *Spec, _ *Request) {
			policyNamed(s, "images").SubjectClasses = []Class{ClassAccessToken, ClassIDToken, ClassJWT}
		}), refusedBy("class", SubjectTokenType)},
	}
}
