// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// assertionCases are requests with the jwt-bearer grant.
func assertionCases() map[string]decideCase {
	asserted := func(change func(*Spec, *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			clientNamed(s, "shop/frontend").JWTBearer = true
			p := policyNamed(s, "images")
			p.SubjectClasses, p.SubjectAudience = []Class{ClassJWTBearer, ClassIDJAG}, AudienceRule{Match: AudienceIssuer}
			r.Grant, r.SubjectAs = GrantJWTBearer, AsAssertion
			r.Subject.Class, r.Subject.Audiences = ClassJWTBearer, []string{"https://sts.example"}
			r.Subject.IssuedAt, r.Subject.ExpiresAt = r.Now, r.Now.Add(MaxAssertionLife)
			change(s, r)
		}
	}
	jag := func(change func(*Spec, *Request)) func(*Spec, *Request) {
		return asserted(func(s *Spec, r *Request) {
			r.Subject.Class, r.Subject.ClientID = ClassIDJAG, "shop/frontend"
			change(s, r)
		})
	}
	same := func(*Spec, *Request) {}
	return map[string]decideCase{
		"KC-47: an assertion is a grant":                          {asserted(same), granted("images")},
		"KC-46: an ID-JAG is a grant":                             {jag(same), granted("images")},
		"KC-46: an ID-JAG may call the client as its issuer does": {jag(func(_ *Spec, r *Request) { r.Subject.ClientID = "corp-shop" }), granted("images")},
		"KC-47: a client without the grant":                       {asserted(func(s *Spec, _ *Request) { clientNamed(s, "shop/frontend").JWTBearer = false }), refusedBy("clientGrant", ClientGrant)},
		"a client with this grant alone may not exchange": {func(s *Spec, _ *Request) {
			c := clientNamed(s, "shop/frontend")
			c.JWTBearer, c.TokenExchange = true, false
		}, refusedBy("clientGrant", ClientGrant)},
		"KC-47: a public client has no assertions":          {asserted(func(_ *Spec, r *Request) { r.Client.Public = true }), refusedBy("assertion", ClientGrant)},
		"KC-47: an assertion for two":                       {asserted(func(_ *Spec, r *Request) { r.Subject.Audiences = append(r.Subject.Audiences, "https://other.example") }), refusedBy("assertion", SubjectAudience)},
		"KC-47: an assertion for an audience of the issuer": {asserted(func(_ *Spec, r *Request) { r.Subject.Audiences = []string{"https://sts.example/corp"} }), granted("images")},
		"KC-46: an ID-JAG for an audience of the issuer":    {jag(func(_ *Spec, r *Request) { r.Subject.Audiences = []string{"https://sts.example/corp"} }), refusedBy("assertion", SubjectAudience)},
		"KC-46: an ID-JAG for another client":               {jag(func(_ *Spec, r *Request) { r.Subject.ClientID = "shop/other" }), refusedBy("assertion", SubjectAudience)},
		"KC-47: an assertion without jti":                   {asserted(func(_ *Spec, r *Request) { r.Subject.TokenID = "" }), refusedBy("assertion", TokenMalformed)},
		"KC-47: an assertion of more than five minutes": {asserted(func(_ *Spec, r *Request) {
			r.Subject.ExpiresAt = r.Subject.IssuedAt.Add(MaxAssertionLife + time.Second)
		}), refusedBy("assertion", TokenMalformed)},
		"an assertion of our own": {asserted(func(_ *Spec, r *Request) {
			c := r.Subject.Class
			*r.Subject = *own()
			r.Subject.Class = c
			r.Subject.ExpiresAt = now().Add(time.Minute)
		}), refusedBy("assertion", TokenClass)},
		"an access token is no assertion":  {asserted(func(_ *Spec, r *Request) { r.Subject.Class = ClassAccessToken }), refusedBy("subjectClass", TokenClass)},
		"an ID-JAG is no subject token":    {jag(func(_ *Spec, r *Request) { r.Grant, r.SubjectAs = GrantTokenExchange, AsJWT }), refusedBy("subjectClass", TokenClass)},
		"an ID-JAG names the resource":     {jag(func(_ *Spec, r *Request) { r.Subject.Claims["resource"] = "media/images-resource" }), granted("images")},
		"an ID-JAG names another resource": {jag(func(_ *Spec, r *Request) { r.Subject.Claims["resource"] = "media/contacts-resource" }), refusedBy("targetsKnown", TargetNotGranted)},
		"an ID-JAG says which resource is meant": {jag(func(_ *Spec, r *Request) {
			r.Subject.Claims["resource"] = []any{"media/images-resource"}
			r.Audiences = nil
		}), granted("images")},
		"an ID-JAG with scope is the most, whatever a policy adds": {jag(func(s *Spec, r *Request) {
			policyNamed(s, "images").AddScopes = true
			r.Subject.Claims["scope"] = "x"
			r.Subject.Scopes = []string{"x"}
		}), refusedBy("scopes", ScopeNotHeld)},
	}
}
