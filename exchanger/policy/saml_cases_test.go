// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"testing"
	"time"
)

const entity = "https://legacy.example/sp"

// old is a world whose images API takes assertions, and in which there is a provider
// that issues them.
func old(change ...func(*Spec)) *Spec {
	s := world()
	clientNamed(s, "media/images-resource").SAML = &SAMLTarget{
		EntityID: entity, Recipient: entity + "/acs", NameIDFormat: "Persistent",
		Attributes: []Claim{{Name: "mail", Expression: "text a@b.example"}, {Name: "absent", Expression: "null"}},
	}
	p := policyNamed(s, "images")
	p.TokenTypes = append(p.TokenTypes, TypeSAML2)
	s.Services[0].SAML2 = Lifetimes{Default: 2 * time.Minute, Max: 3 * time.Minute}
	s.Issuers = append(s.Issuers, Issuer{
		Name: "adfs", TokenService: "default", Kind: IssuerSAML, URL: "https://corp.example", ForSubject: true,
		Audiences: []string{"https://sts.example/saml"}, Algorithms: []string{}, Classes: []Class{ClassSAML2}, Prefix: "adfs:",
		MaxTokenAge: 24 * time.Hour, ClockSkew: 30 * time.Second, Mappings: Mappings{Subject: Value{Claim: "sub"}},
		SAML: &SAMLIssuer{Recipient: "https://sts.example/token"},
	})
	for _, f := range change {
		f(s)
	}
	return s
}

func TestWhoMayHaveAnAssertion(t *testing.T) {
	t.Parallel()
	target := func(f func(*Client)) func(*Spec) {
		return func(s *Spec) { f(clientNamed(s, "media/images-resource")) }
	}
	for name, c := range map[string]struct {
		spec    func(*Spec)
		request func(*Request)
		reason  Reason
		seconds int
	}{
		"as the policy says":          {nil, nil, "", 120},
		"by its entity ID":            {nil, func(r *Request) { r.Audiences = []string{entity} }, "", 120},
		"by both of its names":        {nil, func(r *Request) { r.Audiences = append(r.Audiences, entity) }, "", 120},
		"not where no policy says so": {func(s *Spec) { policyNamed(s, "images").TokenTypes = []TokenType{TypeAccessToken} }, nil, TokenTypeNotGranted, 0},
		"not for who takes none":      {target(func(c *Client) { c.SAML = nil }), nil, TokenTypeNotGranted, 0},
		"not for two at once": {func(s *Spec) {
			s.Policies[0].TokenTypes = []TokenType{TypeSAML2}
			clientNamed(s, "media/contacts-resource").SAML = &SAMLTarget{EntityID: "https://other.example", Recipient: "x"}
		}, func(r *Request) {
			r.Audiences, r.Scopes, r.ScopesGiven = append(r.Audiences, "media/contacts-resource"), []string{"wide"}, true
			r.Subject.Scopes = []string{"wide"}
		}, TargetsMixed, 0},
		"no longer than the most":            {func(s *Spec) { policyNamed(s, "images").Lifetime = time.Hour }, nil, "", 120},
		"as long as policy and target say":   {func(s *Spec) { policyNamed(s, "images").Lifetime = time.Minute }, nil, "", 60},
		"no longer than the service's max":   {func(s *Spec) { s.Services[0].SAML2 = Lifetimes{Default: time.Hour, Max: 3 * time.Minute} }, nil, "", 180},
		"as other tokens, where none says":   {func(s *Spec) { s.Services[0].SAML2 = Lifetimes{} }, nil, "", 300},
		"R37: not past the subject's end":    {nil, func(r *Request) { r.Subject.ExpiresAt = now().Add(20 * time.Second) }, "", 20},
		"not with an attribute that errs":    {target(func(c *Client) { c.SAML.Attributes[0].Expression = "error" }), nil, ClaimInvalid, 0},
		"not with one that is no text":       {target(func(c *Client) { c.SAML.Attributes[0].Expression = "number x" }), nil, ClaimInvalid, 0},
		"not with one that is too long":      {target(func(c *Client) { c.SAML.Attributes[0].Expression = "long" }), nil, ClaimInvalid, 0},
		"not with one that is reserved":      {target(func(c *Client) { c.SAML.Attributes[0].Name = "act" }), nil, ClaimInvalid, 0},
		"an access token does not mind them": {target(func(c *Client) { c.SAML.Attributes[0].Expression = "error" }), func(r *Request) { r.TokenType = TypeAccessToken }, "", 300},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := old()
			if c.spec != nil {
				c.spec(s)
			}
			snapshot, err := Compile(s, 1, words{})
			if err != nil {
				t.Fatal(err)
			}
			r := ask()
			r.TokenType = TypeSAML2
			if c.request != nil {
				c.request(r)
			}
			d := snapshot.Decide(r)
			if d.Reason != c.reason {
				t.Fatalf("%s: %s", d.Reason, d.Detail)
			}
			g, ok := d.Grant()
			if ok != (c.reason == "") {
				t.Fatal("granted")
			}
			if !ok {
				return
			}
			if got := int(g.ExpiresAt.Sub(g.IssuedAt).Seconds()); got != c.seconds {
				t.Errorf("lives %d seconds, want %d", got, c.seconds)
			}
			if (g.SAML != nil) != (r.TokenType == TypeSAML2) {
				t.Errorf("%+v", g.SAML)
			}
			if g.SAML != nil && (g.SAML.EntityID != entity || g.SAML.Recipient != entity+"/acs" || g.SAML.NameIDFormat != "Persistent" ||
				!slices.Equal(g.SAML.Attributes, []GrantedClaim{{"mail", "a@b.example"}})) {
				t.Errorf("%+v", g.SAML)
			}
		})
	}
}

func TestIssuersOfAssertionsAreKnownByTheirEntityIDsAlone(t *testing.T) {
	t.Parallel()
	snapshot, err := Compile(old(), 1, words{})
	if err != nil {
		t.Fatal(err)
	}
	svc, _ := snapshot.Service("default")
	if i, ok := svc.AssertionIssuer("https://corp.example"); !ok || i.Name() != "adfs" {
		t.Error("the issuer of assertions is not found")
	}
	if all := svc.IssuersByURL("https://corp.example"); len(all) != 1 || all[0].Name() != "corp" {
		t.Error("an issuer of assertions is one of tokens")
	}
	if _, ok := svc.AssertionIssuer("https://k8s.example"); ok {
		t.Error("an issuer of tokens is one of assertions")
	}
	corp, _ := svc.TrustedIssuer("corp")
	said := Presented{Claims: map[string]any{"iss": "https://corp.example", "sub": "alice", "aud": "x", "iat": now().Unix(), "exp": now().Unix() + 60, "act": "x"}}
	if _, ref := corp.MapAssertion(said); ref == nil || ref.Reason != TokenClass {
		t.Error("an issuer of tokens is believed about an assertion")
	}
	adfs, _ := svc.TrustedIssuer("adfs")
	delete(said.Claims, "act")
	for _, typ := range []string{"", "jwt", "at+jwt"} {
		said.Type = typ
		if _, ref := adfs.Identify(said); ref == nil || ref.Reason != TokenClass {
			t.Errorf("typ %q: an issuer of assertions is believed about a token: %v", typ, ref)
		}
		if tok, ref := adfs.MapAssertion(said); ref != nil || tok.Class != ClassSAML2 || tok.Subject != "adfs:alice" {
			t.Errorf("typ %q: %v, %v", typ, tok, ref)
		}
	}
	for name, change := range map[string]func(*Spec){
		"two with one entity ID": func(s *Spec) {
			i := s.Issuers[len(s.Issuers)-1]
			i.Name, i.Prefix = "adfs2", "adfs2:"
			s.Issuers = append(s.Issuers, i)
		},
		"one of which nothing is known":                      func(s *Spec) { s.Issuers[len(s.Issuers)-1].SAML = nil },
		"an entity ID that is an audience of another client": func(s *Spec) { clientNamed(s, "shop/frontend").Audiences = []string{entity} },
		"an attribute that does not compile":                 func(s *Spec) { clientNamed(s, "media/images-resource").SAML.Attributes[0].Expression = "nonsense" },
	} {
		if _, err := Compile(old(change), 1, words{}); err == nil {
			t.Error(name, "compiles")
		}
	}
}

func TestAnAssertionIsPresentedAsOne(t *testing.T) {
	t.Parallel()
	s := old()
	p := policyNamed(s, "images")
	p.SubjectIssuers, p.SubjectClasses, p.AddScopes = []string{"adfs"}, []Class{ClassSAML2}, true
	p.SubjectAudience = AudienceRule{Match: AudienceIssuer}
	snapshot, err := Compile(s, 1, words{})
	if err != nil {
		t.Fatal(err)
	}
	for as, want := range map[PresentedAs]Reason{
		AsSAML2: "", AsAccessToken: TokenClass, AsJWT: TokenClass, AsIDToken: TokenClass, AsOpaque: TokenClass, AsHandover: TokenClass,
	} {
		r := ask()
		r.SubjectAs = as
		r.Subject.Issuer, r.Subject.Origin, r.Subject.Class, r.Subject.Audiences = "adfs", "adfs", ClassSAML2, []string{"https://sts.example/saml"}
		if d := snapshot.Decide(r); d.Reason != want {
			t.Errorf("F33: as %s: %s: %s", as, d.Reason, d.Detail)
		}
	}
	r := ask()
	r.SubjectAs = AsSAML2
	if d := snapshot.Decide(r); d.Reason != TokenClass {
		t.Errorf("a JWT as an assertion: %s", d.Reason)
	}
	t.Run("F238: for another audience", func(t *testing.T) {
		t.Parallel()
		r := ask()
		r.SubjectAs = AsSAML2
		r.Subject.Issuer, r.Subject.Origin, r.Subject.Class, r.Subject.Audiences = "adfs", "adfs", ClassSAML2, []string{"https://other.example"}
		if d := snapshot.Decide(r); d.Reason != SubjectAudience {
			t.Errorf("%s: %s", d.Reason, d.Detail)
		}
	})
}
