// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAnExchangeAnswersWhatRFC8693Asks(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	before := time.Now().Unix()
	r := s.ask(s.user()).app().images().send()
	token := r.allowed()

	t.Run("R15 R16 R17 R18 R19 R20: the members of the response", func(t *testing.T) {
		want := []string{"access_token", "expires_in", "issued_token_type", "scope", "token_type"}
		if got := slices.Sorted(maps.Keys(r.members)); !slices.Equal(got, want) {
			t.Errorf("members %v, want %v", got, want)
		}
		if r.text("issued_token_type") != typeAccess || r.text("token_type") != "Bearer" || r.text("scope") != "images" {
			t.Errorf("got %s", r.body)
		}
		if n, _ := r.members["expires_in"].(float64); n < 290 || n > 300 {
			t.Errorf("expires_in = %v, want five minutes", r.members["expires_in"])
		}
	})
	t.Run("F44: the headers of the response", func(t *testing.T) {
		if got := r.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control = %q", got)
		}
		if got := r.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type = %q", got)
		}
	})
	t.Run("F312 R31 R32: the token is an RFC 9068 access token", func(t *testing.T) {
		s := s.in(t)
		d := s.verify(token)
		if d.header["typ"] != "at+jwt" || d.header["alg"] != "ES256" || d.header["kid"] == "" || len(d.header) != 3 {
			t.Errorf("header %v", d.header)
		}
		for claim, want := range map[string]string{
			"iss": sts, "sub": "corp:alice", "aud": imagesAPI, "client_id": "shop/app", "azp": "shop/app", "scope": "images",
		} {
			if d.text(claim) != want {
				t.Errorf("%s = %v, want %s", claim, d.claims[claim], want)
			}
		}
		if d.text("jti") == "" || d.text("txn") == "" || d.text("xqr") == "" {
			t.Errorf("claims %v", d.claims)
		}
		if iat := d.number("iat"); iat < before-1 || iat > time.Now().Unix()+1 || d.number("nbf") > iat || d.number("exp") != iat+300 {
			t.Errorf("iat %d nbf %d exp %d", iat, d.number("nbf"), d.number("exp"))
		}
		want := []string{"aud", "azp", "client_id", "exp", "iat", "iss", "jti", "nbf", "scope", "sub", "txn", "xqr"}
		if got := slices.Sorted(maps.Keys(d.claims)); !slices.Equal(got, want) {
			t.Errorf("claims %v, want %v: nothing that was not mapped", got, want)
		}
	})
	t.Run("requested_token_type jwt is the same token under its other name", func(t *testing.T) {
		s := s.in(t)
		r := s.ask(s.user()).app().images().with("requested_token_type", typeJWT).send()
		if d := s.verify(r.allowed()); r.text("issued_token_type") != typeJWT || d.header["typ"] != "at+jwt" {
			t.Errorf("got %s, header %v", r.body, d.header)
		}
	})
}

func TestWhatIsNotSaidIsFilledIn(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	t.Run("F42: without scope, what the subject has and the policy gives", func(t *testing.T) {
		s := s.in(t)
		r := s.ask(s.user()).app().with("audience", imagesAPI).send()
		if d := s.verify(r.allowed()); d.text("scope") != "images" || r.text("scope") != "images" {
			t.Errorf("scope %q", d.text("scope"))
		}
	})
	t.Run("without a target, that of a scope that the platform gave to one namespace", func(t *testing.T) {
		s := s.in(t)
		d := s.verify(s.ask(s.user()).app().with("scope", "images").send().allowed())
		if d.text("aud") != imagesAPI {
			t.Errorf("aud %v", d.claims["aud"])
		}
	})
	t.Run("R3 R4: a resource names its target, and stands in aud as it was asked", func(t *testing.T) {
		s := s.in(t)
		d := s.verify(s.ask(s.user()).app().with("resource", imagesURI).send().allowed())
		if d.text("aud") != imagesURI {
			t.Errorf("aud %v", d.claims["aud"])
		}
	})
	t.Run("R1 F28: a resource and an audience of one target, in either order, twice or not", func(t *testing.T) {
		s := s.in(t)
		d := s.verify(s.ask(s.user()).app().with("resource", imagesURI, imagesURI).with("audience", imagesAPI, imagesAPI).send().allowed())
		got := d.list("aud")
		slices.Sort(got)
		if !slices.Equal(got, []string{imagesURI, imagesAPI}) {
			t.Errorf("aud %v", d.claims["aud"])
		}
	})
	t.Run("F45: a parameter that nobody knows is ignored", func(t *testing.T) {
		s := s.in(t)
		s.ask(s.user()).app().images().with("colour", "green").send().allowed()
	})
	t.Run("R1: a parameter without a value counts as absent", func(t *testing.T) {
		s := s.in(t)
		s.ask(s.user()).app().images().with("actor_token", "").with("requested_token_type", "").send().allowed()
	})
}

func TestTheTokenNeverOutlivesTheSubjectToken(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	end := time.Now().Add(70 * time.Second).Unix()
	d := s.verify(s.ask(s.user(claims{"exp": end})).app().images().send().allowed())
	if d.number("exp") > end {
		t.Errorf("exp %d, the subject token's is %d", d.number("exp"), end)
	}
	s.ask(s.user(claims{"exp": time.Now().Add(5 * time.Second).Unix()})).app().images().send().
		refused(http.StatusBadRequest, "invalid_request", "LifetimeTooShort")
}

func TestR40BothMetadataDocumentsSayTheSame(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	openid, oauth := s.get("/.well-known/openid-configuration"), s.get("/.well-known/oauth-authorization-server")
	if openid.status != http.StatusOK || openid.body != oauth.body {
		t.Fatalf("openid-configuration %d %s\noauth-authorization-server %d %s", openid.status, openid.body, oauth.status, oauth.body)
	}
	var m struct {
		Issuer   string   `json:"issuer"`
		Token    string   `json:"token_endpoint"`
		JWKS     string   `json:"jwks_uri"`
		Grants   []string `json:"grant_types_supported"`
		Methods  []string `json:"token_endpoint_auth_methods_supported"`
		Algs     []string `json:"token_endpoint_auth_signing_alg_values_supported"`
		Response []string `json:"response_types_supported"`
	}
	if err := json.Unmarshal([]byte(openid.body), &m); err != nil {
		t.Fatal(err)
	}
	if m.Issuer != sts || m.Token != sts+"/token" || m.JWKS != sts+"/jwks" {
		t.Errorf("issuer %q, token_endpoint %q, jwks_uri %q", m.Issuer, m.Token, m.JWKS)
	}
	if !slices.Equal(m.Grants, []string{grantExchange, grantBearer, "refresh_token"}) || m.Response == nil {
		t.Errorf("grants %v, response types %v", m.Grants, m.Response)
	}
	if !slices.Equal(m.Methods, []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}) {
		t.Errorf("methods %v", m.Methods)
	}
	t.Run("F315: no algorithm is none or symmetric", func(t *testing.T) {
		for _, a := range m.Algs {
			if a == "none" || strings.HasPrefix(a, "HS") {
				t.Errorf("algorithm %s", a)
			}
		}
		if len(m.Algs) == 0 {
			t.Error("no algorithms")
		}
	})
	t.Run("F314: the key set has public members only", func(t *testing.T) {
		s := s.in(t)
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal([]byte(s.get("/jwks").body), &set); err != nil || len(set.Keys) == 0 {
			t.Fatalf("%v, %d keys", err, len(set.Keys))
		}
		for _, k := range set.Keys {
			for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
				if _, there := k[private]; there {
					t.Errorf("a key has the member %s", private)
				}
			}
		}
	})
	t.Run("F24: a HEAD request has the headers and no body", func(t *testing.T) {
		s := s.in(t)
		for _, path := range []string{"/jwks", "/.well-known/openid-configuration"} {
			r, err := s.do(http.MethodHead, "", path, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.status != http.StatusOK || r.body != "" || !strings.Contains(r.header.Get("Cache-Control"), "max-age=") {
				t.Errorf("%s: %d %q %v", path, r.status, r.body, r.header)
			}
		}
	})
}
