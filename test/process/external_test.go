// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/fakes/upstream"
)

// The names of the world's external targets.
const (
	partnerAPI   = "https://api.partner.example"
	chainedAPI   = "https://chained.example"
	cloudAPI     = "https://cloud.example"
	mainframe    = "https://mainframe.corp.example"
	forwardedAPI = "https://forwarded.example"
)

// externalTargets declares one external target of each kind that asks a server.
const externalTargets = `
apiVersion: v1
kind: Secret
metadata: {namespace: exchequer-system, name: partner}
stringData: {secret: "$PARTNERSECRET"}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExternalTarget
metadata: {name: partner}
spec:
  audiences: ["https://api.partner.example"]
  clients: [{namespace: shop, name: app}]
  subject:
    issuers: [{name: corp}]
    rules: [{expression: "'corp:staff' in subject.groups"}]
  scopes: [orders.read, orders.write]
  network: {allowedCIDRs: [127.0.0.0/8]}
  tokenExchange:
    tokenEndpoint: $UP/token
    caBundle: $CA
    clientAuth: {clientID: corp-sts, secretRef: {name: partner, key: secret}}
    audience: partner-api
    scope: orders.read
---
apiVersion: exchequer.dev/v1alpha1
kind: ExternalTarget
metadata: {name: chained}
spec:
  audiences: ["https://chained.example"]
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}]}
  network: {allowedCIDRs: [127.0.0.0/8]}
  jwtBearer: {tokenEndpoint: $UP/chain, caBundle: $CA, audience: "https://other.example", clientAuth: {clientID: corp-sts, privateKeyJWT: {}}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExternalTarget
metadata: {name: cloud}
spec:
  audiences: ["https://cloud.example"]
  clients: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}]
  subject: {issuers: [{name: corp}]}
  network: {allowedCIDRs: [127.0.0.0/8]}
  clientCredentials: {tokenEndpoint: $UP/cloud, caBundle: $CA, scope: storage}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExternalTarget
metadata: {name: mainframe}
spec:
  audiences: ["https://mainframe.corp.example"]
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}]}
  scopes: [ledger]
  network: {allowedCIDRs: [127.0.0.0/8]}
  webhook: {url: $UP/review, caBundle: $CA}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExternalTarget
metadata: {name: forwarded}
spec:
  audiences: ["https://forwarded.example"]
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}]}
  forward: true
  cache: {enabled: false}
  network: {allowedCIDRs: [127.0.0.0/8]}
  tokenExchange: {tokenEndpoint: $UP/forward, caBundle: $CA}
`

const partnerSecret = "what-the-partner-knows-us-by"

func externalWorld(t *testing.T) (*world, *upstream.Server) {
	t.Helper()
	up, err := upstream.Start(upstream.Options{TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = up.Close() })
	w := newWorld(t)
	w.words["$UP"], w.words["$PARTNERSECRET"] = up.URL(""), partnerSecret
	w.words["$CA"] = `"` + strings.ReplaceAll(string(up.CA()), "\n", `\n`) + `"`
	w.write("external.yaml", externalTargets)
	return w, up
}

func (s *server) outside(audience string, over ...claims) *asking {
	return s.ask(s.user(over...)).app().with("audience", audience)
}

func TestATokenOfAnotherServersIsAskedForThere(t *testing.T) {
	t.Parallel()
	w, up := externalWorld(t)
	up.Handle("/token", says(map[string]any{"access_token": "partner-token", "issued_token_type": typeAccess, "token_type": "bearer", "expires_in": 120, "scope": "orders.read"}))
	up.Handle("/chain", says(map[string]any{"access_token": "chained-token", "token_type": "Bearer"}))
	up.Handle("/cloud", says(map[string]any{"access_token": "cloud-token", "token_type": "Bearer", "expires_in": 3600}))
	up.Handle("/review", says(map[string]any{"apiVersion": "webhook.exchequer.dev/v1alpha1", "kind": "TargetReview", "response": map[string]any{
		"token": "ltpa", "tokenType": "N_A", "issuedTokenType": "https://mainframe.corp.example/ltpa", "expiresIn": 60,
	}}))
	up.Handle("/forward", says(map[string]any{"access_token": "forwarded-token", "issued_token_type": typeAccess, "token_type": "Bearer"}))
	s := w.serve()
	last := func(path string) *upstream.Call {
		calls := up.Calls(path)
		return &calls[len(calls)-1]
	}
	// assertion checks what was made for the other server, and that the caller's own
	// token is not in it.
	assertion := func(t *testing.T, s *server, token, typ, sub, aud string) {
		t.Helper()
		d := s.verify(token)
		if d.header["typ"] != typ || d.text("sub") != sub || d.text("aud") != aud || d.text("iss") != sts || d.text("client_id") != "shop/app" {
			t.Errorf("shown %v %v", d.header, d.claims)
		}
		if life := d.number("exp") - d.number("iat"); life <= 0 || life > 60 {
			t.Errorf("the assertion lives %d s, want 60 at most", life)
		}
		if d.text("xqr") != "" || d.text("scope") != "" || d.text("jti") == "" {
			t.Errorf("the assertion says too much or too little: %v", d.claims)
		}
	}
	t.Run("token exchange (RFC 8693)", func(t *testing.T) {
		s := s.in(t)
		r := s.outside(partnerAPI).with("scope", "orders.read").send()
		if token := r.allowed(); token != "partner-token" || r.text("issued_token_type") != typeAccess || r.text("token_type") != "Bearer" || r.text("scope") != "orders.read" || r.members["expires_in"].(float64) != 120 {
			t.Errorf("answered %s", r.body)
		}
		f := last("/token").Form
		if f.Get("grant_type") != grantExchange || f.Get("audience") != "partner-api" || f.Get("scope") != "orders.read" || f.Get("subject_token_type") != typeJWT || f.Get("requested_token_type") != typeAccess {
			t.Errorf("asked %v", f)
		}
		assertion(t, s, f.Get("subject_token"), "external-assertion+jwt", "corp:alice", up.URL("/token"))
		if id, secret, _ := (&http.Request{Header: last("/token").Header}).BasicAuth(); id != "corp-sts" || secret != partnerSecret {
			t.Errorf("asked as %q", id)
		}
		rec := r.record()
		if rec["outcome"] != "allowed" || rec["jti"] != s.verify(f.Get("subject_token")).text("jti") {
			t.Errorf("recorded %v: want the jti of the assertion", rec)
		}
	})
	t.Run("an assertion (RFC 7523), by a client that signs", func(t *testing.T) {
		s := s.in(t)
		r := s.outside(chainedAPI).send()
		if _, there := r.members["expires_in"]; r.allowed() != "chained-token" || there {
			t.Errorf("answered %s: nobody knows when it ends", r.body)
		}
		f := last("/chain").Form
		if f.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
			t.Errorf("asked %v", f)
		}
		assertion(t, s, f.Get("assertion"), "authorization-grant+jwt", "corp:alice", "https://other.example")
		c := s.verify(f.Get("client_assertion"))
		if c.header["typ"] != "client-authentication+jwt" || c.text("iss") != "corp-sts" || c.text("aud") != up.URL("/chain") {
			t.Errorf("client assertion %v %v", c.header, c.claims)
		}
	})
	t.Run("client credentials of a federated workload", func(t *testing.T) {
		s := s.in(t)
		if s.outside(cloudAPI).send().allowed() != "cloud-token" {
			t.Error("another token")
		}
		f := last("/cloud").Form
		if f.Get("grant_type") != "client_credentials" || f.Get("scope") != "storage" || f.Get("client_id") != "shop/app" {
			t.Errorf("asked %v", f)
		}
		assertion(t, s, f.Get("client_assertion"), "client-authentication+jwt", "shop/app", up.URL("/cloud"))
	})
	t.Run("a webhook", func(t *testing.T) {
		s := s.in(t)
		r := s.outside(mainframe).with("scope", "ledger").send()
		if r.allowed() != "ltpa" || r.text("token_type") != "N_A" || r.text("issued_token_type") != "https://mainframe.corp.example/ltpa" {
			t.Errorf("answered %s", r.body)
		}
		q := last("/review").JSON()["request"].(map[string]any)
		subject := q["subject"].(map[string]any)
		if q["client"] != "shop/app" || q["externalTarget"] != "mainframe" || subject["subject"] != "corp:alice" || subject["issuer"] != "corp" {
			t.Errorf("asked %v", q)
		}
		assertion(t, s, q["assertion"].(string), "external-assertion+jwt", "corp:alice", up.URL("/review"))
	})
	t.Run("the caller's own token, where that is declared", func(t *testing.T) {
		s := s.in(t)
		token := s.user()
		if s.ask(token).app().with("audience", forwardedAPI).send().allowed() != "forwarded-token" {
			t.Error("another token")
		}
		if f := last("/forward").Form; f.Get("subject_token") != token || f.Get("subject_token_type") != typeJWT {
			t.Errorf("asked %v", f)
		}
		for _, call := range up.Calls("") {
			if call.Path != "/forward" && strings.Contains(string(call.Body), token) {
				t.Errorf("%s got the caller's token", call.Path)
			}
		}
	})
	t.Run("nothing secret is in any output", func(t *testing.T) {
		s := s.in(t)
		all := s.errs.String() + strings.Join(texts(s.records()), "") + s.get("/metrics").body
		for _, secret := range []string{partnerSecret, "partner-token", "chained-token", "cloud-token", "ltpa-", "forwarded-token"} {
			if strings.Contains(all, secret) {
				t.Errorf("%s is in a log", secret)
			}
		}
	})
}

func TestThePolicyDecidesBeforeAnotherServerIsAsked(t *testing.T) {
	t.Parallel()
	w, up := externalWorld(t)
	up.Handle("/token", says(map[string]any{"access_token": "partner-token", "issued_token_type": typeAccess, "token_type": "Bearer", "expires_in": 120}))
	s := w.serve()
	for name, c := range map[string]struct {
		ask    func(*server) *asking
		code   string
		reason string
	}{
		"a rule does not hold":      {func(s *server) *asking { return s.outside(partnerAPI, claims{"groups": []string{"guests"}}) }, "invalid_request", "SubjectRule"},
		"a scope that is not there": {func(s *server) *asking { return s.outside(partnerAPI).with("scope", "admin") }, "invalid_scope", "ScopeNotGranted"},
		"beside a target of ours":   {func(s *server) *asking { return s.outside(partnerAPI).with("audience", partnerAPI, imagesAPI) }, "invalid_target", "TargetsMixed"},
		"by another client": {func(s *server) *asking {
			return s.ask(s.user(claims{"aud": imagesAPI})).basic(imagesAPI, imagesSecret).with("audience", partnerAPI)
		}, "invalid_target", "TargetNotGranted"},
		"with a token of somebody else's": {func(s *server) *asking { return s.outside(partnerAPI, claims{"aud": "shop-signer"}) }, "invalid_request", "SubjectAudience"},
		"for a refresh token":             {func(s *server) *asking { return s.outside(partnerAPI).with("requested_token_type", typeRefresh) }, "invalid_request", "TokenTypeNotGranted"},
	} {
		t.Run(name, func(t *testing.T) {
			c.ask(s.in(t)).send().refused(http.StatusBadRequest, c.code, c.reason)
		})
	}
	if n := len(up.Calls("")); n != 0 {
		t.Errorf("%d questions for requests that were refused", n)
	}
}

func TestWhatAnotherServerAnswersIsJudged(t *testing.T) {
	t.Parallel()
	w, up := externalWorld(t)
	s := w.serve()
	token := func(over map[string]any) upstream.Reply {
		m := map[string]any{"access_token": "t", "issued_token_type": typeAccess, "token_type": "Bearer", "expires_in": 120}
		maps.Copy(m, over)
		return upstream.JSON(m)
	}
	no := func(code string) upstream.Reply {
		return upstream.Status(400, map[string]any{"error": code, "error_description": "canary alice"})
	}
	for name, c := range map[string]struct {
		reply  upstream.Reply
		status int
		code   string
		reason string
	}{
		"it refuses the assertion":          {no("invalid_grant"), 400, "invalid_target", "UpstreamRefused"},
		"it refuses the scope":              {no("invalid_scope"), 400, "invalid_scope", "ScopeNotGranted"},
		"it refuses the target":             {no("invalid_target"), 400, "invalid_target", "TargetNotGranted"},
		"it refuses for reasons of its own": {no("canary alice"), 400, "invalid_target", "UpstreamRefused"},
		"it does not know us":               {no("invalid_client"), 503, "temporarily_unavailable", "UpstreamUnavailable"},
		"it cannot answer":                  {upstream.Status(502, nil), 503, "temporarily_unavailable", "UpstreamUnavailable"},
		"it gives more than was asked":      {token(map[string]any{"scope": "orders.read admin"}), 400, "invalid_target", "UpstreamRefused"},
		"it gives a token of another type":  {token(map[string]any{"token_type": "DPoP"}), 503, "temporarily_unavailable", "UpstreamUnavailable"},
		"it gives less":                     {token(map[string]any{"scope": ""}), 200, "", ""},
		"it gives what was asked":           {token(nil), 200, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			up.Handle("/token", func(*upstream.Call) upstream.Reply { return c.reply })
			r := s.outside(partnerAPI, claims{"sub": random()}).with("scope", "orders.read").send()
			if strings.Contains(r.body, "canary") || strings.Contains(r.why(), "canary") {
				t.Errorf("what the server said is told: %s%s", r.body, r.why())
			}
			if c.status == http.StatusOK {
				r.allowed()
				return
			}
			r.refused(c.status, c.code, c.reason)
		})
	}
}

func TestATokenOfAnotherServersIsKeptByAllThatItDependsOn(t *testing.T) {
	t.Parallel()
	w, up := externalWorld(t)
	expires := 3600
	up.Handle("/token", func(*upstream.Call) upstream.Reply {
		return upstream.JSON(map[string]any{"access_token": random(), "issued_token_type": typeAccess, "token_type": "Bearer", "expires_in": expires})
	})
	s := w.serve()
	get := func(a *asking) string { return a.send().allowed() }
	first := get(s.outside(partnerAPI).with("scope", "orders.read"))
	same := map[string]func(*server) *asking{
		"the same again": func(s *server) *asking { return s.outside(partnerAPI).with("scope", "orders.read") },
		"with another token of the user": func(s *server) *asking {
			return s.outside(partnerAPI, claims{"jti": random()}).with("scope", "orders.read")
		},
	}
	other := map[string]func(*server) *asking{
		"for another user": func(s *server) *asking {
			return s.outside(partnerAPI, claims{"sub": "bob"}).with("scope", "orders.read")
		},
		"with other groups": func(s *server) *asking {
			return s.outside(partnerAPI, claims{"groups": []string{"staff", "press"}}).with("scope", "orders.read")
		},
		"with another scope": func(s *server) *asking { return s.outside(partnerAPI).with("scope", "orders.write") },
		"with more scope":    func(s *server) *asking { return s.outside(partnerAPI).with("scope", "orders.read orders.write") },
		"without scope":      func(s *server) *asking { return s.outside(partnerAPI) },
		"as another token type": func(s *server) *asking {
			return s.outside(partnerAPI).with("scope", "orders.read").with("requested_token_type", typeJWT)
		},
	}
	for _, name := range slices.Sorted(maps.Keys(same)) {
		t.Run(name, func(t *testing.T) {
			if got := get(same[name](s.in(t))); got != first {
				t.Error("another token was fetched")
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(other)) {
		t.Run(name, func(t *testing.T) {
			if got := get(other[name](s.in(t))); got == first {
				t.Error("somebody else's token was handed out")
			}
		})
	}
	t.Run("not when the policy changed", func(t *testing.T) {
		s := s.in(t)
		s.applied(func() { w.change("external.yaml", "audience: partner-api", "audience: partner-api-2") })
		next := get(s.outside(partnerAPI).with("scope", "orders.read"))
		if next == first {
			t.Error("a token that was asked for otherwise was handed out")
		}
		first = next
	})
	t.Run("not when the subject was revoked", func(t *testing.T) {
		s := s.in(t)
		at := time.Now().Add(3 * time.Hour).UTC().Format(time.RFC3339)
		s.applied(func() {
			w.write("stolen.yaml", "apiVersion: exchequer.dev/v1alpha1\nkind: TokenRevocation\nmetadata: {name: stolen}\n"+
				"spec: {subject: \"corp:alice\", issuedBefore: \""+time.Now().Add(time.Minute).UTC().Format(time.RFC3339)+"\", expiresAt: \""+at+"\"}\n")
		})
		s.outside(partnerAPI).with("scope", "orders.read").send().refused(http.StatusBadRequest, "invalid_request", "TokenRevoked")
		s.applied(func() { w.remove("stolen.yaml") })
	})
	t.Run("and not in its last half minute", func(t *testing.T) {
		s := s.in(t)
		expires = 29
		ask := func() string {
			return get(s.outside(partnerAPI, claims{"sub": "carol"}).with("scope", "orders.read"))
		}
		if one := ask(); one == ask() {
			t.Error("a token that is about to end was handed out again")
		}
	})
}
