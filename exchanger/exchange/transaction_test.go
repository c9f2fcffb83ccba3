// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// trustDomain is what transaction tokens of these tests are for.
const trustDomain = "shop.internal"

// transacting lets app, at the edge, and signer, behind it, have transaction tokens
// for the trust domain that the media team stands for.
func transacting(s *policy.Spec) {
	for i := range s.Clients {
		if s.Clients[i].ID == images {
			s.Clients[i].Audiences = []string{trustDomain}
		}
	}
	edge := s.Policies[1]
	edge.Name, edge.TokenTypes, edge.Claims = "edge", []policy.TokenType{policy.TypeTransaction}, nil
	edge.Lifetime, s.Services[0].DefaultLifetime = 30*time.Minute, 30*time.Minute
	inside := edge
	inside.Name, inside.Clients = "inside", []string{signer}
	inside.SubjectIssuers, inside.SubjectClasses = nil, []policy.Class{policy.ClassTransaction}
	inside.SubjectAudience = policy.AudienceRule{Match: policy.AudienceAnyOf, AnyOf: []string{trustDomain}}
	s.Policies = append(s.Policies, edge, inside)
}

// packed is request_details or request_context.
func packed(v any) []string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return []string{base64.RawURLEncoding.EncodeToString(b)}
}

// begin is app's request for a transaction token; replace is signer's for another.
func begin(subjectToken string, over url.Values) url.Values {
	v := form(subjectToken, url.Values{
		"audience": {trustDomain}, "requested_token_type": {oauth.URNTransaction},
		"request_details": packed(claims{"action": "show", "picture": "7"}), "request_context": packed(claims{"req_ip": "192.0.2.1"}),
	})
	maps.Copy(v, over)
	return v
}

func (w *world) replace(token string, over url.Values) url.Values {
	v := w.asserted(w.assertion(nil), url.Values{
		"subject_token": {token}, "subject_token_type": {oauth.URNTransaction},
		"audience": {trustDomain}, "requested_token_type": {oauth.URNTransaction},
	})
	maps.Copy(v, over)
	return v
}

func TestATransactionToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transacting)
	at := w.Now().Unix()
	r := granted(t, w.exchange(begin(w.token(nil), nil)))
	if r.TokenType != "N_A" || r.IssuedTokenType != oauth.URNTransaction || r.Scope != "images" || r.ExpiresIn > 300 {
		t.Errorf("%+v", r)
	}
	parsed, err := jose.Parse(r.AccessToken, jose.Limits{})
	if err != nil || parsed.Type() != "txntoken+jwt" {
		t.Fatal(err, parsed.Type())
	}
	c := w.claimsOf(r.AccessToken)
	want := claims{
		"iss": mainIssuer, "aud": trustDomain, "sub": "corp:alice", "scope": "images", "req_wl": app, "req_wl_chain": []any{app},
		"tctx": claims{"action": "show", "picture": "7"}, "rctx": claims{"req_ip": "192.0.2.1"}, "iat": at, "exp": at + 300,
	}
	for name, v := range want {
		if !reflect.DeepEqual(c[name], v) {
			t.Errorf("%s = %v, want %v", name, c[name], v)
		}
	}
	names := slices.Sorted(maps.Keys(c))
	if got := strings.Join(names, " "); got != "aud exp iat iss jti rctx req_wl req_wl_chain scope sub tctx txn xqr" {
		t.Errorf("claims %s", got)
	}
	t.Run("it lives five minutes at most, and not longer than the subject token", func(t *testing.T) {
		short := w.claimsOf(granted(t, w.exchange(begin(w.token(claims{"exp": at + 60}), nil))).AccessToken)
		if short["exp"].(int64) > at+60 {
			t.Errorf("exp %v", short["exp"])
		}
	})
	t.Run("details and context are not needed", func(t *testing.T) {
		c := w.claimsOf(granted(t, w.exchange(begin(w.token(nil), url.Values{"request_details": nil, "request_context": {""}}))).AccessToken)
		if c["tctx"] != nil || c["rctx"] != nil {
			t.Errorf("%v", c)
		}
	})
	t.Run("its policy can look at the details", func(t *testing.T) {
		w := newWorld(t, transacting, func(s *policy.Spec) {
			s.Policies[2].Rules = []policy.Rule{{Expression: "request.details.action == 'show' && request.context.req_ip.startsWith('192.')"}}
		})
		granted(t, w.exchange(begin(w.token(nil), nil)))
		refused(t, w.exchange(begin(w.token(nil), url.Values{"request_details": packed(claims{"action": "delete"})})), policy.PolicyRule)
		refused(t, w.exchange(begin(w.token(nil), url.Values{"request_details": nil})), policy.PolicyRule)
	})
}

func TestATransactionTokenIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transacting)
	first := granted(t, w.exchange(begin(w.token(nil), nil)))
	one := w.claimsOf(first.AccessToken)
	w.advance(10 * time.Second)
	second := granted(t, w.exchange(w.replace(first.AccessToken, url.Values{"request_context": packed(claims{"pod": "images-0"})})))
	two := w.claimsOf(second.AccessToken)
	for _, same := range []string{"iss", "aud", "sub", "txn", "tctx", "scope", "exp"} {
		if !reflect.DeepEqual(one[same], two[same]) {
			t.Errorf("%s was %v, is %v", same, one[same], two[same])
		}
	}
	if two["jti"] == one["jti"] || two["req_wl"] != signer || !reflect.DeepEqual(two["req_wl_chain"], []any{app, signer}) || !reflect.DeepEqual(two["rctx"], claims{"pod": "images-0"}) {
		t.Errorf("%v", two)
	}
	third := w.claimsOf(granted(t, w.exchange(w.replace(second.AccessToken, nil))).AccessToken)
	if !reflect.DeepEqual(third["rctx"], two["rctx"]) || !reflect.DeepEqual(third["req_wl_chain"], []any{app, signer, signer}) {
		t.Errorf("%v", third)
	}
	t.Run("not without end", func(t *testing.T) {
		token := first.AccessToken
		for range 15 {
			token = granted(t, w.exchange(w.replace(token, nil))).AccessToken
		}
		refused(t, w.exchange(w.replace(token, nil)), policy.PolicyRule)
	})
}

func TestTransactionTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, transacting, func(s *policy.Spec) {
		s.Clients[1].Audiences = []string{trustDomain, "other.internal"}
	})
	user := w.token(nil)
	first := granted(t, w.exchange(begin(user, nil))).AccessToken
	access := granted(t, w.exchange(form(user, nil))).AccessToken
	deep := strings.Repeat(`{"a":`, 6) + "{}" + strings.Repeat("}", 6)
	for name, test := range map[string]struct {
		ask  url.Values
		want policy.Reason
	}{
		"without an audience":                              {begin(user, url.Values{"audience": nil}), policy.FormInvalid},
		"for two trust domains":                            {begin(user, url.Values{"audience": {trustDomain, "other.internal"}}), policy.FormInvalid},
		"for a resource":                                   {begin(user, url.Values{"audience": nil, "resource": {"https://images.media.example/api"}}), policy.FormInvalid},
		"for a trust domain and a resource":                {begin(user, url.Values{"resource": {"https://images.media.example/api"}}), policy.FormInvalid},
		"without scope":                                    {begin(user, url.Values{"scope": nil}), policy.FormInvalid},
		"with a scope that the subject has not":            {begin(w.token(claims{"scope": "contacts"}), nil), policy.ScopeNotHeld},
		"for a trust domain of nobody":                     {begin(user, url.Values{"audience": {"nobody.internal"}}), policy.TargetUnknown},
		"where no policy gives them":                       {begin(user, url.Values{"audience": {contacts}, "scope": {"contacts"}}), policy.TokenTypeNotGranted},
		"details that are no base64url":                    {begin(user, url.Values{"request_details": {"e30="}}), policy.FormInvalid},
		"details with bits that mean nothing":              {begin(user, url.Values{"request_details": {"eyJhIjoxfR"}}), policy.FormInvalid},
		"details that are no JSON":                         {begin(user, url.Values{"request_details": {"bm90"}}), policy.FormInvalid},
		"details that are no object":                       {begin(user, url.Values{"request_details": packed([]string{"a"})}), policy.FormInvalid},
		"details with a member twice":                      {begin(user, url.Values{"request_details": {base64.RawURLEncoding.EncodeToString([]byte(`{"a":1,"a":2}`))}}), policy.FormInvalid},
		"details that nest too deep":                       {begin(user, url.Values{"request_details": {base64.RawURLEncoding.EncodeToString([]byte(deep))}}), policy.FormInvalid},
		"details of more than 2 KiB":                       {begin(user, url.Values{"request_details": packed(claims{"a": strings.Repeat("x", 2<<10)})}), policy.FormInvalid},
		"a context of more than 2 KiB":                     {begin(user, url.Values{"request_context": packed(claims{"a": strings.Repeat("x", 2<<10)})}), policy.FormInvalid},
		"details for an access token":                      {form(user, url.Values{"request_details": packed(claims{"a": "b"})}), policy.ParameterUnsupported},
		"a context for an access token":                    {form(user, url.Values{"request_context": packed(claims{})}), policy.ParameterUnsupported},
		"a replacement with other details":                 {w.replace(first, url.Values{"request_details": packed(claims{"action": "delete"})}), policy.FormInvalid},
		"a replacement for another trust domain":           {w.replace(first, url.Values{"audience": {"other.internal"}}), policy.TargetNotGranted},
		"a replacement with a wider scope":                 {w.replace(first, url.Values{"scope": {"images contacts"}}), policy.ScopeUnknown},
		"a transaction token in exchange for access":       {w.replace(first, url.Values{"requested_token_type": nil, "audience": {images}}), policy.TokenTypeNotGranted},
		"a transaction token as an access token":           {form(first, nil), policy.TokenClass},
		"a transaction token as a JWT":                     {form(first, url.Values{"subject_token_type": {oauth.URNJWT}}), policy.TokenClass},
		"a transaction token as an ID token":               {form(first, url.Values{"subject_token_type": {oauth.URNIDToken}}), policy.TokenClass},
		"an access token as a transaction token":           {w.replace(access, nil), policy.TokenClass},
		"a foreign transaction token":                      {w.replace(w.sign(w.corp, "txntoken+jwt", claims{"iss": corpURL, "sub": "a", "aud": trustDomain, "iat": 1, "exp": 2}, nil), nil), policy.TokenClass},
		"a replacement where a policy takes access tokens": {begin(first, url.Values{"subject_token_type": {oauth.URNTransaction}, "request_details": nil}), policy.SubjectTokenType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(name, "a replacement") || strings.Contains(name, "transaction token") {
				// Its own assertion of the client: each is good once.
				if test.ask.Has("client_assertion") {
					test.ask.Set("client_assertion", w.assertion(nil))
				}
			}
			refused(t, w.exchange(test.ask), test.want)
		})
	}
	t.Run("a transaction token is not active at introspection, for whomever it is", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, transacting)
		first := granted(t, w.exchange(begin(w.token(nil), nil))).AccessToken
		w.isInactive(t, app, first, policy.TokenClass)
	})
	t.Run("scopeMode Grant does not widen a transaction token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, transacting, func(s *policy.Spec) { s.Policies[2].AddScopes = true })
		refused(t, w.exchange(begin(w.token(claims{"scope": "contacts"}), nil)), policy.ScopeNotHeld)
	})
	t.Run("a scope that stands in no token is not enough", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, transacting, func(s *policy.Spec) { s.Scopes[1].InToken = false })
		refused(t, w.exchange(begin(w.token(nil), nil)), policy.ScopeNotGranted)
	})
	t.Run("a policy cannot write what is the transaction token's own", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"tctx", "rctx", "req_wl", "req_wl_chain"} {
			w := newWorld(t, transacting, func(s *policy.Spec) { s.Policies[2].Claims = []policy.Claim{{Name: name, Expression: "'x'"}} })
			refused(t, w.exchange(begin(w.token(nil), nil)), policy.ClaimInvalid)
		}
	})
}
