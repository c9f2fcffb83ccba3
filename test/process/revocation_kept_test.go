// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"strings"
	"testing"
)

// renew uses a refresh token.
func (s *server) renew(client, secret, token string) *reply {
	s.t.Helper()
	return s.ask("").basic(client, secret).with("grant_type", "refresh_token").with("refresh_token", token).with("subject_token").with("subject_token_type").send()
}

// renewable gives refresh tokens for images and for what it goes on to.
func renewable(t *testing.T) *server {
	t.Helper()
	w := newWorld(t)
	w.change("media.yaml", "  token: {types: [AccessToken, JWT]}", "  token: {types: [AccessToken, JWT], refresh: Bounded}")
	w.change("media.yaml", "  target: {clients: [{name: contacts-resource}], scopes: []}\n---", "  target: {clients: [{name: contacts-resource}], scopes: []}\n  token: {refresh: Bounded}\n---")
	return w.serve()
}

func (r *reply) pair() (access, refresh string) {
	r.t.Helper()
	access = r.allowed()
	if refresh = r.text("refresh_token"); refresh == "" {
		r.t.Fatalf("no refresh token: %s", r.body)
	}
	return access, refresh
}

func TestKC26RevocationReachesRefreshTokens(t *testing.T) {
	t.Parallel()
	begin := func(s *server) (access, refresh string) {
		s.t.Helper()
		return s.ask(s.user()).app().images().with("requested_token_type", typeRefresh).send().pair()
	}
	app := func(s *server, refresh string) *reply { return s.renew("shop/app", appSecret, refresh) }
	t.Run("KC-26: a refresh token ends its family, and what came of it", func(t *testing.T) {
		t.Parallel()
		s := renewable(t)
		first, refresh := begin(s)
		second, refresh := app(s, refresh).pair()
		s.introspect(second).active()
		if r := s.revoke(refresh); r.status != http.StatusOK {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		if r := app(s, refresh); r.status != http.StatusBadRequest || r.text("error") != "invalid_grant" {
			t.Errorf("got %d %s", r.status, r.body)
		}
		s.introspect(first).inactive()
		s.introspect(second).inactive()
		onwards(s, second).refused(http.StatusBadRequest, "invalid_request", "TokenRevoked")
	})
	t.Run("KC-26: the first access token ends them, too", func(t *testing.T) {
		t.Parallel()
		s := renewable(t)
		first, refresh := begin(s)
		if r := s.revoke(first); r.status != http.StatusOK {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		if r := app(s, refresh); r.status != http.StatusBadRequest || r.text("error") != "invalid_grant" {
			t.Errorf("got %d %s", r.status, r.body)
		}
	})
	t.Run("KC-26: a subject token of ours ends what was exchanged for it, refresh tokens included", func(t *testing.T) {
		t.Parallel()
		s := renewable(t)
		first, _ := begin(s)
		second, refresh := s.ask(first).basic(imagesAPI, imagesSecret).with("audience", contactsAPI).with("requested_token_type", typeRefresh).send().pair()
		s.introspect(second).active()
		if r := s.revoke(first); r.status != http.StatusOK {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		if r := s.renew(imagesAPI, imagesSecret, refresh); r.status != http.StatusBadRequest {
			t.Errorf("got %d %s", r.status, r.body)
		}
		s.introspect(second).inactive()
	})
	t.Run("KC-26: another client's refresh token is left alone", func(t *testing.T) {
		t.Parallel()
		s := renewable(t)
		_, refresh := begin(s)
		if r := s.inquire("/revoke", imagesAPI, imagesSecret, refresh); r.status != http.StatusBadRequest || r.text("error") != "unauthorized_client" {
			t.Errorf("got %d %s", r.status, r.body)
		}
		app(s, refresh).allowed()
	})
	t.Run("a TokenRevocation ends families by the first token's time", func(t *testing.T) {
		t.Parallel()
		s := renewable(t)
		_, refresh := begin(s)
		s.declared(`subject: "corp:alice"`)
		if r := app(s, refresh); r.status != http.StatusBadRequest {
			t.Errorf("got %d %s", r.status, r.body)
		}
		_, refresh = begin(s)
		app(s, refresh).allowed()
	})
}

func TestOpaqueTokensAreAskedAboutAndRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("media.yaml", "  resources: [\"https://images.media.example/v1\"]", "  resources: [\"https://images.media.example/v1\"]\n  token: {format: Opaque}")
	s := w.serve()
	token := s.ask(s.user()).app().images().send().allowed()
	if strings.Contains(token, ".") {
		t.Fatalf("it is no handle: %s", token)
	}
	r := s.introspect(token).active()
	if r.text("sub") != "corp:alice" || r.text("aud") != imagesAPI || r.text("scope") != "images" || r.members["xqr"] != nil || r.text("client_id") != "shop/app" {
		t.Errorf("told %s", r.body)
	}
	s.introspect(token[:len(token)-1] + "x").inactive()
	further := onwards(s, token).allowed()
	if r := s.revoke(token); r.status != http.StatusOK {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	s.introspect(token).inactive()
	s.introspect(further).inactive()
	if r := onwards(s, token); r.status != http.StatusBadRequest || r.text("error") != "invalid_request" {
		t.Errorf("got %d %s", r.status, r.body)
	}
}
