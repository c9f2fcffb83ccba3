// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// inquire asks an endpoint about a token, as a client with a secret.
func (s *server) inquire(path, client, secret, token string) *reply {
	s.t.Helper()
	a := &asking{s: s, path: path, form: url.Values{"token": {token}}, header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
	return a.basic(client, secret).send()
}

func (s *server) introspect(token string) *reply {
	s.t.Helper()
	return s.inquire("/introspect", imagesAPI, imagesSecret, token)
}

func (s *server) revoke(token string) *reply {
	s.t.Helper()
	return s.inquire("/revoke", "shop/app", appSecret, token)
}

// inactive fails the test unless that is all that is said.
func (r *reply) inactive() {
	r.t.Helper()
	if r.status != http.StatusOK || r.body != `{"active":false}` {
		r.t.Errorf("got %d %s", r.status, r.body)
	}
}

func (r *reply) active() *reply {
	r.t.Helper()
	if r.status != http.StatusOK || r.members["active"] != true {
		r.t.Fatalf("got %d %s%s", r.status, r.body, r.why())
	}
	return r
}

func onwards(s *server, token string) *reply {
	s.t.Helper()
	return s.ask(token).basic(imagesAPI, imagesSecret).with("audience", contactsAPI).send()
}

func TestTokensCanBeAskedAbout(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	token := s.ask(s.user()).app().images().send().allowed()
	d := s.verify(token)
	t.Run("by whom they are for: what they say, but for what is sealed", func(t *testing.T) {
		s := s.in(t)
		r := s.introspect(token).active()
		for claim, v := range d.claims {
			if got := fmt.Sprint(r.members[claim]); claim != "xqr" && got != fmt.Sprint(v) || claim == "xqr" && r.members[claim] != nil {
				t.Errorf("%s is %v, the token's is %v", claim, r.members[claim], v)
			}
		}
		if r.text("token_type") != "Bearer" || r.header.Get("Cache-Control") != "no-store" || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v", r.body, r.header)
		}
		rec := r.record()
		if rec["outcome"] != "allowed" || rec["grant"] != "introspection" || rec["client"] != imagesAPI || rec["jti"] != d.text("jti") {
			t.Errorf("record %v", rec)
		}
	})
	t.Run("by whom they were issued to", func(t *testing.T) {
		s := s.in(t)
		s.inquire("/introspect", "shop/app", appSecret, token).active()
	})
	t.Run("and by nobody else", func(t *testing.T) {
		s := s.in(t)
		s.introspect("nonsense").inactive()
		s.introspect(s.user()).inactive()
		s.introspect(lastChange(token)).inactive()
		further := onwards(s, token).allowed() // for contacts, issued to images
		s.introspect(further).active()
		s.inquire("/introspect", "shop/app", appSecret, further).inactive()
	})
	t.Run("F360: a stranger is told nothing", func(t *testing.T) {
		s := s.in(t)
		for _, path := range []string{"/introspect", "/revoke"} {
			for _, secret := range []string{"", "wrong-wrong-wrong-wrong-wrong-wrong-wrong"} {
				r := s.inquire(path, imagesAPI, secret, token)
				if r.status != http.StatusUnauthorized || r.text("error") != "invalid_client" || !strings.HasPrefix(r.header.Get("Www-Authenticate"), "Basic ") {
					t.Errorf("%s: %d %s", path, r.status, r.body)
				}
			}
			for name, r := range map[string]func() (*reply, error){
				"GET": func() (*reply, error) { return s.do(http.MethodGet, "", path+"?token="+token, "", nil) },
				"a token in the URL": func() (*reply, error) {
					return s.do(http.MethodPost, "", path+"?token="+token, "", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
				},
				"JSON": func() (*reply, error) {
					return s.do(http.MethodPost, "", path, "{}", http.Header{"Content-Type": {"application/json"}})
				},
			} {
				if got, err := r(); err != nil || got.status < 400 || got.status > 415 {
					t.Errorf("%s %s: %+v %v", name, path, got, err)
				}
			}
		}
		s.introspect(token).active()
	})
	t.Run("the metadata say where", func(t *testing.T) {
		s := s.in(t)
		r := s.get("/.well-known/oauth-authorization-server")
		if r.text("introspection_endpoint") != "https://sts.example.com/introspect" || r.text("revocation_endpoint") != "https://sts.example.com/revoke" {
			t.Error(r.body)
		}
	})
	t.Run("and they are counted apart from exchanges", func(t *testing.T) {
		s := s.in(t)
		if body := s.get("/metrics").body; !strings.Contains(body, `exchequer_inquiries_total{endpoint="introspection",outcome="allowed",reason="",token_service="default"}`) {
			t.Error("the metrics do not have them")
		}
	})
}

// KC-26 retold: what ends with a token that is revoked. Elsewhere revoking a subject's
// access token leaves the access tokens that were exchanged for it alone; here
// everything that was derived from it ends with it.
func TestKC26RevocationGoesAlongTheChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	root := s.user()
	first := s.ask(root).app().images().send().allowed()
	second := onwards(s, first).allowed()
	sibling := s.ask(root).app().images().send().allowed()
	t.Run("KC-26: the token in the middle ends, and what was made of it; what it was made of, and its sibling, go on", func(t *testing.T) {
		s := s.in(t)
		if r := s.revoke(first); r.status != http.StatusOK || r.body != "" || r.record()["jti"] != s.verify(first).text("jti") {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		s.introspect(first).inactive()
		s.introspect(second).inactive()
		onwards(s, first).refused(http.StatusBadRequest, "invalid_request", "TokenRevoked")
		s.introspect(sibling).active()
		onwards(s, sibling).allowed()
		s.ask(root).app().images().send().allowed()
	})
	t.Run("KC-26: the last token alone", func(t *testing.T) {
		s := s.in(t)
		last := onwards(s, sibling).allowed()
		if r := s.inquire("/revoke", imagesAPI, imagesSecret, last); r.status != http.StatusOK {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		s.introspect(last).inactive()
		s.introspect(sibling).active()
	})
	t.Run("a token that is not known needs no revoking", func(t *testing.T) {
		s := s.in(t)
		for _, token := range []string{"nonsense", s.user(), lastChange(sibling), first} {
			if r := s.revoke(token); r.status != http.StatusOK || r.body != "" {
				t.Errorf("got %d %s", r.status, r.body)
			}
		}
	})
	t.Run("another client's token is not revoked, and that is said", func(t *testing.T) {
		s := s.in(t)
		r := s.inquire("/revoke", imagesAPI, imagesSecret, sibling)
		if r.status != http.StatusBadRequest || r.text("error") != "unauthorized_client" {
			t.Errorf("got %d %s", r.status, r.body)
		}
		s.introspect(sibling).active()
	})
}

// declared revokes what was issued up to now, and comes back when that is a moment ago.
func (s *server) declared(what string) {
	s.t.Helper()
	before := time.Now().Add(time.Second).Truncate(time.Second).UTC()
	s.applied(func() {
		s.write("lost.yaml", fmt.Sprintf("apiVersion: exchequer.dev/v1alpha1\nkind: TokenRevocation\nmetadata: {name: lost}\nspec: {%s, issuedBefore: %q, expiresAt: %q}\n",
			what, before.Format(time.RFC3339), before.Add(48*time.Hour).Format(time.RFC3339)))
	})
	eventually(s.t, "the second is over", func() bool { return time.Now().After(before) })
}

func TestATokenRevocationIsInForceAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		what string
		// root says that the foreign token is meant as well: it does not say whom it was
		// issued to.
		root bool
	}{
		"of a subject":                         {`subject: "corp:alice"`, true},
		"of a client":                          {"client: shop/app", false},
		"of a client at us, and of a subject":  {`client: shop/app, subject: "corp:alice"`, false},
		"of an issuer's tokens about somebody": {`issuer: corp, subject: "corp:alice"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWorld(t).serve()
			root := s.user()
			first := s.ask(root).app().images().send().allowed()
			second := onwards(s, first).allowed()
			s.introspect(second).active()
			s.declared(c.what)
			s.introspect(first).inactive()
			s.introspect(second).inactive()
			if r := s.ask(root).app().images().send(); c.root {
				r.refused(http.StatusBadRequest, "invalid_request", "TokenRevoked")
			} else {
				r.allowed()
			}
			onwards(s, first).refused(http.StatusBadRequest, "invalid_request", "TokenRevoked")
			if d := s.records()[len(s.records())-1]["detail"]; d != "TokenRevocation lost" {
				t.Errorf("the record says %v", d)
			}
			again := s.ask(s.user()).app().images().send().allowed() // signed in again
			s.introspect(again).active()
			onwards(s, again).allowed()
			s.applied(func() { s.remove("lost.yaml") })
			s.introspect(second).active() // the one kind whose removal gives something back
		})
	}
	t.Run("of one token of ours", func(t *testing.T) {
		t.Parallel()
		s := newWorld(t).serve()
		first, other := s.ask(s.user()).app().images().send().allowed(), s.ask(s.user()).app().images().send().allowed()
		second := onwards(s, first).allowed()
		s.declared("tokenID: " + s.verify(first).text("jti"))
		s.introspect(first).inactive()
		s.introspect(second).inactive()
		s.introspect(other).active()
	})
	t.Run("somebody else's is none of it", func(t *testing.T) {
		t.Parallel()
		s := newWorld(t).serve()
		first := s.ask(s.user()).app().images().send().allowed()
		s.declared(`subject: "corp:bob"`)
		s.introspect(first).active()
	})
}

func TestRevokeIssuedBeforeIsInForceAtOnceOnEveryKindThatHasIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, from, to string }{
		"TokenService":   {"platform.yaml", "metadata: {name: default}\nspec:", "metadata: {name: default}\nspec:\n  revokeIssuedBefore: %q"},
		"TrustedIssuer":  {"platform.yaml", "metadata: {name: corp}\nspec:", "metadata: {name: corp}\nspec:\n  revokeIssuedBefore: %q"},
		"ExchangeClient": {"clients.yaml", "metadata: {namespace: shop, name: app}\nspec:", "metadata: {namespace: shop, name: app}\nspec:\n  revokeIssuedBefore: %q"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWorld(t).serve()
			first := s.ask(s.user()).app().images().send().allowed()
			second := onwards(s, first).allowed()
			before := time.Now().Add(time.Second).Truncate(time.Second).UTC()
			s.applied(func() { s.change(c.file, c.from, fmt.Sprintf(c.to, before.Format(time.RFC3339))) })
			eventually(t, "the second is over", func() bool { return time.Now().After(before) })
			s.introspect(first).inactive()
			s.introspect(second).inactive()
			onwards(s, first).refused(http.StatusBadRequest, "invalid_request", "TokenRevoked")
			s.introspect(s.ask(s.user()).app().images().send().allowed()).active()
		})
	}
}
