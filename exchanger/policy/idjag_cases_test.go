// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"reflect"
	"testing"
	"time"
)

const otherDomain = "https://sts.other.example"

// abroad is the world with an ID-JAG's target, and a request for one.
func abroad() (*Spec, *Request) {
	s := outside(func(e *External) {
		e.Kind, e.Remote, e.UpstreamAudience = ExternalIDJAG, nil, otherDomain
		e.Audiences, e.SubjectClasses = []string{otherDomain}, []Class{ClassIDToken, ClassSAML2, ClassAccessToken}
		e.Names = []Alias{{ID: "our-shop", Client: "shop/frontend"}}
	})
	r := ask()
	r.Subject.Class, r.SubjectAs, r.TokenType = ClassIDToken, AsIDToken, TypeIDJAG
	r.Audiences, r.Scopes = []string{otherDomain}, []string{"orders"}
	return s, r
}

func TestAnIDJAGIsMadeForAnotherDomain(t *testing.T) {
	t.Parallel()
	s, r := abroad()
	s.Services[0].DefaultLifetime = time.Hour // which would be the ID-JAG's
	r.Resources = []string{"https://api.other.example", "urn:other:api"}
	d := mustCompile(t, s).Decide(r)
	g, ok := d.Grant()
	if !ok {
		t.Fatalf("%s: %s", d.Reason, d.Detail)
	}
	want := &IDJAG{Audience: otherDomain, ClientID: "our-shop", Resources: r.Resources}
	if !reflect.DeepEqual(g.IDJAG, want) || g.Assertion != nil || !reflect.DeepEqual(g.Scopes, []string{"orders"}) {
		t.Errorf("%+v %v %v", g.IDJAG, g.Assertion, g.Scopes)
	}
	if g.ExpiresAt.Sub(g.IssuedAt) > MaxAssertionLife {
		t.Errorf("it lives %s", g.ExpiresAt.Sub(g.IssuedAt))
	}
}

func TestWhoMayHaveAnIDJAG(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Spec, *Request)
		reason Reason
	}{
		"KC-44: whom the ID token was made for":    {func(*Spec, *Request) {}, ""},
		"KC-45: as its issuer calls the client":    {func(_ *Spec, r *Request) { r.Subject.Audiences = []string{"corp-shop"} }, ""},
		"with a SAML 2.0 assertion":                {func(_ *Spec, r *Request) { r.Subject.Class, r.SubjectAs = ClassSAML2, AsSAML2 }, ""},
		"KC-45: without scope":                     {func(_ *Spec, r *Request) { r.Scopes, r.ScopesGiven = nil, false }, ""},
		"with a DPoP proof, to which it is bound":  {func(_ *Spec, r *Request) { r.Proof.JKT = thumb }, ""},
		"under its own client ID, without another": {func(s *Spec, _ *Request) { s.Externals[0].Names = nil }, ""},
		"KC-44: with another client's ID token": {func(_ *Spec, r *Request) {
			r.Subject.Audiences, r.Subject.ClientID = []string{"shop/other"}, "shop/other"
		}, SubjectAudience},
		"KC-45: with one that it may only see": {func(_ *Spec, r *Request) {
			r.Subject.Audiences, r.Subject.ClientID = []string{"shop/other"}, "shop/frontend"
		}, SubjectAudience},
		"KC-45: with an access token":           {func(_ *Spec, r *Request) { r.Subject.Class, r.SubjectAs = ClassAccessToken, AsAccessToken }, SubjectTokenType},
		"KC-44: an access token as an ID token": {func(_ *Spec, r *Request) { r.Subject.Class = ClassAccessToken }, TokenClass},
		"KC-44: asking for an access token":     {func(_ *Spec, r *Request) { r.TokenType = TypeAccessToken }, TokenTypeNotGranted},
		"KC-44: at a target of ours": {func(_ *Spec, r *Request) {
			r.Audiences, r.Scopes = []string{"media/images-resource"}, []string{"images"}
		}, TokenTypeNotGranted},
		"KC-44: for a domain of nobody": {func(_ *Spec, r *Request) { r.Audiences = []string{"https://nobody.example"} }, TargetUnknown},
		"KC-45: for no domain":          {func(_ *Spec, r *Request) { r.Audiences, r.Scopes, r.ScopesGiven = nil, nil, false }, TargetNotGranted},
		"KC-45: for a resource alone": {func(_ *Spec, r *Request) {
			r.Audiences, r.Resources = nil, []string{"https://api.other.example"}
		}, TargetUnknown},
		"KC-45: by a client that it is not for":    {func(s *Spec, _ *Request) { s.Externals[0].Clients = nil }, TargetNotGranted},
		"KC-44: with a scope that it may not have": {func(_ *Spec, r *Request) { r.Scopes = []string{"admin"} }, ScopeNotGranted},
		"KC-45: by a public client": {func(s *Spec, r *Request) {
			r.Client.Public = true
			r.Subject.Confirmed, r.Subject.Confirmation, r.Proof.JKT = true, Confirmation{JKT: thumb}, thumb
		}, SubjectBinding},
		"for a resource that is none":     {func(_ *Spec, r *Request) { r.Resources = []string{"api"} }, TargetUnknown},
		"for a resource with a fragment":  {func(_ *Spec, r *Request) { r.Resources = []string{"https://api.other.example#x"} }, TargetUnknown},
		"beside a target of ours":         {func(_ *Spec, r *Request) { r.Audiences = append(r.Audiences, "media/images-resource") }, TargetsMixed},
		"beside a resource of ours":       {func(_ *Spec, r *Request) { r.Resources = []string{"https://images.media.example/api"} }, TargetsMixed},
		"with a token that ends too soon": {func(_ *Spec, r *Request) { r.Subject.ExpiresAt = r.Now.Add(5 * time.Second) }, LifetimeTooShort},
		"with a bound token, without proof": {func(_ *Spec, r *Request) {
			r.Subject.Confirmed, r.Subject.Confirmation = true, Confirmation{JKT: thumb}
		}, SubjectBinding},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := abroad()
			p := policyNamed(s, "images")
			p.TokenTypes = append(p.TokenTypes, TypeIDJAG) // which no API lets anybody write
			test.change(s, r)
			d := mustCompile(t, s).Decide(r)
			if d.Reason != test.reason || (d.Outcome == Allowed) != (test.reason == "") {
				t.Fatalf("%s %s (%s: %s), want %q", d.Outcome, d.Reason, d.Check, d.Detail, test.reason)
			}
		})
	}
}
