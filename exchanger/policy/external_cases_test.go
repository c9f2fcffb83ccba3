// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const partner = "https://api.partner.example"

// outside is the world with one external target.
func outside(change ...func(*External)) *Spec {
	s := world()
	e := External{
		Name: "partner", TokenService: "default", Kind: ExternalTokenExchange, Audiences: []string{partner, "https://partner.example"},
		Clients: []string{"shop/frontend"}, SubjectIssuers: []string{"corp"}, SubjectClasses: []Class{ClassAccessToken},
		SubjectAudience: AudienceRule{Match: AudienceClient}, Scopes: []string{"orders", "offers"},
		Remote: &Upstream{URL: "https://sts.partner.example/token"}, UpstreamAudience: "partner-api",
	}
	for _, f := range change {
		f(&e)
	}
	s.Externals = []External{e}
	return s
}

func TestWhoMayHaveAnExternalTarget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec    func(*External)
		request func(*Request)
		reason  Reason
	}{
		"by its audience":                    {nil, nil, ""},
		"by both of its names":               {nil, func(r *Request) { r.Audiences = []string{partner, "https://partner.example"} }, ""},
		"with a scope of the other server's": {nil, func(r *Request) { r.Scopes, r.ScopesGiven = []string{"orders"}, true }, ""},
		"with a scope that may not be asked": {nil, func(r *Request) { r.Scopes, r.ScopesGiven = []string{"admin"}, true }, ScopeNotGranted},
		"with one of ours":                   {nil, func(r *Request) { r.Scopes, r.ScopesGiven = []string{"images"}, true }, ScopeNotGranted},
		"beside a target of ours":            {nil, func(r *Request) { r.Audiences = []string{partner, "media/images-resource"} }, TargetsMixed},
		"as a resource":                      {nil, func(r *Request) { r.Audiences, r.Resources = nil, []string{partner} }, TargetUnknown},
		"by the name of its object":          {nil, func(r *Request) { r.Audiences = []string{"ExternalTarget/partner"} }, TargetUnknown},
		"by another client":                  {nil, func(r *Request) { r.Client.ID = "shop/other" }, TargetNotGranted},
		"with a token of another issuer":     {func(e *External) { e.SubjectIssuers = []string{"k8s"} }, nil, SubjectIssuer},
		"with a token of another class":      {func(e *External) { e.SubjectClasses = []Class{ClassIDToken} }, nil, SubjectTokenType},
		"with somebody else's token":         {nil, func(r *Request) { r.Subject.Audiences, r.Subject.ClientID = []string{"shop/other"}, "shop/other" }, SubjectAudience},
		"with a rule that holds":             {func(e *External) { e.Rules = []Rule{{Expression: "true"}} }, nil, ""},
		"with a rule that does not":          {func(e *External) { e.Rules = []Rule{{Expression: "false"}} }, nil, PolicyRule},
		"with a rule over the subject":       {func(e *External) { e.SubjectRules = []Rule{{Expression: "false"}} }, nil, SubjectRule},
		"with a bound token, and its proof": {nil, func(r *Request) {
			r.Subject.Confirmed, r.Subject.Confirmation, r.Proof.JKT = true, Confirmation{JKT: thumb}, thumb
		}, SubjectBinding},
		"with a proof that asks for a bound token": {nil, func(r *Request) { r.Proof.JKT = thumb }, SubjectBinding},
		"as a JWT":                             {nil, func(r *Request) { r.TokenType = TypeJWT }, ""},
		"as a JWT of who gives none":           {func(e *External) { e.Kind = ExternalLinkedToken }, func(r *Request) { r.TokenType = TypeJWT }, TokenTypeNotGranted},
		"with a refresh token":                 {nil, func(r *Request) { r.TokenType = TypeRefreshToken }, TokenTypeNotGranted},
		"an ID-JAG of who takes none":          {nil, func(r *Request) { r.TokenType = TypeIDJAG }, TokenTypeNotGranted},
		"an access token of who takes ID-JAGs": {func(e *External) { e.Kind = ExternalIDJAG }, nil, TokenTypeNotGranted},
		"an ID-JAG": {func(e *External) { e.Kind, e.SubjectClasses = ExternalIDJAG, []Class{ClassIDToken} }, func(r *Request) {
			r.TokenType, r.Subject.Class, r.SubjectAs, r.Resources = TypeIDJAG, ClassIDToken, AsIDToken, []string{"https://there.example"}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := outside()
			if c.spec != nil {
				spec = outside(c.spec)
			}
			r := ask()
			r.Audiences, r.Resources, r.Scopes, r.ScopesGiven = []string{partner}, nil, nil, false
			if c.request != nil {
				c.request(r)
			}
			d := mustCompile(t, spec).Decide(r)
			if d.Reason != c.reason || (d.Outcome == Allowed) != (c.reason == "") {
				t.Fatalf("%s %s (%s: %s), want %q", d.Outcome, d.Reason, d.Check, d.Detail, c.reason)
			}
		})
	}
}

var thumb = strings.Repeat("A", 43) //nolint:gochecknoglobals // a constant

func TestWhatIsShownToAnotherServer(t *testing.T) {
	t.Parallel()
	ask := func(change func(*External), requests ...func(*Request)) *Grant {
		r := ask()
		r.Audiences, r.Scopes, r.ScopesGiven = []string{partner}, []string{"orders"}, true
		for _, f := range requests {
			f(r)
		}
		d := mustCompile(t, outside(change)).Decide(r)
		g, ok := d.Grant()
		if !ok {
			t.Fatal(d.Reason, d.Detail)
		}
		return g
	}
	for name, c := range map[string]struct {
		change func(*External)
		want   *Assertion
	}{
		"token exchange":                       {func(*External) {}, &Assertion{TypeHeaderExternal, "corp:alice", "https://sts.partner.example/token"}},
		"an assertion grant":                   {func(e *External) { e.Kind = ExternalJWTBearer }, &Assertion{"authorization-grant+jwt", "corp:alice", "partner-api"}},
		"an assertion grant, without audience": {func(e *External) { e.Kind, e.UpstreamAudience = ExternalJWTBearer, "" }, &Assertion{"authorization-grant+jwt", "corp:alice", "https://sts.partner.example/token"}},
		"a federated client":                   {func(e *External) { e.Kind = ExternalClientCredentials }, &Assertion{"client-authentication+jwt", "shop/frontend", "partner-api"}},
		"a webhook":                            {func(e *External) { e.Kind = ExternalWebhook }, &Assertion{TypeHeaderExternal, "corp:alice", "https://sts.partner.example/token"}},
		"the caller's own token":               {func(e *External) { e.Forward = true }, nil},
		"a linked token":                       {func(e *External) { e.Kind, e.Remote = ExternalLinkedToken, nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := ask(c.change)
			if !reflect.DeepEqual(g.Assertion, c.want) || g.External == nil || !reflect.DeepEqual(g.Granted, []string{"orders"}) {
				t.Fatalf("assertion %+v, scopes %v; want %+v", g.Assertion, g.Granted, c.want)
			}
			if c.want != nil && g.ExpiresAt.Sub(g.IssuedAt) != time.Minute {
				t.Errorf("it lives %s, want a minute", g.ExpiresAt.Sub(g.IssuedAt))
			}
		})
	}
	t.Run("a subject token that ends sooner", func(t *testing.T) {
		t.Parallel()
		g := ask(func(*External) {}, func(r *Request) { r.Subject.ExpiresAt = r.Now.Add(20 * time.Second) })
		if g.ExpiresAt.Sub(g.IssuedAt) != 20*time.Second {
			t.Errorf("it lives %s", g.ExpiresAt.Sub(g.IssuedAt))
		}
	})
}

func TestTwoExternalTargetsDoNotShareAName(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Spec){
		"with another one": func(s *Spec) { s.Externals = append(s.Externals, s.Externals[0]) },
		"with a client":    func(s *Spec) { s.Externals[0].Audiences = []string{"media/images-resource"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := outside()
			change(s)
			if _, err := Compile(s, 1, words{}); err == nil {
				t.Error("compiled")
			}
		})
	}
}
