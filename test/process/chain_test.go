// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"testing"
)

func TestAChainOfExchanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("east.yaml", `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: worker-to-images}
spec:
  clients: [{namespace: shop, name: worker}]
  subject: {issuers: [{name: east}]}
  target: {clients: [{name: images-resource}], scopes: []}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: app-and-worker-onwards}
spec:
  clients: [{namespace: shop, name: app}, {namespace: shop, name: worker}]
  subject: {issuers: [{self: true, origins: [corp]}]}
  target: {clients: [{name: contacts-resource}], scopes: []}
`)
	s := w.serve()
	first := s.ask(s.user()).app().images().send().allowed()
	one := s.verify(first)
	onwards := func(s *server, token string) *reply {
		return s.ask(token).basic(imagesAPI, imagesSecret).with("audience", contactsAPI).send()
	}
	two := s.verify(onwards(s, first).allowed())

	t.Run("R5 R32: the next token is for the next API, and says who asked for it", func(t *testing.T) {
		if two.text("aud") != contactsAPI || two.text("client_id") != imagesAPI || one.text("client_id") != "shop/app" {
			t.Errorf("aud %v, client_id %v", two.claims["aud"], two.claims["client_id"])
		}
	})
	t.Run("the subject and the transaction stay the same, the token does not", func(t *testing.T) {
		if two.text("sub") != "corp:alice" || two.text("txn") != one.text("txn") || one.text("txn") == "" {
			t.Errorf("sub %q, txn %q then %q", two.text("sub"), one.text("txn"), two.text("txn"))
		}
		if two.text("jti") == one.text("jti") || two.text("xqr") == "" || two.text("xqr") == one.text("xqr") {
			t.Errorf("jti %q then %q", one.text("jti"), two.text("jti"))
		}
		if two.number("exp") > one.number("exp") {
			t.Errorf("exp %d after %d", two.number("exp"), one.number("exp"))
		}
	})
	t.Run("every transaction has its own id", func(t *testing.T) {
		s := s.in(t)
		other := s.verify(s.ask(s.user()).app().images().send().allowed())
		if other.text("txn") == one.text("txn") {
			t.Error("two transactions have one id")
		}
	})
	t.Run("F135: a client to which it was neither made nor given cannot go on with it", func(t *testing.T) {
		s := s.in(t)
		s.ask(first).app().with("audience", contactsAPI).send().allowed() // client_id is the app
		s.ask(first).assertion(s.account("shop", "worker")).with("audience", contactsAPI).send().
			refused(http.StatusBadRequest, "invalid_request", "SubjectAudience")
	})
	t.Run("a token whose first issuer the policy does not list is refused", func(t *testing.T) {
		s := s.in(t)
		sa := s.account("shop", "worker")
		fromEast := s.ask(sa).assertion(sa).with("subject_token_type", typeJWT).with("audience", imagesAPI).send().allowed()
		onwards(s, fromEast).refused(http.StatusBadRequest, "invalid_request", "SubjectIssuer")
	})
	t.Run("a changed token of our own is refused", func(t *testing.T) {
		s := s.in(t)
		onwards(s, lastChange(first)).refused(http.StatusBadRequest, "invalid_request", "TokenSignature")
	})
	t.Run("a foreign token where a policy takes only our own is refused", func(t *testing.T) {
		s := s.in(t)
		onwards(s, s.user()).refused(http.StatusBadRequest, "invalid_request", "SubjectIssuer")
	})
	t.Run("when the first issuer goes, the chain ends", func(t *testing.T) {
		s := s.in(t)
		s.change("platform.yaml", "metadata: {name: corp}\nspec:", "metadata: {name: corp}\nspec:\n  suspend: true")
		eventually(t, "the chain is refused", func() bool { return onwards(s, first).status == http.StatusBadRequest })
	})
}
