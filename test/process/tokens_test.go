// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/redis"
)

const typeHandover = "https://exchequer.dev/token-type/handover"

// everyToken is a world in which the app may get every kind of token for images.
func everyToken(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.change("media.yaml", "  token: {types: [AccessToken, JWT]}", "  token: {types: [AccessToken, JWT, IDToken, Handover], refresh: Offline}")
	w.change("media.yaml", "    rules: [{expression: \"'corp:staff' in subject.groups\", message: staff only}]\n  target: {clients: [{name: contacts-resource}], scopes: []}\n---",
		"    tokenTypes: [AccessToken, Handover]\n  target: {clients: [{name: contacts-resource}], scopes: []}\n---")
	return w
}

// stores are the ways to start servers that know the same: one alone with its memory,
// and two with a store between them.
func stores() map[string]func(w *world) (a, b *server) {
	return map[string]func(w *world) (a, b *server){
		"in memory": func(w *world) (a, b *server) { a = w.serve(); return a, a },
		"in Redis, with two replicas": func(w *world) (a, b *server) {
			return w.replicas("--store", "redis", "--store-address", redis.Start(w.t, redis.Options{}).URL())
		},
		"in Redis, with TLS and a password": func(w *world) (a, b *server) {
			shared := redis.Start(w.t, redis.Options{TLS: true})
			shared.Do("ACL", "SETUSER", "exchequer", "on", ">open sesame", "~exchequer:*", "resetchannels", "-@all", "+@connection", "+@read", "+@write", "+@scripting", "-@dangerous", "+info", "+time", "+wait")
			w.write("../password", "open sesame\n")
			return w.replicas("--store", "redis", "--store-address", shared.URL(), "--store-ca", shared.Authority.File,
				"--store-username", "exchequer", "--store-password-file", w.dir+"/../password")
		},
	}
}

func TestTokensThatAreKept(t *testing.T) {
	t.Parallel()
	for name, start := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := start(everyToken(t))
			t.Run("a refresh token renews at any replica, once", func(t *testing.T) { renewedOnce(t, a.in(t), b.in(t)) })
			t.Run("offline access goes on after the subject token", func(t *testing.T) { offline(t, a.in(t), b.in(t)) })
			t.Run("a hand-over token is used once, at any replica", func(t *testing.T) { handedOver(t, a.in(t), b.in(t)) })
		})
	}
}

func renewedOnce(t *testing.T, a, b *server) {
	t.Helper()
	r := a.ask(a.user()).app().images().with("requested_token_type", typeRefresh).send()
	first, refresh := r.pair()
	if r.text("issued_token_type") != typeRefresh || r.text("token_type") != "Bearer" || r.text("scope") != "images" {
		t.Errorf("told %s", r.body)
	}
	// Many at once, at both: the family goes on or ends, and never forks.
	r = b.renew("shop/app", appSecret, refresh)
	second, refresh := r.pair()
	if b.verify(second).text("sub") != a.verify(first).text("sub") || b.verify(second).text("scope") != "images" {
		t.Errorf("told %s", r.body)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var went []string
	for i := range 20 {
		all.Go(func() {
			s := a
			if i%2 == 1 {
				s = b
			}
			r := s.renew("shop/app", appSecret, refresh)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case r.status == http.StatusOK:
				went = append(went, r.text("refresh_token"))
			case r.status != http.StatusBadRequest || r.text("error") != "invalid_grant":
				t.Errorf("got %d %s", r.status, r.body)
			}
		})
	}
	all.Wait()
	if len(went) > 1 {
		t.Errorf("%d went on", len(went))
	}
	for _, next := range went {
		if r := a.renew("shop/app", appSecret, next); r.status == http.StatusOK {
			t.Error("the family goes on although its token was used twice")
		}
	}
	a.introspect(second).inactive()
}

func offline(t *testing.T, a, b *server) {
	t.Helper()
	// 12 s are left of the subject token, which what is renewed outlives.
	r := a.ask(a.user(claims{"exp": time.Now().Add(12 * time.Second).Unix()})).app().with("audience", imagesAPI).with("scope", "images offline_access").send()
	access, refresh := r.pair()
	if strings.Contains(a.verify(access).text("scope")+r.text("scope"), "offline") || r.text("issued_token_type") != typeAccess {
		t.Errorf("told %s", r.body)
	}
	if life := a.verify(access).number("exp") - a.verify(access).number("iat"); life > 12 {
		t.Errorf("the access token outlives the subject token: %d s", life)
	}
	r = b.renew("shop/app", appSecret, refresh)
	renewed, _ := r.pair()
	if life := a.verify(renewed).number("exp") - a.verify(renewed).number("iat"); life != 300 {
		t.Errorf("renewed for %d s", life)
	}
}

func handedOver(t *testing.T, a, b *server) {
	t.Helper()
	r := a.ask(a.user()).app().images().with("requested_token_type", typeHandover).send()
	token := r.allowed()
	if r.text("issued_token_type") != typeHandover || r.text("token_type") != "N_A" || strings.Contains(token, ".") {
		t.Errorf("told %s", r.body)
	}
	use := func(s *server) *reply {
		return s.ask(token).basic(imagesAPI, imagesSecret).with("subject_token_type", typeHandover).with("audience", contactsAPI).send()
	}
	a.ask(token).app().with("subject_token_type", typeHandover).with("audience", contactsAPI).send().refused(http.StatusBadRequest, "invalid_request", "SubjectAudience")
	got := b.verify(use(b).allowed())
	if got.text("client_id") != imagesAPI || got.text("sub") != "corp:alice" {
		t.Errorf("%v", got.claims)
	}
	use(a).refused(http.StatusBadRequest, "invalid_request", "HandoverUsed")
}

func TestAnIDTokenSaysWhoTheSubjectIs(t *testing.T) {
	t.Parallel()
	s := everyToken(t).serve("--store", "none")
	s.said("StoreReady=False")
	r := s.ask(s.user()).app().images().with("requested_token_type", typeID).send()
	got := s.verify(r.allowed())
	if r.text("issued_token_type") != typeID || r.text("token_type") != "N_A" || r.members["scope"] != nil {
		t.Errorf("told %s", r.body)
	}
	if got.header["typ"] != "JWT" || got.text("aud") != imagesAPI || got.text("azp") != "shop/app" || got.text("sub") != "corp:alice" {
		t.Errorf("%v %v", got.header, got.claims)
	}
	for _, none := range []string{"scope", "client_id", "xqr", "nonce", "txn"} {
		if _, has := got.claims[none]; has {
			t.Errorf("it has %s: %v", none, maps.Clone(got.claims))
		}
	}
	s.ask(r.text("access_token")).basic(imagesAPI, imagesSecret).with("subject_token_type", typeID).with("audience", contactsAPI).send().
		refused(http.StatusBadRequest, "invalid_request", "TokenClass")
}

func TestF286WithoutTheStoreWhatNeedsItIsRefusedAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	w := everyToken(t)
	shared := redis.Start(t, redis.Options{Settings: []string{"appendonly yes", "appendfsync always"}})
	s := w.serve("--store", "redis", "--store-address", shared.URL())
	_, refresh := s.ask(s.user()).app().images().with("requested_token_type", typeRefresh).send().pair()
	assertion := s.assertion()
	down := func(what string, r *reply) {
		t.Helper()
		if r.status != http.StatusServiceUnavailable || r.text("error") != "temporarily_unavailable" || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: got %d %s", what, r.status, r.body)
		}
	}
	shared.Kill()
	down("renewing", s.renew("shop/app", appSecret, refresh))
	down("a refresh token", s.ask(s.user()).app().images().with("requested_token_type", typeRefresh).send())
	down("a hand-over token", s.ask(s.user()).app().images().with("requested_token_type", typeHandover).send())
	down("an assertion", s.ask(s.forSigner()).assertion(assertion).images().send())
	s.ask(s.user()).app().images().send().allowed()
	s.ask(s.user()).app().images().with("requested_token_type", typeID).send().allowed()
	if !strings.Contains(s.get("/metrics").body, `exchequer_store_calls_total{call="put",result="unanswered"}`) || s.get("/readyz").status != http.StatusOK {
		t.Error("metrics do not say so, or it is not ready any more")
	}
	shared.Restart()
	eventually(t, "the store is used again", func() bool { return s.renew("shop/app", appSecret, refresh).status == http.StatusOK })
	if !strings.Contains(s.get("/metrics").body, "exchequer_store_ready 1") {
		t.Error("metrics do not say that it is ready")
	}
}
