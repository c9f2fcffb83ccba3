// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/exchequer-dev/exchequer/test/fakes/upstream"
)

const (
	boxAPI = "https://box.example"
	oldAPI = "https://old.example"
)

// linkedTargets declares a provider whose tokens are renewed, and one whose are not.
const linkedTargets = `
apiVersion: v1
kind: Secret
metadata: {namespace: exchequer-system, name: box}
stringData: {secret: what-box-knows-us-by}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExternalTarget
metadata: {name: box}
spec:
  audiences: ["https://box.example"]
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}], rules: [{expression: "'corp:staff' in subject.groups"}]}
  scopes: [files, admin]
  network: {allowedCIDRs: [127.0.0.0/8]}
  linkedToken:
    provider: box
    tokenEndpoint: $UP/box
    caBundle: $CA
    clientAuth: {clientID: corp, secretRef: {name: box, key: secret}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExternalTarget
metadata: {name: old}
spec:
  audiences: ["https://old.example"]
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}]}
  linkedToken: {provider: old}
`

// link begins a request to store tokens for the user.
func (s *server) link(provider string, over ...claims) *asking {
	a := s.ask(s.user(over...)).app().at("", "/links").with("provider", provider)
	delete(a.form, "grant_type")
	return a
}

func TestAUsersTokenOfAProviderIsStoredAndHandedOut(t *testing.T) {
	t.Parallel()
	w, up := externalWorld(t)
	w.write("linked.yaml", linkedTargets)
	var renewals atomic.Int32
	up.Handle("/box", func(c *upstream.Call) upstream.Reply {
		if c.Form.Get("grant_type") != "refresh_token" || c.Form.Get("refresh_token") != "box-refresh-1" {
			return upstream.Status(400, map[string]any{"error": "invalid_grant"})
		}
		renewals.Add(1)
		return upstream.JSON(map[string]any{"access_token": "box-token-2", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "box-refresh-2"})
	})
	s := w.serve()
	box := func(t *testing.T, over ...claims) *asking { return s.in(t).outside(boxAPI, over...) }
	t.Run("nobody has a token that was not linked", func(t *testing.T) {
		box(t).send().refused(http.StatusBadRequest, "invalid_target", "UpstreamRefused")
	})
	t.Run("the user's token is stored by the client that may have it", func(t *testing.T) {
		s := s.in(t)
		r := s.link("box").with("access_token", "box-token-1").with("refresh_token", "box-refresh-1").with("expires_in", "3600").with("scope", "files").send()
		if r.status != http.StatusOK || r.record()["outcome"] != "allowed" {
			t.Fatalf("got %d %s%s", r.status, r.body, r.why())
		}
		got := s.outside(boxAPI).send()
		if got.allowed() != "box-token-1" || got.text("scope") != "files" || got.text("token_type") != "Bearer" {
			t.Errorf("answered %s", got.body)
		}
	})
	t.Run("for that user alone", func(t *testing.T) {
		box(t, claims{"sub": "bob"}).send().refused(http.StatusBadRequest, "invalid_target", "UpstreamRefused")
	})
	t.Run("the policy decides at each use", func(t *testing.T) {
		box(t, claims{"groups": []string{"guests"}}).send().refused(http.StatusBadRequest, "invalid_request", "SubjectRule")
	})
	t.Run("with a scope that it is known to have", func(t *testing.T) {
		box(t).with("scope", "files").send().allowed()
		box(t).with("scope", "admin").send().refused(http.StatusBadRequest, "invalid_scope", "ScopeNotGranted")
	})
	t.Run("it is renewed when that is due, once", func(t *testing.T) {
		s := s.in(t)
		s.link("box").with("access_token", "box-token-1").with("refresh_token", "box-refresh-1").with("expires_in", "30").with("scope", "files").send()
		for range 3 {
			if got := s.outside(boxAPI).send(); got.allowed() != "box-token-2" || got.text("scope") != "files" {
				t.Errorf("answered %s", got.body)
			}
		}
		if renewals.Load() != 1 {
			t.Errorf("renewed %d times", renewals.Load())
		}
	})
	t.Run("what a provider does not renew has to be linked again", func(t *testing.T) {
		s := s.in(t)
		carol := claims{"sub": "carol"}
		s.link("box", carol).with("access_token", "x").with("refresh_token", "revoked").with("expires_in", "1").send()
		eventually(t, "the token has ended", func() bool {
			return s.outside(boxAPI, carol).send().status == http.StatusBadRequest
		})
	})
	t.Run("what is removed is gone", func(t *testing.T) {
		s := s.in(t)
		if r := s.link("box").with("unlink", "true").send(); r.status != http.StatusOK {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		s.outside(boxAPI).send().refused(http.StatusBadRequest, "invalid_target", "UpstreamRefused")
	})
	t.Run("a provider that renews nothing", func(t *testing.T) {
		s := s.in(t)
		s.link("old").with("access_token", "old-token").send()
		if got := s.outside(oldAPI).send(); got.allowed() != "old-token" || got.members["expires_in"] != nil {
			t.Errorf("answered %s", got.body)
		}
	})
	t.Run("nothing secret is in any output", func(t *testing.T) {
		s := s.in(t)
		all := s.errs.String() + strings.Join(texts(s.records()), "") + s.get("/metrics").body
		for _, secret := range []string{"box-token", "box-refresh", "old-token", "what-box-knows"} {
			if strings.Contains(all, secret) {
				t.Errorf("%s is in a log", secret)
			}
		}
	})
}

func TestNobodyLinksForSomebodyElse(t *testing.T) {
	t.Parallel()
	w, _ := externalWorld(t)
	w.write("linked.yaml", linkedTargets)
	s := w.serve()
	tokens := func(a *asking) *asking { return a.with("access_token", "box-token") }
	for name, c := range map[string]struct {
		ask    func(*server) *asking
		status int
		code   string
		reason string
	}{
		"without a client": {func(s *server) *asking {
			a := tokens(s.link("box"))
			a.header.Del("Authorization")
			return a
		}, 401, "invalid_client", "ClientCredentials"},
		"by a client that may not have it": {func(s *server) *asking {
			return tokens(s.link("box", claims{"aud": imagesAPI})).basic(imagesAPI, imagesSecret)
		}, 400, "invalid_target", "TargetNotGranted"},
		"with a token for somebody else":   {func(s *server) *asking { return tokens(s.link("box", claims{"aud": "shop-signer"})) }, 400, "invalid_request", "SubjectAudience"},
		"without the user's token":         {func(s *server) *asking { return tokens(s.link("box")).with("subject_token") }, 400, "invalid_request", "FormInvalid"},
		"for a provider that there is not": {func(s *server) *asking { return tokens(s.link("other")) }, 400, "invalid_target", "TargetUnknown"},
		"without a provider":               {func(s *server) *asking { return tokens(s.link("")) }, 400, "invalid_request", "FormInvalid"},
		"without a token":                  {func(s *server) *asking { return s.link("box") }, 400, "invalid_request", "FormInvalid"},
		"with a token that is bound":       {func(s *server) *asking { return tokens(s.link("box")).with("token_type", "DPoP") }, 400, "invalid_request", "FormInvalid"},
		"with an end that is none":         {func(s *server) *asking { return tokens(s.link("box")).with("expires_in", "soon") }, 400, "invalid_request", "FormInvalid"},
		"with a token twice":               {func(s *server) *asking { return tokens(s.link("box")).with("access_token", "a", "b") }, 400, "invalid_request", "FormInvalid"},
		"storing and removing":             {func(s *server) *asking { return tokens(s.link("box")).with("unlink", "true") }, 400, "invalid_request", "FormInvalid"},
	} {
		t.Run(name, func(t *testing.T) {
			c.ask(s.in(t)).send().refused(c.status, c.code, c.reason)
		})
	}
	if r, err := s.do(http.MethodGet, "", "/links", "", nil); err != nil || r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v %v", r, err)
	}
}
