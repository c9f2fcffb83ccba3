// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
	fake "github.com/exchequer-dev/exchequer/test/fakes/upstream"
)

func TestATokenEndpointsAnswerIsReadStrictly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reply fake.Reply
		want  string
		check func(*upstream.Token) bool
	}{
		"all members": {
			fake.Raw(`{"access_token":"a","issued_token_type":"urn:x","token_type":"bearer","expires_in":60,"scope":"s t","refresh_token":"r","id_token":"i"}`), "answered",
			func(k *upstream.Token) bool {
				return *k == upstream.Token{AccessToken: "a", IssuedTokenType: "urn:x", TokenType: "bearer", ExpiresIn: 60, Scope: "s t", ScopeGiven: true, RefreshToken: "r", IDToken: "i"}
			},
		},
		"only what must be there": {
			fake.Raw(`{"access_token":"a","token_type":"Bearer"}`), "answered",
			func(k *upstream.Token) bool { return *k == upstream.Token{AccessToken: "a", TokenType: "Bearer"} },
		},
		"an empty scope is one that was said": {
			fake.Raw(`{"access_token":"a","token_type":"Bearer","scope":""}`), "answered", func(k *upstream.Token) bool { return k.ScopeGiven && k.Scope == "" },
		},
		"no access_token":                      {fake.Raw(`{"token_type":"Bearer"}`), "unavailable", nil},
		"no token_type":                        {fake.Raw(`{"access_token":"a"}`), "unavailable", nil},
		"an access_token that is no string":    {fake.Raw(`{"access_token":1,"token_type":"Bearer"}`), "unavailable", nil},
		"an access_token with a line break":    {fake.Raw(`{"access_token":"a\nb","token_type":"Bearer"}`), "unavailable", nil},
		"a token bound to a key that we lack":  {fake.Raw(`{"access_token":"a","token_type":"DPoP"}`), "unavailable", nil},
		"expires_in as a string":               {fake.Raw(`{"access_token":"a","token_type":"Bearer","expires_in":"60"}`), "unavailable", nil},
		"expires_in as a fraction":             {fake.Raw(`{"access_token":"a","token_type":"Bearer","expires_in":60.5}`), "unavailable", nil},
		"expires_in below nought":              {fake.Raw(`{"access_token":"a","token_type":"Bearer","expires_in":-1}`), "unavailable", nil},
		"expires_in nought":                    {fake.Raw(`{"access_token":"a","token_type":"Bearer","expires_in":0}`), "unavailable", nil},
		"expires_in beyond any time":           {fake.Raw(`{"access_token":"a","token_type":"Bearer","expires_in":9223372036854775807}`), "unavailable", nil},
		"refused with a code":                  {fake.Status(400, map[string]any{"error": "invalid_scope"}), "refused: invalid_scope", nil},
		"refused with a code of nobody's":      {fake.Status(400, map[string]any{"error": "go away alice@corp.example"}), "refused", nil},
		"refused without a code":               {fake.Status(400, map[string]any{}), "unavailable", nil},
		"refused without JSON":                 {fake.Reply{Status: 400, Body: []byte("no")}, "unavailable", nil},
		"refused because of who we are":        {fake.Status(401, map[string]any{"error": "invalid_client"}), "unavailable", nil},
		"refused because it cannot answer":     {fake.Status(400, map[string]any{"error": "temporarily_unavailable"}), "unavailable", nil},
		"an outage that looks like a refusal":  {fake.Status(503, map[string]any{"error": "invalid_grant"}), "unavailable", nil},
		"a success that looks like a refusal":  {fake.Raw(`{"error":"invalid_grant"}`), "unavailable", nil},
		"a page where there should be a token": {fake.Reply{Header: map[string]string{"Content-Type": "text/html"}, Body: []byte("<html>")}, "unavailable", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fake.Options{})
			r.Handle("/t", always(c.reply))
			got, err := r.client.Token(t.Context(), r.at("/t", nil), url.Values{"grant_type": {"x"}})
			if v := verdict(err); v != c.want {
				t.Fatalf("%s (%v), want %s", v, err, c.want)
			}
			if !known(r.seen.last()) {
				t.Errorf("counted as %q, which is not of the closed set", r.seen.last())
			}
			if err == nil && !c.check(got) {
				t.Errorf("read as %s", show(got))
			}
			if err != nil && strings.Contains(err.Error(), "alice") {
				t.Errorf("the error repeats what the server said: %v", err)
			}
		})
	}
}

func show(k *upstream.Token) string { return strings.Join([]string{k.TokenType, k.Scope}, "|") }

func TestATokenIsNeverPrinted(t *testing.T) {
	t.Parallel()
	k := upstream.Token{AccessToken: "canary"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, k) + fmt.Sprintf(verb, &k); strings.Contains(text, "canary") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func TestEveryWayToSayWhoAsks(t *testing.T) {
	t.Parallel()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := key.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	credentials := map[string][]byte{"secret": []byte("s3cret"), "key": pem, "broken": []byte("no key")}
	for name, c := range map[string]struct {
		auth  *policy.UpstreamAuth
		want  string
		check func(*testing.T, *fake.Call)
	}{
		"nobody authenticates": {nil, "answered", func(t *testing.T, call *fake.Call) {
			if call.Header.Get("Authorization") != "" || len(call.Form) != 1 {
				t.Errorf("sent %v", call.Form)
			}
		}},
		"Basic": {basic(), "answered", func(t *testing.T, call *fake.Call) {
			if !strings.HasPrefix(call.Header.Get("Authorization"), "Basic ") || call.Form.Has("client_secret") || call.Form.Has("client_id") {
				t.Errorf("sent %v", call.Form)
			}
		}},
		"Post": {&policy.UpstreamAuth{ClientID: "us", Method: policy.UpstreamPost, Credential: "secret"}, "answered", func(t *testing.T, call *fake.Call) {
			if call.Header.Get("Authorization") != "" || call.Form.Get("client_secret") != "s3cret" || call.Form.Get("client_id") != "us" {
				t.Errorf("sent %v", call.Form)
			}
		}},
		"private_key_jwt by a key of its own": {&policy.UpstreamAuth{ClientID: "us", Method: policy.UpstreamPrivateKeyJWT, Credential: "key"}, "answered", func(t *testing.T, call *fake.Call) {
			parsed, err := jose.Parse(call.Form.Get("client_assertion"), jose.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			verified, err := parsed.Verify(key.Public(), []string{jose.ES256})
			if err != nil {
				t.Fatal(err)
			}
			c := verified.Claims
			if verified.Type != "client-authentication+jwt" || c["iss"] != "us" || c["sub"] != "us" || !strings.HasSuffix(c["aud"].(string), "/t") ||
				c["exp"].(int64)-c["iat"].(int64) != 60 || len(c["jti"].(string)) < 20 {
				t.Errorf("assertion %s %v", verified.Type, c)
			}
		}},
		"private_key_jwt by our own key": {&policy.UpstreamAuth{ClientID: "us", Method: policy.UpstreamPrivateKeyJWT}, "answered", func(t *testing.T, call *fake.Call) {
			claims, ok := strings.CutPrefix(call.Form.Get("client_assertion"), "default.client-authentication+jwt.")
			var c map[string]any
			if err := json.Unmarshal([]byte(claims), &c); !ok || err != nil || c["iss"] != "us" {
				t.Errorf("assertion %s", call.Form.Get("client_assertion"))
			}
		}},
		"a secret that is not there": {&policy.UpstreamAuth{ClientID: "us", Method: policy.UpstreamBasic, Credential: "gone"}, "unavailable", nil},
		"a key that is not there":    {&policy.UpstreamAuth{ClientID: "us", Method: policy.UpstreamPrivateKeyJWT, Credential: "gone"}, "unavailable", nil},
		"a key that is none":         {&policy.UpstreamAuth{ClientID: "us", Method: policy.UpstreamPrivateKeyJWT, Credential: "broken"}, "unavailable", nil},
		"a method that is not known": {&policy.UpstreamAuth{ClientID: "us", Method: "magic", Credential: "secret"}, "unavailable", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fake.Options{TLS: true})
			r.client.SetCredentials(credentials)
			r.Handle("/t", always(fake.Raw(`{"access_token":"a","token_type":"Bearer"}`)))
			_, err := r.client.Token(t.Context(), r.at("/t", c.auth), url.Values{"grant_type": {"x"}})
			if v := verdict(err); v != c.want {
				t.Fatalf("%s (%v), want %s", v, err, c.want)
			}
			calls := r.Calls("/t")
			if c.check == nil {
				if len(calls) != 0 || r.seen.last() != upstream.ResultCredentials {
					t.Errorf("%d questions, counted as %s: without a credential there is nothing to ask with", len(calls), r.seen.last())
				}
				return
			}
			c.check(t, &calls[0])
		})
	}
}

func TestAClientCertificateIsShownAndRotates(t *testing.T) {
	t.Parallel()
	r := newRig(t, fake.Options{TLS: true, WantCertificate: true})
	r.Handle("/t", always(fake.Raw(`{"access_token":"a","token_type":"Bearer"}`)))
	auth := &policy.UpstreamAuth{ClientID: "us", Method: policy.UpstreamMutualTLS, Credential: "pair"}
	ask := func() string {
		_, err := r.client.Token(t.Context(), r.at("/t", auth), url.Values{"grant_type": {"x"}})
		return verdict(err)
	}
	if got := ask(); got != "unavailable" || r.seen.last() != upstream.ResultCredentials {
		t.Fatalf("without a certificate: %s, counted as %s", got, r.seen.last())
	}
	for _, name := range []string{"first", "second"} {
		certificate, key, err := r.ClientCertificate(name)
		if err != nil {
			t.Fatal(err)
		}
		r.client.SetCredentials(map[string][]byte{"pair": append(certificate, key...)})
		if got := ask(); got != "answered" {
			t.Fatalf("with certificate %s: %s", name, got)
		}
		calls := r.Calls("/t")
		last := calls[len(calls)-1]
		if last.Certificate == nil || last.Certificate.Subject.CommonName != name || last.Form.Get("client_id") != "us" {
			t.Errorf("showed %v, want %s: a connection must not outlive its certificate", last.Certificate, name)
		}
	}
}
