// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"maps"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// chained puts the jwt-bearer grant in force: app may redeem what corp asserts.
func chained(s *policy.Spec) {
	for i := range s.Clients {
		if s.Clients[i].ID == app {
			s.Clients[i].JWTBearer = true
		}
	}
	for i := range s.Issuers {
		s.Issuers[i].Audiences = []string{mainIssuer + "/corp"}
		s.Issuers[i].ClientAliases = []policy.Alias{{ID: "corp-app", Client: app}}
	}
	for i := range s.Policies {
		s.Policies[i].SubjectClasses = []policy.Class{policy.ClassJWTBearer, policy.ClassIDJAG}
		s.Policies[i].SubjectAudience = policy.AudienceRule{Match: policy.AudienceIssuer}
	}
}

// grantFor is an assertion of corp's for alice; typ is its header's.
func (w *world) grantFor(typ string, over claims) string {
	now := w.Now()
	all := claims{
		"iss": corpURL, "sub": "alice", "aud": mainIssuer, "iat": now.Unix(), "exp": now.Add(4 * time.Minute).Unix(), "jti": w.unique("grant"),
		"scope": "images contacts", "groups": []string{"staff"}, "tenant": "acme",
	}
	if typ == policy.TypeHeaderIDJAG {
		all["client_id"] = app
	}
	return w.sign(w.corp, typ, all, over)
}

// bearer is app's request for images with an assertion.
func bearer(assertion string, over url.Values) url.Values {
	v := url.Values{
		"grant_type": {oauth.GrantJWTBearer}, "client_id": {app}, "client_secret": {secret},
		"assertion": {assertion}, "audience": {images}, "scope": {"images"},
	}
	maps.Copy(v, over)
	return v
}

const idJAG = policy.TypeHeaderIDJAG

func TestAnAssertionIsAGrant(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		typ  string
		over claims
		ask  url.Values
	}{
		"KC-47: for this issuer":                         {"JWT", nil, nil},
		"KC-47: that says what it is":                    {"authorization-grant+jwt", nil, nil},
		"KC-47: for an audience of the trusted issuer":   {"JWT", claims{"aud": mainIssuer + "/corp"}, nil},
		"KC-47: with a list of one audience":             {"JWT", claims{"aud": []string{mainIssuer}}, nil},
		"KC-47: of five minutes":                         {"JWT", claims{"exp": time.Date(2030, 1, 1, 12, 5, 2, 0, time.UTC).Unix()}, nil},
		"KC-46: an ID-JAG":                               {idJAG, nil, nil},
		"KC-46: an ID-JAG, typ spelled out":              {"application/oauth-id-jag+jwt", claims{"client_id": app}, nil},
		"KC-46: an ID-JAG for the client's name at corp": {idJAG, claims{"client_id": "corp-app"}, nil},
		"an ID-JAG that names the resource": {
			idJAG,
			claims{"resource": "https://images.media.example/api"},
			url.Values{"audience": nil, "resource": {"https://images.media.example/api"}},
		},
		"an ID-JAG whose resource is the target, which is not asked for again": {
			idJAG,
			claims{"resource": []string{"https://images.media.example/api"}},
			url.Values{"audience": nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, chained)
			r := granted(t, w.exchange(bearer(w.grantFor(test.typ, test.over), test.ask)))
			c := w.claimsOf(r.AccessToken)
			if c["sub"] != "corp:alice" || c["client_id"] != app || r.TokenType != "Bearer" || r.Scope != "images" || c["tenant"] != "acme" {
				t.Errorf("%+v %v", r, c)
			}
			record := w.sink.last(t)
			if record.Grant != oauth.GrantJWTBearer || record.Outcome != policy.Allowed || len(record.TokensIn) != 1 {
				t.Errorf("%+v", record)
			}
		})
	}
	t.Run("KC-47: the token does not outlive the assertion, and there is no refresh token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chained)
		end := w.Now().Add(40 * time.Second).Unix()
		c := w.claimsOf(granted(t, w.exchange(bearer(w.grantFor("JWT", claims{"exp": end}), nil))).AccessToken)
		if c["exp"].(int64) > end {
			t.Errorf("exp %v after %d", c["exp"], end)
		}
	})
	t.Run("KC-47: without scope, what the assertion has and the policy gives", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chained)
		if r := granted(t, w.exchange(bearer(w.grantFor("JWT", nil), url.Values{"scope": nil}))); r.Scope != "images" {
			t.Errorf("scope %q", r.Scope)
		}
	})
}

func TestAssertionsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chained)
	at := w.Now().Unix()
	other := w.key("corp-1")
	for name, test := range map[string]struct {
		assertion string
		ask       url.Values
		want      policy.Reason
		code      string
	}{
		"KC-47: that is no JWT":                         {"garbage", nil, policy.TokenMalformed, "invalid_grant"},
		"KC-47: of an issuer that nobody trusts":        {w.grantFor("JWT", claims{"iss": "https://evil.example"}), nil, policy.IssuerUnknown, "invalid_grant"},
		"KC-47: without sub":                            {w.grantFor("JWT", claims{"sub": nil}), nil, policy.TokenMalformed, "invalid_grant"},
		"KC-47: without exp":                            {w.grantFor("JWT", claims{"exp": nil}), nil, policy.TokenMalformed, "invalid_grant"},
		"KC-47: without iat":                            {w.grantFor("JWT", claims{"iat": nil}), nil, policy.TokenMalformed, "invalid_grant"},
		"KC-47: that has expired":                       {w.grantFor("JWT", claims{"iat": at - 200, "exp": at - 40}), nil, policy.TokenExpired, "invalid_grant"},
		"KC-47: that is not valid yet":                  {w.grantFor("JWT", claims{"nbf": at + 60}), nil, policy.TokenNotYetValid, "invalid_grant"},
		"KC-47: of more than five minutes":              {w.grantFor("JWT", claims{"exp": at + 301}), nil, policy.TokenMalformed, "invalid_grant"},
		"KC-47: without aud":                            {w.grantFor("JWT", claims{"aud": nil}), nil, policy.SubjectAudience, "invalid_grant"},
		"KC-47: for another server":                     {w.grantFor("JWT", claims{"aud": "https://other.example"}), nil, policy.SubjectAudience, "invalid_grant"},
		"KC-47: for two servers":                        {w.grantFor("JWT", claims{"aud": []string{mainIssuer, "https://other.example"}}), nil, policy.SubjectAudience, "invalid_grant"},
		"KC-47: for two names of this one":              {w.grantFor("JWT", claims{"aud": []string{mainIssuer, mainIssuer + "/corp"}}), nil, policy.SubjectAudience, "invalid_grant"},
		"KC-47: for the client":                         {w.grantFor("JWT", claims{"aud": app}), nil, policy.SubjectAudience, "invalid_grant"},
		"KC-47: for the introspection endpoint":         {w.grantFor("JWT", claims{"aud": mainIssuer + "/introspect"}), nil, policy.SubjectAudience, "invalid_grant"},
		"KC-47: without jti":                            {w.grantFor("JWT", claims{"jti": nil}), nil, policy.TokenMalformed, "invalid_grant"},
		"KC-47: by the same kid of another key":         {w.signedBy(other), nil, policy.TokenSignature, "invalid_grant"},
		"an access token is no assertion":               {w.token(claims{"aud": mainIssuer, "exp": at + 60}), nil, policy.TokenClass, "invalid_grant"},
		"an ID token is no assertion":                   {w.grantFor("JWT", claims{"nonce": "n", "scope": nil}), nil, policy.TokenClass, "invalid_grant"},
		"a logout token is no assertion":                {w.grantFor("JWT", claims{"events": claims{}}), nil, policy.TokenClass, "invalid_grant"},
		"a DPoP proof is no assertion":                  {w.grantFor("dpop+jwt", nil), nil, policy.TokenClass, "invalid_grant"},
		"a client's assertion is no grant":              {w.grantFor("client-authentication+jwt", nil), nil, policy.TokenClass, "invalid_grant"},
		"KC-46: an ID-JAG without client_id":            {w.grantFor(idJAG, claims{"client_id": nil}), nil, policy.SubjectAudience, "invalid_grant"},
		"KC-46: an ID-JAG for another client":           {w.grantFor(idJAG, claims{"client_id": signer}), nil, policy.SubjectAudience, "invalid_grant"},
		"KC-46: an ID-JAG for another server":           {w.grantFor(idJAG, claims{"aud": "https://other.example"}), nil, policy.SubjectAudience, "invalid_grant"},
		"KC-46: an ID-JAG for an audience of corp's":    {w.grantFor(idJAG, claims{"aud": mainIssuer + "/corp"}), nil, policy.SubjectAudience, "invalid_grant"},
		"KC-46: an ID-JAG for two servers":              {w.grantFor(idJAG, claims{"aud": []string{mainIssuer, "https://other.example"}}), nil, policy.SubjectAudience, "invalid_grant"},
		"an ID-JAG in quotes":                           {`"` + w.grantFor(idJAG, nil) + `"`, nil, policy.TokenMalformed, "invalid_request"},
		"a target beyond what the ID-JAG names":         {w.grantFor(idJAG, claims{"resource": "https://images.media.example/api"}), nil, policy.TargetNotGranted, "invalid_target"},
		"a resource of the ID-JAG that is nobody's":     {w.grantFor(idJAG, claims{"resource": "https://nobody.example"}), url.Values{"audience": nil}, policy.TargetUnknown, "invalid_target"},
		"a resource of the ID-JAG that is no string":    {w.grantFor(idJAG, claims{"resource": 7}), url.Values{"audience": nil}, policy.TokenMalformed, "invalid_grant"},
		"an ID-JAG that names no resource at all":       {w.grantFor(idJAG, claims{"resource": []string{}}), url.Values{"audience": nil}, policy.TokenMalformed, "invalid_grant"},
		"a scope beyond what the assertion has":         {w.grantFor("JWT", claims{"scope": "contacts"}), nil, policy.ScopeNotHeld, "invalid_scope"},
		"a bound assertion without proof":               {w.grantFor("JWT", claims{"cnf": claims{"jkt": "x"}}), nil, policy.SubjectBinding, "invalid_grant"},
		"KC-47: no assertion":                           {"", nil, policy.FormInvalid, "invalid_request"},
		"KC-47: a client without secret":                {w.grantFor("JWT", nil), url.Values{"client_secret": nil}, policy.ClientCredentials, "invalid_client"},
		"KC-47: a client without the grant":             {w.grantFor("JWT", nil), url.Values{"client_id": nil, "client_secret": nil, "client_assertion_type": {oauth.AssertionTypeJWT}, "client_assertion": {w.assertion(nil)}}, policy.ClientGrant, "unauthorized_client"},
		"KC-47: the same bytes as client and assertion": {w.assertion(nil), nil, policy.IssuerUnknown, "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := w.exchange(bearer(test.assertion, test.ask))
			refused(t, a, test.want)
			if code := a.Error().Code; code != test.code {
				t.Errorf("the error is %s, want %s", code, test.code)
			}
		})
	}
}

// signedBy is an assertion of corp's that somebody else's key signed.
func (w *world) signedBy(k *fake.Key) string {
	now := w.Now().Unix()
	return w.sign(k, "JWT", claims{"iss": corpURL, "sub": "alice", "aud": mainIssuer, "iat": now, "exp": now + 60, "jti": "forged"}, nil)
}

func TestWhereAssertionsAreNotAccepted(t *testing.T) {
	t.Parallel()
	only := func(c policy.Class) func(*policy.Spec) {
		return func(s *policy.Spec) {
			for i := range s.Policies {
				s.Policies[i].SubjectClasses = []policy.Class{c}
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*policy.Spec)
		typ    string
		want   policy.Reason
	}{
		"KC-47: a policy that does not take them":         {only(policy.ClassJWT), "JWT", policy.SubjectTokenType},
		"a policy that takes ID-JAGs only":                {only(policy.ClassIDJAG), "JWT", policy.SubjectTokenType},
		"a policy that takes plain assertions only":       {only(policy.ClassJWTBearer), idJAG, policy.SubjectTokenType},
		"KC-47: a policy that does not name the issuer":   {func(s *policy.Spec) { s.Policies[1].SubjectIssuers = nil }, "JWT", policy.SubjectIssuer},
		"KC-47: an issuer that may not present subjects":  {func(s *policy.Spec) { s.Issuers[0].ForSubject = false; s.Issuers[0].ForActor = true }, "JWT", policy.IssuerUnknown},
		"an issuer that may present access tokens only":   {func(s *policy.Spec) { s.Issuers[0].Classes = []policy.Class{policy.ClassAccessToken} }, idJAG, policy.TokenClass},
		"a suspended issuer":                              {func(s *policy.Spec) { s.Issuers[0].Suspended = true }, "JWT", policy.IssuerSuspended},
		"the audience rule Client, and no client in it":   {func(s *policy.Spec) { s.Policies[1].SubjectAudience.Match = policy.AudienceClient }, "JWT", policy.SubjectAudience},
		"KC-47: a rule over the assertion that is false":  {func(s *policy.Spec) { s.Policies[1].SubjectRules[0].Expression = "'corp:boss' in subject.groups" }, "JWT", policy.SubjectRule},
		"KC-47: an algorithm that the issuer has not":     {func(s *policy.Spec) { s.Issuers[0].Algorithms = []string{"RS256"} }, "JWT", policy.TokenSignature},
		"KC-47: a claim that the issuer's rule wants":     {func(s *policy.Spec) { s.Issuers[0].ClaimRules = []policy.ClaimRule{{Claim: "hd", Required: "corp"}} }, "JWT", policy.IssuerRule},
		"a client that is public":                         {func(s *policy.Spec) { s.Clients[2].Public = true }, "JWT", policy.ClientGrant},
		"KC-47: a client that may exchange, and not this": {func(s *policy.Spec) { s.Clients[2].JWTBearer = false }, "JWT", policy.ClientGrant},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, chained, test.change)
			if i := slices.IndexFunc(w.spec.Clients, func(c policy.Client) bool { return c.ID == app }); i != 2 {
				t.Fatal("the app is another client of these manifests")
			}
			refused(t, w.exchange(bearer(w.grantFor(test.typ, nil), nil)), test.want)
		})
	}
	t.Run("the audience rule Client takes an ID-JAG, which is for the client", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chained, func(s *policy.Spec) { s.Policies[1].SubjectAudience.Match = policy.AudienceClient })
		granted(t, w.exchange(bearer(w.grantFor(idJAG, nil), nil)))
	})
	t.Run("scopeMode Grant adds to a plain assertion, and not to what an ID-JAG says", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chained, func(s *policy.Spec) { s.Policies[1].AddScopes = true })
		granted(t, w.exchange(bearer(w.grantFor("JWT", claims{"scope": "contacts"}), nil)))
		granted(t, w.exchange(bearer(w.grantFor(idJAG, claims{"scope": nil}), nil)))
		refused(t, w.exchange(bearer(w.grantFor(idJAG, claims{"scope": "contacts"}), nil)), policy.ScopeNotHeld)
	})
	t.Run("neither kind is a subject token of an exchange", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chained, func(s *policy.Spec) {
			s.Policies[1].SubjectClasses = append(s.Policies[1].SubjectClasses, policy.ClassJWT)
		})
		for _, typ := range []string{idJAG, "authorization-grant+jwt"} {
			for _, as := range []string{oauth.URNJWT, oauth.URNAccessToken, oauth.URNIDToken} {
				a := w.exchange(form(w.grantFor(typ, claims{"client_id": app}), url.Values{"subject_token_type": {as}}))
				refused(t, a, policy.TokenClass)
			}
		}
	})
	t.Run("a token of our own is no assertion", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chained)
		own := granted(t, w.exchange(bearer(w.grantFor("JWT", nil), nil))).AccessToken
		refused(t, w.exchange(bearer(own, nil)), policy.TokenClass)
	})
}

func TestAnAssertionIsUsedOnce(t *testing.T) {
	t.Parallel()
	t.Run("KC-47, F292: again, by anybody, it is refused; a refused request used nothing up", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chained, func(s *policy.Spec) { s.Clients[3].JWTBearer = true })
		one := w.grantFor("JWT", claims{"jti": "one"})
		refused(t, w.exchange(bearer(one, url.Values{"scope": {"contacts"}})), policy.ScopeUnknown)
		granted(t, w.exchange(bearer(one, nil)))
		again := w.exchange(bearer(one, nil))
		refused(t, again, policy.ReplayDetected)
		if again.Error().Code != "invalid_grant" {
			t.Errorf("the error is %s", again.Error().Code)
		}
		other := bearer(one, url.Values{"client_id": nil, "client_secret": nil, "client_assertion_type": {oauth.AssertionTypeJWT}, "client_assertion": {w.assertion(nil)}})
		refused(t, w.exchange(other), policy.ReplayDetected)
		granted(t, w.exchange(bearer(w.grantFor("JWT", claims{"jti": "two"}), nil)))
		w.advance(3*time.Minute + 45*time.Second) // of the four that it lives
		refused(t, w.exchange(bearer(one, nil)), policy.ReplayDetected)
		refused(t, w.exchange(bearer(w.grantFor("JWT", claims{"jti": "one"}), nil)), policy.ReplayDetected)
	})
	t.Run("F291: of many requests at once with one assertion, one is answered", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chained)
		v := bearer(w.grantFor("JWT", nil), nil)
		var all sync.WaitGroup
		var given atomic.Int64
		for range 50 {
			all.Go(func() {
				if w.exchange(v).Response != nil {
					given.Add(1)
				}
			})
		}
		all.Wait()
		if given.Load() != 1 {
			t.Errorf("%d tokens", given.Load())
		}
	})
	t.Run("F286: a store that cannot tell is no permission", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chained)
		w.use.Store = store.None{}
		a := w.exchange(bearer(w.grantFor("JWT", nil), nil))
		refused(t, a, policy.StoreUnavailable)
		if a.Error().Status != 503 {
			t.Errorf("%+v", a.Error())
		}
	})
	t.Run("what was issued before the store began may have been used", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chained)
		before := w.grantFor("JWT", nil)
		w.advance(2 * time.Second)
		w.use.Store = store.NewMemory(w.Now, store.MemoryLimits{})
		w.advance(2 * time.Second)
		refused(t, w.exchange(bearer(before, nil)), policy.ReplayDetected)
		granted(t, w.exchange(bearer(w.grantFor("JWT", nil), nil)))
	})
}
