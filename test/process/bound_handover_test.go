// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"testing"
)

// handoverPolicies let the gateway, a web application, hand a session over to the app
// on a phone, and let that app have tokens that renew themselves.
const handoverPolicies = `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: shop, name: web-to-mobile}
spec:
  clients: [{namespace: shop, name: gateway}]
  subject: {issuers: [{name: corp}]}
  target: {clients: [{name: mobile}], scopes: []}
  token: {types: [Handover]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: mobile-continues}
spec:
  clients: [{namespace: shop, name: mobile, public: true}]
  subject: {issuers: [{self: true, origins: [corp]}], tokenTypes: [Handover]}
  target: {clients: [{name: images-resource}], scopes: [images], scopeMode: Grant}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: mobile-renews}
spec:
  clients: [{namespace: shop, name: mobile, public: true}]
  subject: {issuers: [{name: corp}]}
  target: {clients: [{name: rebound}], scopes: [images]}
  token: {refresh: Bounded}
`

func TestASessionGoesFromAWebPageToAPhone(t *testing.T) {
	t.Parallel()
	b := newBoundWith(t, false, handoverPolicies)
	browser, phone, mallory := newHolder(t), newHolder(t), newHolder(t)
	hand := func(t *testing.T, h *holder, jkt string) *reply {
		t.Helper()
		var cnf []claims
		if h != nil {
			cnf = append(cnf, h.cnf())
		}
		a := b.ask(b.user("shop-gateway", cnf...)).basic("shop/gateway", appSecret).with("audience", "shop/mobile").with("requested_token_type", typeHandover)
		if jkt != "" {
			a.with("handover_jkt", jkt)
		}
		if h != nil {
			a.head("DPoP", h.proof(b.htu()))
		}
		return b.send(t, a)
	}
	take := func(t *testing.T, token string, h *holder) *reply {
		t.Helper()
		a := b.ask(token).with("client_id", "shop/mobile").with("subject_token_type", typeHandover).images()
		if h != nil {
			a.head("DPoP", h.proof(b.htu()))
		}
		return b.send(t, a)
	}
	t.Run("bound beforehand to the phone's key", func(t *testing.T) {
		t.Parallel()
		token := hand(t, browser, phone.jkt).allowed()
		take(t, token, nil).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
		take(t, token, mallory).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
		got := claimsOf(t, take(t, token, phone).boundTo("DPoP", phone.cnf()["cnf"].(map[string]any)))
		if got["client_id"] != "shop/mobile" || got["azp"] != "shop/mobile" || got["sub"] != "corp:alice" {
			t.Errorf("the phone's token says %v", got)
		}
		take(t, token, phone).refused(http.StatusBadRequest, "invalid_request", "HandoverUsed")
	})
	t.Run("F144: a bound session is not handed over to whoever finds it", func(t *testing.T) {
		t.Parallel()
		hand(t, browser, "").refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
	})
	t.Run("F77: a public client takes none that is not bound to its key", func(t *testing.T) {
		t.Parallel()
		token := hand(t, nil, "").allowed()
		take(t, token, phone).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
	})
	t.Run("a key that is no thumbprint is refused", func(t *testing.T) {
		t.Parallel()
		hand(t, browser, "abc").refused(http.StatusBadRequest, "invalid_request", "FormInvalid")
	})
}

func TestAPublicClientRenewsWithItsKey(t *testing.T) {
	t.Parallel()
	b := newBoundWith(t, false, handoverPolicies)
	phone, mallory := newHolder(t), newHolder(t)
	a := b.ask(b.user("shop-mobile", phone.cnf())).with("client_id", "shop/mobile").with("audience", "media/rebound").with("scope", "images")
	first := b.send(t, a.with("requested_token_type", typeRefresh).head("DPoP", phone.proof(b.htu())))
	first.boundTo("DPoP", phone.cnf()["cnf"].(map[string]any))
	refresh := first.text("refresh_token")
	renew := func(h *holder) *reply {
		a := b.ask("")
		a.form = map[string][]string{"grant_type": {"refresh_token"}, "client_id": {"shop/mobile"}, "refresh_token": {refresh}}
		if h != nil {
			a.head("DPoP", h.proof(b.htu()))
		}
		return b.send(t, a)
	}
	for name, h := range map[string]*holder{"without a proof": nil, "with another's": mallory} {
		if r := renew(h); r.status != http.StatusBadRequest || r.text("access_token") != "" {
			t.Errorf("%s: got %d %s", name, r.status, r.body)
		}
	}
	renewed := renew(phone)
	renewed.boundTo("DPoP", phone.cnf()["cnf"].(map[string]any))
	if renewed.text("refresh_token") == "" || renewed.text("refresh_token") == refresh {
		t.Errorf("the refresh token was not rotated: %s", renewed.body)
	}
}
