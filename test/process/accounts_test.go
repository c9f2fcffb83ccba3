// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"testing"
	"time"
)

// forWorker is a user's token that was made for shop/worker.
func (w *world) forWorker() string { return w.user(claims{"aud": "shop-worker"}) }

func TestAServiceAccountTokenAuthenticatesItsClient(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	token := s.account("shop", "worker")

	t.Run("without client_id, as often as it lives", func(t *testing.T) {
		s := s.in(t)
		for range 3 {
			d := s.verify(s.ask(s.forWorker()).assertion(token).images().send().allowed())
			if d.text("client_id") != "shop/worker" {
				t.Errorf("client_id %q", d.text("client_id"))
			}
		}
	})
	t.Run("with the client_id that it is", func(t *testing.T) {
		s := s.in(t)
		s.ask(s.forWorker()).assertion(token).with("client_id", "shop/worker").images().send().allowed()
	})
	t.Run("F55: with another client's client_id", func(t *testing.T) {
		s := s.in(t)
		r := s.ask(s.forWorker()).assertion(token).with("client_id", "shop/app").images().send()
		if r.status == http.StatusOK {
			t.Errorf("got %s", r.body)
		}
	})
	for name, bad := range map[string]string{
		"F73: the same name in another namespace":     s.account("media", "worker"),
		"F71: for another audience":                   s.account("shop", "worker", claims{"aud": []string{"https://other.example"}}),
		"F71: for two audiences":                      s.account("shop", "worker", claims{"aud": []string{sts, "https://other.example"}}),
		"F71: without aud, as of a Secret":            s.account("shop", "worker", claims{"aud": nil}),
		"F71: of a cluster that nobody declared":      s.account("shop", "worker", claims{"iss": "https://west.cluster.example"}),
		"another service account":                     s.account("shop", "somebody"),
		"expired":                                     s.account("shop", "worker", claims{"iat": time.Now().Add(-3 * time.Hour).Unix(), "nbf": nil, "exp": time.Now().Add(-2 * time.Hour).Unix()}),
		"signed with a stranger's key":                s.sign(newKey(t, "east-1"), nil, claims{"iss": cluster, "sub": "system:serviceaccount:shop:worker", "aud": sts}),
		"badly signed":                                lastChange(s.account("shop", "worker")),
		"its namespace says one thing, its sub other": s.account("shop", "worker", claims{"sub": "system:serviceaccount:media:worker"}),
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			r := s.ask(s.forWorker()).assertion(bad).images().send()
			if r.status != http.StatusUnauthorized || r.text("error") != "invalid_client" {
				t.Errorf("got %d %s%s", r.status, r.body, r.why())
			}
		})
	}
}

func TestF68OneTokenIsCredentialAndSubjectForItsOwnClientOnly(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	token := s.account("shop", "worker")
	t.Run("a client's own service-account token is both", func(t *testing.T) {
		s := s.in(t)
		d := s.verify(s.ask(token).assertion(token).with("subject_token_type", typeJWT).with("audience", contactsAPI).send().allowed())
		if d.text("sub") != "east:system:serviceaccount:shop:worker" || d.text("client_id") != "shop/worker" {
			t.Errorf("sub %q, client_id %q", d.text("sub"), d.text("client_id"))
		}
		if _, there := d.claims["scope"]; there {
			t.Errorf("scope %v, want none", d.claims["scope"])
		}
	})
	t.Run("beside another token of the same account it is no subject", func(t *testing.T) {
		s := s.in(t)
		r := s.ask(token).assertion(s.account("shop", "worker")).with("subject_token_type", typeJWT).with("audience", contactsAPI).send()
		if r.status != http.StatusBadRequest || r.text("error") != "invalid_request" {
			t.Errorf("got %d %s%s", r.status, r.body, r.why())
		}
	})
	t.Run("in another client's request it is no subject", func(t *testing.T) {
		s := s.in(t)
		r := s.ask(token).app().with("subject_token_type", typeJWT).images().send()
		if r.status != http.StatusBadRequest || r.text("error") != "invalid_request" {
			t.Errorf("got %d %s%s", r.status, r.body, r.why())
		}
	})
}
