// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// nine is the bound of the revocations here: alice's token was issued before it, what
// is made of it after.
func nine() time.Time { return now().Add(-30 * time.Second) }

// derived is what token is exchanged for by a client, as it comes back.
func derived(t *testing.T, token *Token, change func(*Grant)) *Token {
	t.Helper()
	sealed := token.seal()
	sealed.Actors = token.Actors
	g := &Grant{Sealed: sealed, Subject: token}
	if change != nil {
		change(g)
	}
	g.Sealed.Lineage = sealedFor(g.Sealed.Lineage, g.Subject.Subject)
	text, err := json.Marshal(&g.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	svc, _ := mustCompile(t, world()).Service("default")
	claims := map[string]any{
		"iss": "https://sts.example", "sub": g.Subject.Subject, "aud": "shop/web", "client_id": "shop/other",
		"exp": now().Add(time.Hour).Unix(), "iat": now().Unix(), "jti": "d-" + token.TokenID,
	}
	if token.Act != nil {
		claims["act"] = token.Act
	}
	out, ref := svc.IdentifyOwn(Presented{Type: "at+jwt", Claims: claims}, text)
	if ref != nil {
		t.Fatal(ref)
	}
	return out
}

// withHelper is alice's token in the hands of somebody who acts for her, who came with
// a token of their own, or inside of hers.
func withHelper(t *testing.T, ownToken bool) *Token {
	t.Helper()
	subject := alice()
	if !ownToken {
		subject.Act = map[string]any{"iss": "https://corp.example", "sub": "helper"}
		subject.Actors = []Actor{{RawIssuer: "https://corp.example", RawSubject: "helper"}}
		return derived(t, subject, nil)
	}
	helper := alice()
	helper.RawSubject, helper.Subject, helper.TokenID = "helper", "corp:helper", "h1"
	helper.IssuedAt = now().Add(-time.Second) // after nine
	return derived(t, subject, func(g *Grant) {
		g.Sealed.Actors = []Actor{helper.asActor("shop/other")}
		g.Sealed.Lineage = withActor(g.Sealed.Lineage, helper.lineage())
	})
}

func TestRevocationsReachWhatTheyName(t *testing.T) {
	t.Parallel()
	later := now().Add(time.Hour)
	presented := func(*testing.T) *Token { return alice() }
	issued := func(*testing.T) *Token {
		a := alice()
		a.ClientID = "corp-shop" // what the issuer calls shop/frontend
		return a
	}
	hop := func(t *testing.T) *Token { t.Helper(); return derived(t, alice(), nil) }
	twoHops := func(t *testing.T) *Token { t.Helper(); return derived(t, derived(t, alice(), nil), nil) }
	impersonated := func(t *testing.T) *Token {
		t.Helper()
		return derived(t, alice(), func(g *Grant) { // she asked to be bob
			by := g.Subject.asActor("shop/other")
			bob := *g.Subject
			bob.Subject = "corp:bob"
			g.Subject, g.Sealed.By = &bob, &by
		})
	}
	for name, c := range map[string]struct {
		token   func(*testing.T) *Token
		r       Revocation
		revoked bool
	}{
		"a subject's token from before":            {presented, Revocation{Subject: "corp:alice", IssuedBefore: nine()}, true},
		"a subject's token from after":             {presented, Revocation{Subject: "corp:alice", IssuedBefore: now().Add(-time.Hour)}, false},
		"another subject's":                        {presented, Revocation{Subject: "corp:bob", IssuedBefore: nine()}, false},
		"what was derived from it, though later":   {hop, Revocation{Subject: "corp:alice", IssuedBefore: nine()}, true},
		"and what was derived from that":           {twoHops, Revocation{Subject: "corp:alice", IssuedBefore: nine()}, true},
		"what was derived from a token from after": {hop, Revocation{Subject: "corp:alice", IssuedBefore: now().Add(-time.Hour)}, false},
		"one token of a trusted issuer":            {presented, Revocation{Issuer: "corp", TokenID: "t1"}, true},
		"one token, and what was derived from it":  {twoHops, Revocation{Issuer: "corp", TokenID: "t1"}, true},
		"the same ID of another issuer":            {twoHops, Revocation{Issuer: "k8s", TokenID: "t1"}, false},
		"the same ID of ours":                      {twoHops, Revocation{TokenID: "t1"}, false},
		"one token of ours":                        {hop, Revocation{TokenID: "d-t1"}, true},
		"one token of ours, and what came of it":   {twoHops, Revocation{TokenID: "d-t1"}, true},
		"a client's tokens":                        {hop, Revocation{Client: "shop/other", IssuedBefore: later}, true},
		"a client's tokens from before":            {hop, Revocation{Client: "shop/other", IssuedBefore: nine()}, false},
		"another client's":                         {hop, Revocation{Client: "shop/frontend", IssuedBefore: later}, false},
		"a client as its issuer calls it":          {issued, Revocation{Client: "shop/frontend", IssuedBefore: nine()}, true},
		"an issuer's ID is no client of ours":      {issued, Revocation{Client: "corp-shop", IssuedBefore: nine()}, false},
		"set members are all meant: both fit":      {presented, Revocation{Subject: "corp:alice", TokenID: "t1", Issuer: "corp", IssuedBefore: nine()}, true},
		"set members are all meant: one does not":  {presented, Revocation{Subject: "corp:bob", TokenID: "t1", Issuer: "corp"}, false},
		"a subject at one issuer":                  {presented, Revocation{Subject: "corp:alice", Issuer: "corp", IssuedBefore: nine()}, true},
		"a subject at another":                     {presented, Revocation{Subject: "corp:alice", Issuer: "k8s", IssuedBefore: nine()}, false},
		"one that is over":                         {presented, Revocation{Subject: "corp:alice", IssuedBefore: nine(), ExpiresAt: now()}, false},
		"an actor that nobody verified here":       {func(t *testing.T) *Token { t.Helper(); return withHelper(t, false) }, Revocation{Subject: "corp:helper", IssuedBefore: nine()}, true},
		"an actor whose own token is from after":   {func(t *testing.T) *Token { t.Helper(); return withHelper(t, true) }, Revocation{Subject: "corp:helper", IssuedBefore: nine()}, false},
		"an actor whose own token is from before":  {func(t *testing.T) *Token { t.Helper(); return withHelper(t, true) }, Revocation{Subject: "corp:helper", IssuedBefore: now()}, true},
		"an actor's own token":                     {func(t *testing.T) *Token { t.Helper(); return withHelper(t, true) }, Revocation{Issuer: "corp", TokenID: "h1"}, true},
		"what was derived with an actor's token":   {func(t *testing.T) *Token { t.Helper(); return derived(t, withHelper(t, true), nil) }, Revocation{Issuer: "corp", TokenID: "h1"}, true},
		"an impersonator":                          {impersonated, Revocation{Subject: "corp:alice", IssuedBefore: nine()}, true},
		"an impersonator at one client":            {impersonated, Revocation{Subject: "corp:alice", Client: "shop/other", IssuedBefore: later}, true},
		"the impersonated":                         {impersonated, Revocation{Subject: "corp:bob", IssuedBefore: later}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.r.Name, c.r.TokenService = "lost", "default"
			if c.r.ExpiresAt.IsZero() {
				c.r.ExpiresAt = later
			}
			spec := world()
			spec.Revocations = []Revocation{{Name: "elsewhere", TokenService: "default", Subject: "corp:nobody", IssuedBefore: later, ExpiresAt: later}, c.r}
			svc, _ := mustCompile(t, spec).Service("default")
			ref := svc.NotRevoked(c.token(t), now())
			if (ref != nil) != c.revoked {
				t.Fatalf("refusal %v, want revoked %v", ref, c.revoked)
			}
			if ref != nil && (ref.Reason != TokenRevoked || ref.Detail != "TokenRevocation lost") {
				t.Errorf("got %s %s", ref.Reason, ref.Detail)
			}
		})
	}
}

func TestRevokeIssuedBeforeReachesWhatWasDerived(t *testing.T) {
	t.Parallel()
	earlier := func(t *testing.T) *Token {
		t.Helper()
		first := derived(t, alice(), nil)
		first.IssuedAt = now().Add(-45 * time.Second) // before nine
		return derived(t, first, nil)
	}
	for name, c := range map[string]struct {
		change func(*Spec)
		want   string
	}{
		"of the token service":          {func(s *Spec) { s.Services[0].RevokeIssuedBefore = nine() }, "revokeIssuedBefore of TokenService default"},
		"of the client that it was for": {func(s *Spec) { s.Clients[4].RevokeIssuedBefore = nine() }, "revokeIssuedBefore of ExchangeClient shop/other"},
		"of another client":             {func(s *Spec) { s.Clients[3].RevokeIssuedBefore = nine() }, ""},
		"of the first issuer":           {func(s *Spec) { s.Issuers[0].RevokeIssuedBefore = nine() }, "revokeIssuedBefore of TrustedIssuer corp"},
		"of another issuer":             {func(s *Spec) { s.Issuers[1].RevokeIssuedBefore = nine() }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := world()
			c.change(spec)
			svc, _ := mustCompile(t, spec).Service("default")
			ref := svc.NotRevoked(earlier(t), now())
			switch {
			case ref == nil && c.want == "":
			case ref == nil || ref.Detail != c.want:
				t.Errorf("got %v, want %q", ref, c.want)
			}
		})
	}
}

func TestARevokedTokenIsRefusedAsSubjectAndAsActor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r     Revocation
		actor bool
	}{
		"a subject":             {Revocation{Subject: "corp:alice", IssuedBefore: now()}, false},
		"F206, R11: an actor":   {Revocation{Subject: "k8s:system:serviceaccount:agents:bot", IssuedBefore: now()}, true},
		"the token of an actor": {Revocation{Issuer: "k8s", TokenID: "b1"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := world()
			p := policyNamed(spec, "images")
			p.Actor = ActorPolicy{Use: ActorsOptional, Issuers: []string{"k8s"}, Audience: AudienceRule{Match: AudienceClient}, Rules: []Rule{{Expression: "true"}}}
			r := ask()
			if c.actor {
				r.Actor, r.ActorAs = bot(), AsJWT
			}
			if d := mustCompile(t, spec).Decide(r); d.Outcome != Allowed {
				t.Fatalf("before: %s %s", d.Reason, d.Detail)
			}
			c.r.Name, c.r.TokenService, c.r.ExpiresAt = "lost", "default", now().Add(time.Hour)
			spec.Revocations = []Revocation{c.r}
			d := mustCompile(t, spec).Decide(r)
			if d.Outcome != Denied || d.Reason != TokenRevoked || !strings.HasSuffix(d.Check, "NotRevoked") {
				t.Errorf("got %s %s (%s) %s", d.Outcome, d.Reason, d.Check, d.Detail)
			}
		})
	}
}

func TestARevocationThatNamesNobodyDoesNotCompile(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Revocation{
		"nothing is named":        {Name: "x", TokenService: "default"},
		"another token service's": {Name: "x", TokenService: "other", Subject: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := world()
			spec.Revocations = []Revocation{r}
			if _, err := Compile(spec, 1, words{}); err == nil {
				t.Error("compiled")
			}
		})
	}
}

func TestATokenStandsWhileWhatItHangsOnDoes(t *testing.T) {
	t.Parallel()
	grant := ImpersonationGrantSpec{
		Name: "support", TokenService: "default", Clients: []string{"shop/other"}, Targets: []string{"media/images-resource"}, NotAfter: now().Add(time.Hour),
	}
	for name, c := range map[string]struct {
		spec  func(*Spec)
		token func(*Token)
		want  Reason
	}{
		"nothing is wrong":                        {},
		"it has ended":                            {token: func(t *Token) { t.ExpiresAt = now() }, want: TokenExpired},
		"it is yet to come":                       {token: func(t *Token) { t.NotBefore = now().Add(2 * time.Minute) }, want: TokenNotYetValid},
		"clocks may differ by a minute":           {token: func(t *Token) { t.NotBefore = now().Add(50 * time.Second) }},
		"its first issuer is gone":                {spec: func(s *Spec) { s.Issuers[0].Name = "renamed" }, want: IssuerUnknown},
		"its first issuer is suspended":           {spec: func(s *Spec) { s.Issuers[0].Suspended = true }, want: IssuerSuspended},
		"another issuer has its first one's name": {spec: func(s *Spec) { s.Issuers[0].URL = "https://other.example" }, want: IssuerUnknown},
		"its client is gone":                      {token: func(t *Token) { t.ClientID = "shop/gone" }, want: ClientUnknown},
		"its client is suspended":                 {spec: func(s *Spec) { s.Clients[4].Suspended = true }, want: ClientSuspended},
		"its grant stands":                        {spec: func(s *Spec) { s.Grants = []ImpersonationGrantSpec{grant} }, token: func(t *Token) { t.Under = "support" }},
		"its grant is gone":                       {token: func(t *Token) { t.Under = "support" }, want: ImpersonationGrant},
		"its grant has ended": {
			spec:  func(s *Spec) { g := grant; g.NotAfter = now(); s.Grants = []ImpersonationGrantSpec{g} },
			token: func(t *Token) { t.Under = "support" }, want: ImpersonationGrant,
		},
		"it is revoked": {spec: func(s *Spec) { s.Services[0].RevokeIssuedBefore = now().Add(time.Hour) }, want: TokenRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec, token := world(), derived(t, alice(), nil)
			if c.spec != nil {
				c.spec(spec)
			}
			if c.token != nil {
				c.token(token)
			}
			svc, _ := mustCompile(t, spec).Service("default")
			var got Reason
			if ref := svc.Standing(token, now()); ref != nil {
				got = ref.Reason
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhoMayKnowWhatATokenSays(t *testing.T) {
	t.Parallel()
	svc, _ := mustCompile(t, world()).Service("default")
	token := &Token{Issuer: SelfIssuer, ClientID: "shop/other", Audiences: []string{"shop/web", "https://images.media.example/api"}}
	for client, may := range map[string]bool{
		"shop/other": true, "shop/frontend": true /* shop/web is a name of it */, "media/images-resource": true, /* so is the resource */
		"media/contacts-resource": false, "hr/api": false, "": false, "shop/web": false, "shop/gone": false,
	} {
		if svc.MayInspect(token, client) != may {
			t.Errorf("%q: want %v", client, may)
		}
	}
}
