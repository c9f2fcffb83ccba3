// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// A parameter that is known is used or refused: it changes the answer. One that
// changed nothing would have been dropped silently (CVE-2026-9704).
func TestF47EveryKnownParameterIsUsedOrRefused(t *testing.T) {
	t.Parallel()
	const urn = "urn:ietf:params:oauth:token-type:"
	for name, c := range map[string]struct {
		over   url.Values
		reason policy.Reason // of the refusal; empty: granted
		check  func(*testing.T, *oauth.Response)
	}{
		"grant_type":                        {url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}}, policy.ParameterUnsupported, nil},
		"grant_type refresh_token":          {url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"r"}}, policy.ParameterUnsupported, nil},
		"client_id":                         {url.Values{"client_id": {signer}}, policy.ClientCredentials, nil},
		"client_secret":                     {url.Values{"client_secret": {secret + "x"}}, policy.ClientCredentials, nil},
		"client_assertion":                  {url.Values{"client_assertion": {"a.b.c"}}, policy.FormInvalid, nil},
		"client_assertion_type":             {url.Values{"client_assertion_type": {"x"}}, policy.FormInvalid, nil},
		"subject_token":                     {url.Values{"subject_token": {"a.b.c"}}, policy.TokenMalformed, nil},
		"R8: subject_token_type missing":    {url.Values{"subject_token_type": nil}, policy.FormInvalid, nil},
		"R7: subject_token missing":         {url.Values{"subject_token": nil}, policy.FormInvalid, nil},
		"subject_token_type id_token":       {url.Values{"subject_token_type": {urn + "id_token"}}, policy.TokenClass, nil},
		"subject_token_type saml2":          {url.Values{"subject_token_type": {urn + "saml2"}}, policy.TokenMalformed, nil},
		"subject_token_type saml1":          {url.Values{"subject_token_type": {urn + "saml1"}}, policy.FormInvalid, nil},
		"subject_token_type refresh":        {url.Values{"subject_token_type": {urn + "refresh_token"}}, policy.FormInvalid, nil},
		"R10: actor_token_type alone":       {url.Values{"actor_token_type": {urn + "jwt"}}, policy.FormInvalid, nil},
		"actor_token alone":                 {url.Values{"actor_token": {"a.b.c"}}, policy.FormInvalid, nil},
		"R11: actor_token is never ignored": {url.Values{"actor_token": {"a.b.c"}, "actor_token_type": {urn + "jwt"}}, policy.TokenMalformed, nil},
		"resource that nobody has":          {url.Values{"resource": {"https://nobody.example"}}, policy.TargetUnknown, nil},
		"audience that nobody has":          {url.Values{"audience": {"media/nobody"}}, policy.TargetUnknown, nil},
		"F38: one audience of two":          {url.Values{"audience": {images, contacts}, "scope": {"images"}}, "", nil},
		"R3: resource names a target":       {url.Values{"audience": nil, "resource": {"https://images.media.example/api"}}, "", nil},
		"scope that is not held":            {url.Values{"scope": {"contacts"}}, policy.ScopeUnknown, nil},
		"R5: scope narrows":                 {url.Values{"scope": {"images"}}, "", scopeIs("images")},
		"scope absent":                      {url.Values{"scope": nil}, "", scopeIs("images")},
		"requested_token_type jwt":          {url.Values{"requested_token_type": {urn + "jwt"}}, "", typeIs(urn + "jwt")},
		"R16: requested_token_type default": {nil, "", typeIs(urn + "access_token")},
		"requested_token_type id_token":     {url.Values{"requested_token_type": {urn + "id_token"}}, policy.TokenTypeNotGranted, nil},
		"F34: requested_token_type refresh": {url.Values{"requested_token_type": {urn + "refresh_token"}}, policy.TokenTypeNotGranted, nil},
		"requested_token_type saml2":        {url.Values{"requested_token_type": {urn + "saml2"}}, policy.TokenTypeNotGranted, nil},
		"requested_token_type txn_token":    {url.Values{"requested_token_type": {urn + "txn_token"}}, policy.TokenTypeNotGranted, nil},
		"requested_token_type id-jag":       {url.Values{"requested_token_type": {urn + "id-jag"}}, policy.TokenTypeNotGranted, nil},
		"requested_token_type handover":     {url.Values{"requested_token_type": {oauth.URIHandover}}, policy.TokenTypeNotGranted, nil},
		"requested_token_type unknown":      {url.Values{"requested_token_type": {"urn:x"}}, policy.FormInvalid, nil},
		"F46: requested_subject":            {url.Values{"requested_subject": {"bob"}}, policy.ImpersonationForbidden, nil},
		"F46: requested_issuer":             {url.Values{"requested_issuer": {"corp"}}, policy.ParameterUnsupported, nil},
		"F46: subject_issuer":               {url.Values{"subject_issuer": {"corp"}}, policy.ParameterUnsupported, nil},
		"reason":                            {url.Values{"reason": {"ticket 7"}}, policy.FormInvalid, nil},
		"subject_token_proof":               {url.Values{"subject_token_proof": {"p"}}, policy.ProofInvalid, nil},
		"handover_jkt":                      {url.Values{"handover_jkt": {"p"}}, policy.FormInvalid, nil},
		"refresh_token":                     {url.Values{"refresh_token": {"r"}}, policy.ParameterUnsupported, nil},
		"F45: authorization_details":        {url.Values{"authorization_details": {"[]"}}, policy.ParameterUnsupported, nil},
		"F45: request":                      {url.Values{"request": {"a.b.c"}}, policy.ParameterUnsupported, nil},
		"F45: request_uri":                  {url.Values{"request_uri": {"https://a.example"}}, policy.ParameterUnsupported, nil},
		"F45: assertion":                    {url.Values{"assertion": {"a.b.c"}}, policy.ParameterUnsupported, nil},
		"F45: dpop_jkt":                     {url.Values{"dpop_jkt": {"x"}}, policy.ParameterUnsupported, nil},
		"F45: code":                         {url.Values{"code": {"x"}}, policy.ParameterUnsupported, nil},
		"F45: username":                     {url.Values{"username": {"x"}}, policy.ParameterUnsupported, nil},
		"F45: password":                     {url.Values{"password": {"x"}}, policy.ParameterUnsupported, nil},
		"F45: claims":                       {url.Values{"claims": {"{}"}}, policy.ParameterUnsupported, nil},
		"F45: a name that means nothing":    {url.Values{"foo": {"1"}, "Subject_Token": {"x"}}, "", scopeIs("images")},
		"R1: a known one without value":     {url.Values{"request": {""}, "actor_token": {""}, "actor_token_type": {""}}, "", scopeIs("images")},
		"offline_access, which is no scope": {url.Values{"scope": {"images offline_access"}}, policy.ScopeNotGranted, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			v := form(w.token(nil), nil)
			for p, values := range c.over {
				if values == nil {
					v.Del(p)
				} else {
					v[p] = values
				}
			}
			if strings.HasPrefix(name, "F38") {
				// Both targets or none: the second is one that app may not have.
				w.change(without("app-gets-contacts"))
				refused(t, w.exchange(v), policy.TargetNotGranted)
				return
			}
			answer := w.exchange(v)
			if c.reason != "" {
				refused(t, answer, c.reason)
				return
			}
			response := granted(t, answer)
			if c.check != nil {
				c.check(t, response)
			}
		})
	}
}

func scopeIs(want string) func(*testing.T, *oauth.Response) {
	return func(t *testing.T, r *oauth.Response) {
		t.Helper()
		if r.Scope != want {
			t.Errorf("scope %q, want %q", r.Scope, want)
		}
	}
}

func typeIs(want string) func(*testing.T, *oauth.Response) {
	return func(t *testing.T, r *oauth.Response) {
		t.Helper()
		if r.IssuedTokenType != want {
			t.Errorf("issued_token_type %q, want %q", r.IssuedTokenType, want)
		}
	}
}

func TestF48OneTokenIsNotSubjectAndActor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	both := w.token(nil)
	answer := w.exchange(form(both, url.Values{"actor_token": {both}, "actor_token_type": {"urn:ietf:params:oauth:token-type:jwt"}}))
	refused(t, answer, policy.ActorForbidden)
	if e := oauth.ErrorFor(answer.Refusal.Reason); e.Status != 400 || e.Code != "invalid_request" {
		t.Errorf("answered with %d %s, want 400 invalid_request", e.Status, e.Code)
	}
	w.change(func(s *policy.Spec) {
		for i := range s.Policies {
			s.Policies[i].Actor = policy.ActorPolicy{
				Use: policy.ActorsOptional, Issuers: []string{"corp"}, Audience: policy.AudienceRule{Match: policy.AudienceClient}, MaxDepth: 2,
			}
		}
	})
	refused(t, w.exchange(form(both, url.Values{"actor_token": {both}, "actor_token_type": {"urn:ietf:params:oauth:token-type:jwt"}})), policy.ActorLoop)
	if in := w.sink.last(t).TokensIn; len(in) != 2 || in[0] != in[1] {
		t.Errorf("the record does not have both digests: %x", in)
	}
}

func TestTheAnswerOfAGrantedExchange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	subject := w.token(nil)
	r := granted(t, w.exchange(form(subject, nil)))
	t.Run("R15: access_token holds the token", func(t *testing.T) {
		if strings.Count(r.AccessToken, ".") != 2 {
			t.Errorf("got %q", r.AccessToken)
		}
	})
	t.Run("R17: an access token is a Bearer token", func(t *testing.T) {
		if r.TokenType != "Bearer" {
			t.Errorf("token_type %q", r.TokenType)
		}
	})
	t.Run("R18: expires_in is the token's life", func(t *testing.T) {
		if r.ExpiresIn != 300 {
			t.Errorf("expires_in %d, want 300", r.ExpiresIn)
		}
	})
	t.Run("R19: scope says what the token has", func(t *testing.T) {
		if r.Scope != "images" {
			t.Errorf("scope %q", r.Scope)
		}
	})
	t.Run("R20: there is no refresh token", func(t *testing.T) {
		if body := string(r.AppendJSON(nil)); strings.Contains(body, "refresh_token") {
			t.Errorf("got %s", body)
		}
	})
	t.Run("R13: the subject token is as good as before", func(t *testing.T) {
		if again := granted(t, w.exchange(form(subject, nil))); again.AccessToken == r.AccessToken {
			t.Error("the same token was given twice")
		}
	})
	t.Run("R30: there is no act without an actor", func(t *testing.T) {
		if c := w.claimsOf(r.AccessToken); c["act"] != nil || c["sub"] != "corp:alice" || c["tenant"] != "acme" {
			t.Errorf("claims %v", c)
		}
	})
}

func TestF28TargetsAreASet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all [][]string
	for _, order := range [][]string{{images, contacts}, {contacts, images}, {images, contacts, images}} {
		r := granted(t, w.exchange(form(w.token(nil), url.Values{"audience": order, "scope": {"images contacts"}})))
		c := w.claimsOf(r.AccessToken)
		var aud []string
		for _, a := range c["aud"].([]any) {
			aud = append(aud, a.(string))
		}
		slices.Sort(aud)
		all = append(all, aud)
	}
	for _, aud := range all {
		if !slices.Equal(aud, []string{contacts, images}) {
			t.Errorf("aud %v, want both once", aud)
		}
	}
}
