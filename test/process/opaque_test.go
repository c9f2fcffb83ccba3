// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/fakes/upstream"
)

// The token types of the world's opaque tokens.
const (
	typeSession  = "https://legacy.corp.example/session"
	typeLogin    = "https://login.corp.example/opaque"
	typeLegacy   = "https://legacy.corp.example/refresh"
	typeBadge    = "tag:corp.example,2030:badge"
	legacySecret = "what-we-are-known-by-there"
)

// opaqueIssuers declares one issuer of each opaque kind, at one server.
const opaqueIssuers = `
apiVersion: v1
kind: Secret
metadata: {namespace: exchequer-system, name: legacy}
stringData: {secret: "$LEGACYSECRET"}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: sessions}
spec:
  allowedNamespaces: {all: true}
  network: {allowedCIDRs: [127.0.0.0/8]}
  introspection:
    tokenTypeURI: https://legacy.corp.example/session
    endpoint: $UP/introspect
    certificateAuthority: $CA
    audiences: ["https://sts.example.com"]
    clientAuth: {clientID: sts, secretRef: {name: legacy, key: secret}}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: login}
spec:
  allowedNamespaces: {all: true}
  network: {allowedCIDRs: [127.0.0.0/8]}
  userInfo: {tokenTypeURI: "https://login.corp.example/opaque", endpoint: $UP/userinfo, certificateAuthority: $CA}
  clients: [{id: "userinfo:login", client: {namespace: shop, name: app}}]
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: legacy}
spec:
  allowedNamespaces: {all: true}
  network: {allowedCIDRs: [127.0.0.0/8]}
  refreshToken:
    tokenTypeURI: https://legacy.corp.example/refresh
    tokenEndpoint: $UP/token
    certificateAuthority: $CA
    clientAuth: {clientID: old-shop, secretRef: {name: legacy, key: secret}, method: Post}
  clients: [{id: old-shop, client: {namespace: shop, name: app}}]
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: badges}
spec:
  allowedNamespaces: {all: true}
  network: {allowedCIDRs: [127.0.0.0/8]}
  webhook: {tokenTypeURI: "tag:corp.example,2030:badge", url: $UP/verify, caBundle: $CA}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: opaque}
spec:
  clients: [{namespace: shop, name: app}]
  subject:
    issuers: [{name: sessions}, {name: login}, {name: legacy}, {name: badges}]
    tokenTypes: [Opaque, RefreshToken]
  target: {clients: [{name: contacts-resource}], scopes: []}
`

// opaqueWorld has a server that everything is asked of.
func opaqueWorld(t *testing.T) (*world, *upstream.Server) {
	t.Helper()
	up, err := upstream.Start(upstream.Options{TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = up.Close() })
	w := newWorld(t)
	w.words["$UP"], w.words["$LEGACYSECRET"] = up.URL(""), legacySecret
	w.words["$CA"] = `"` + strings.ReplaceAll(string(up.CA()), "\n", `\n`) + `"`
	w.write("opaque.yaml", opaqueIssuers)
	return w, up
}

func says(v any) func(*upstream.Call) upstream.Reply {
	return func(*upstream.Call) upstream.Reply { return upstream.JSON(v) }
}

// opaque asks with a token of a token type of somebody's own.
func (s *server) opaque(tokenType, token string) *asking {
	return s.ask(token).app().with("subject_token_type", tokenType).with("audience", contactsAPI)
}

func TestAnOpaqueTokenIsWhatItsServerSays(t *testing.T) {
	t.Parallel()
	w, up := opaqueWorld(t)
	now := time.Now().Unix()
	idToken, err := w.corp.Mint(claims{"sub": "dave", "aud": "old-shop", "exp": now + 600})
	if err != nil {
		t.Fatal(err)
	}
	up.Handle("/introspect", says(map[string]any{"active": true, "sub": "alice", "client_id": "shop/app", "exp": now + 600, "iat": now - 5}))
	up.Handle("/userinfo", says(map[string]any{"sub": "bob", "aud": "somebody-else"}))
	up.Handle("/token", says(map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": idToken, "refresh_token": "next"}))
	up.Handle("/verify", says(map[string]any{"apiVersion": "webhook.exchequer.dev/v1alpha1", "kind": "VerifyReview", "response": map[string]any{
		"authenticated": true, "claims": map[string]any{"sub": "carol", "aud": "shop/app", "exp": now + 600},
	}}))
	s := w.serve()
	for name, c := range map[string]struct{ tokenType, path, subject string }{
		"introspection": {typeSession, "/introspect", "sessions:alice"},
		"userInfo":      {typeLogin, "/userinfo", "login:bob"},
		"refreshToken":  {typeLegacy, "/token", "legacy:dave"},
		"webhook":       {typeBadge, "/verify", "badges:carol"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			canary := "canary-" + name + "-" + random()
			r := s.opaque(c.tokenType, canary).send()
			d := s.verify(r.allowed())
			if d.text("sub") != c.subject || d.number("exp")-d.number("iat") > 300 {
				t.Errorf("sub %s, life %d", d.text("sub"), d.number("exp")-d.number("iat"))
			}
			for _, call := range up.Calls("") {
				if saw := strings.Contains(string(call.Body)+call.Header.Get("Authorization"), canary); saw != (call.Path == c.path) {
					t.Errorf("%s saw the token: %t: no other server ever sees it", call.Path, saw)
				}
			}
			if strings.Contains(s.errs.String(), canary) || strings.Contains(strings.Join(texts(s.records()), ""), canary) {
				t.Error("the token is in a log")
			}
		})
	}
	t.Run("a secret that others gave us is in no output", func(t *testing.T) {
		s := s.in(t)
		if all := s.errs.String() + strings.Join(texts(s.records()), "") + s.get("/metrics").body; strings.Contains(all, legacySecret) {
			t.Error("the client secret is in a log")
		}
		if !strings.Contains(s.get("/metrics").body, `exchequer_upstream_requests_total{result="ok",upstream="TrustedIssuer/sessions"} 1`) {
			t.Error("the metrics do not count the question")
		}
	})
	t.Run("F32: a token type that nobody has selects nobody", func(t *testing.T) {
		before := len(up.Calls(""))
		s.in(t).opaque("https://nobody.example/type", "x").send().refused(http.StatusBadRequest, "invalid_request", "IssuerUnknown")
		if len(up.Calls("")) != before {
			t.Error("somebody was asked")
		}
	})
	t.Run("F33: an opaque token is nothing as a JWT", func(t *testing.T) {
		s.in(t).ask("opaque").app().with("audience", contactsAPI).send().refused(http.StatusBadRequest, "invalid_request", "TokenMalformed")
	})
	t.Run("a policy that does not name the class gets none", func(t *testing.T) {
		s.in(t).opaque(typeSession, "x").with("audience", imagesAPI).send().refused(http.StatusBadRequest, "invalid_request", "SubjectIssuer")
	})
}

func texts(records []map[string]any) []string {
	var out []string
	for _, r := range records {
		for k, v := range r {
			if text, ok := v.(string); ok {
				out = append(out, k+"="+text)
			}
		}
	}
	return out
}

func TestWhatAServerDoesNotVouchForIsRefused(t *testing.T) {
	t.Parallel()
	w, up := opaqueWorld(t)
	s := w.serve()
	now := time.Now().Unix()
	review := func(response map[string]any) map[string]any {
		return map[string]any{"apiVersion": "webhook.exchequer.dev/v1alpha1", "kind": "VerifyReview", "response": response}
	}
	good := map[string]any{"sub": "carol", "aud": "shop/app"}
	with := func(name string, v any) map[string]any {
		return review(map[string]any{"authenticated": true, "claims": map[string]any{"sub": "carol", "aud": "shop/app", name: v}})
	}
	for name, c := range map[string]struct {
		tokenType, path string
		reply           upstream.Reply
		status          int
		code, reason    string
	}{
		"F185: not active":                        {typeSession, "/introspect", upstream.JSON(map[string]any{"active": false, "sub": "alice", "exp": now + 60}), 400, "invalid_request", "TokenRevoked"},
		"F185: active is a string":                {typeSession, "/introspect", upstream.JSON(map[string]any{"active": "true", "sub": "alice"}), 400, "invalid_request", "TokenRevoked"},
		"F186: an outage of the server":           {typeSession, "/introspect", upstream.Status(500, nil), 503, "temporarily_unavailable", "UpstreamUnavailable"},
		"F186: no answer in time":                 {typeBadge, "/verify", upstream.Reply{Hang: true}, 503, "temporarily_unavailable", "UpstreamUnavailable"},
		"it has expired":                          {typeSession, "/introspect", upstream.JSON(map[string]any{"active": true, "sub": "alice", "client_id": "shop/app", "exp": now - 100, "iat": now - 900}), 400, "invalid_request", "TokenExpired"},
		"it is for somebody else":                 {typeSession, "/introspect", upstream.JSON(map[string]any{"active": true, "sub": "alice", "client_id": "shop/other", "exp": now + 60}), 400, "invalid_request", "SubjectAudience"},
		"it does not say for whom it is":          {typeSession, "/introspect", upstream.JSON(map[string]any{"active": true, "sub": "alice", "exp": now + 60}), 400, "invalid_request", "SubjectAudience"},
		"it does not say whose it is":             {typeSession, "/introspect", upstream.JSON(map[string]any{"active": true, "client_id": "shop/app", "exp": now + 60}), 400, "invalid_request", "TokenMalformed"},
		"F144: it is bound, and nothing is shown": {typeSession, "/introspect", upstream.JSON(map[string]any{"active": true, "sub": "alice", "client_id": "shop/app", "exp": now + 60, "cnf": map[string]any{"jkt": "x"}}), 400, "invalid_request", "SubjectBinding"},
		"userinfo does not know it":               {typeLogin, "/userinfo", upstream.Status(401, nil), 400, "invalid_request", "TokenRevoked"},
		"the provider does not redeem it":         {typeLegacy, "/token", upstream.Status(400, map[string]any{"error": "invalid_grant"}), 400, "invalid_request", "TokenRevoked"},
		"the provider does not say whose it was":  {typeLegacy, "/token", upstream.JSON(map[string]any{"access_token": "a", "token_type": "Bearer"}), 503, "temporarily_unavailable", "UpstreamUnavailable"},
		"the webhook does not vouch for it":       {typeBadge, "/verify", upstream.JSON(review(map[string]any{"authenticated": false})), 400, "invalid_request", "TokenRevoked"},
		"the webhook has no aud":                  {typeBadge, "/verify", upstream.JSON(review(map[string]any{"authenticated": true, "claims": map[string]any{"sub": "carol"}})), 400, "invalid_request", "SubjectAudience"},
		"the webhook sets iss":                    {typeBadge, "/verify", upstream.JSON(with("iss", "https://corp.example")), 400, "invalid_request", "TokenMalformed"},
		"the webhook sets act":                    {typeBadge, "/verify", upstream.JSON(with("act", map[string]any{"sub": "x"})), 400, "invalid_request", "TokenMalformed"},
		"the webhook sets may_act":                {typeBadge, "/verify", upstream.JSON(with("may_act", map[string]any{"sub": "x"})), 400, "invalid_request", "TokenMalformed"},
		"the webhook sets cnf":                    {typeBadge, "/verify", upstream.JSON(with("cnf", map[string]any{"jkt": "x"})), 400, "invalid_request", "TokenMalformed"},
		"the webhook vouches for it":              {typeBadge, "/verify", upstream.JSON(review(map[string]any{"authenticated": true, "claims": good})), 200, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			up.Handle(c.path, func(*upstream.Call) upstream.Reply { return c.reply })
			r := s.opaque(c.tokenType, random()).send()
			if c.status == http.StatusOK {
				r.allowed()
				return
			}
			r.refused(c.status, c.code, c.reason)
			if c.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
}

func TestAYesIsRememberedForSecondsAndANoIsNot(t *testing.T) {
	t.Parallel()
	w, up := opaqueWorld(t)
	var active atomic.Bool
	up.Handle("/introspect", func(*upstream.Call) upstream.Reply {
		return upstream.JSON(map[string]any{"active": active.Load(), "sub": "alice", "client_id": "shop/app", "exp": time.Now().Unix() + 600})
	})
	s := w.serve()
	token := random()
	for range 2 {
		s.opaque(typeSession, token).send().refused(http.StatusBadRequest, "invalid_request", "TokenRevoked")
	}
	if n := len(up.Calls("/introspect")); n != 2 {
		t.Errorf("%d questions about a token that was refused twice, want 2", n)
	}
	active.Store(true)
	for range 5 {
		s.opaque(typeSession, token).send().allowed()
	}
	if n := len(up.Calls("/introspect")); n != 3 {
		t.Errorf("%d questions, want 3: a yes counts for ten seconds", n)
	}
}

func TestASecretForAnotherServerRotatesWithoutARestart(t *testing.T) {
	t.Parallel()
	w, up := opaqueWorld(t)
	up.Handle("/introspect", func(c *upstream.Call) upstream.Reply {
		_, secret, _ := (&http.Request{Header: c.Header}).BasicAuth()
		if secret != "the-next-one" {
			return upstream.Status(401, map[string]any{"error": "invalid_client"})
		}
		return upstream.JSON(map[string]any{"active": true, "sub": "alice", "client_id": "shop/app", "exp": time.Now().Unix() + 600})
	})
	s := w.serve()
	s.opaque(typeSession, random()).send().refused(http.StatusServiceUnavailable, "temporarily_unavailable", "UpstreamUnavailable")
	before := s.revision()
	w.change("opaque.yaml", legacySecret, "the-next-one")
	eventually(t, "the next secret is presented", func() bool {
		r, err := s.opaque(typeSession, random()).try()
		return err == nil && r.status == http.StatusOK
	})
	if s.revision() != before {
		t.Error("the secret is part of the policy")
	}
}

func TestADirectoryKnowsMoreThanTheToken(t *testing.T) {
	t.Parallel()
	w, up := opaqueWorld(t)
	w.change("platform.yaml", "  claimMappings:\n    username:", "  directory: {url: $UP/directory, caBundle: $CA}\n"+
		"  userValidationRules: [{expression: \"!('corp:contractors' in subject.groups)\"}]\n  claimMappings:\n    username:")
	respond := func(response map[string]any) {
		up.Handle("/directory", says(map[string]any{"apiVersion": "webhook.exchequer.dev/v1alpha1", "kind": "DirectoryReview", "response": response}))
	}
	respond(map[string]any{})
	s := w.serve()
	ask := func(t *testing.T) *reply { return s.in(t).ask(s.user()).app().images().send() }
	t.Run("it has nothing to add", func(t *testing.T) {
		if d := s.in(t).verify(ask(t).allowed()); d.text("sub") != "corp:alice" {
			t.Errorf("sub %s", d.text("sub"))
		}
		sent := up.Calls("/directory")[0].JSON()["request"].(map[string]any)
		if sent["subject"] != "alice" || sent["trustedIssuer"] != "corp" || sent["claims"].(map[string]any)["scope"] != "images contacts" {
			t.Errorf("asked %v", sent)
		}
	})
	t.Run("it links the account, and says the groups", func(t *testing.T) {
		respond(map[string]any{"subject": "u-17", "groups": []string{"staff"}})
		if d := s.in(t).verify(ask(t).allowed()); d.text("sub") != "corp:u-17" {
			t.Errorf("sub %s, want the linked one with the issuer's prefix", d.text("sub"))
		}
	})
	t.Run("the groups that it says are the ones that count", func(t *testing.T) {
		respond(map[string]any{"groups": []string{"guests"}})
		ask(t).refused(http.StatusBadRequest, "invalid_request", "SubjectRule")
	})
	t.Run("userValidationRules see what it says", func(t *testing.T) {
		respond(map[string]any{"groups": []string{"staff", "contractors"}})
		ask(t).refused(http.StatusBadRequest, "invalid_request", "UserRule")
	})
	t.Run("it cannot name others' people", func(t *testing.T) {
		respond(map[string]any{"subject": "system:serviceaccount:kube-system:default"})
		if d := s.in(t).verify(ask(t).allowed()); d.text("sub") != "corp:system:serviceaccount:kube-system:default" {
			t.Errorf("sub %s", d.text("sub"))
		}
	})
	t.Run("it does not want the subject", func(t *testing.T) {
		respond(map[string]any{"error": "no account"})
		ask(t).refused(http.StatusBadRequest, "invalid_request", "DirectoryRefused")
	})
	t.Run("it is down", func(t *testing.T) {
		up.Handle("/directory", func(*upstream.Call) upstream.Reply { return upstream.Status(500, nil) })
		ask(t).refused(http.StatusServiceUnavailable, "temporarily_unavailable", "UpstreamUnavailable")
	})
	t.Run("what it said counts for ten seconds, for this token alone", func(t *testing.T) {
		respond(map[string]any{"groups": []string{"staff"}})
		s := s.in(t)
		token := s.user()
		before := len(up.Calls("/directory"))
		for range 4 {
			s.ask(token).app().images().send().allowed()
		}
		if n := len(up.Calls("/directory")) - before; n != 1 {
			t.Errorf("%d questions, want 1", n)
		}
	})
}
