// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"
)

const (
	typeTransaction = "urn:ietf:params:oauth:token-type:txn_token"
	headerIDJAG     = "oauth-id-jag+jwt"
)

// bearer begins a request with the jwt-bearer grant.
func (s *server) bearer(assertion string) *asking {
	return &asking{
		s: s, path: "/token", form: url.Values{"grant_type": {grantBearer}, "assertion": {assertion}},
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	}
}

// grant is an assertion of corp's for alice, dated as assertion is; typ is its
// header's.
func (w *world) grant(typ string, over ...claims) string {
	w.t.Helper()
	at := time.Now().Add(2 * time.Second)
	c := claims{
		"iss": w.corp.URL(), "sub": "alice", "aud": sts, "jti": rand.Text(), "iat": at.Unix(), "exp": at.Add(time.Minute).Unix(),
		"scope": "images contacts", "groups": []string{"staff"},
	}
	for _, o := range over {
		maps.Copy(c, o)
	}
	token, err := w.corp.MintWith(w.corp.Key(), map[string]any{"typ": typ}, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// chained are manifests that take assertions of corp's.
const chained = `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: chained}
spec:
  grants: [JWTBearer]
  authentication:
  - clientSecret: {sha256: $APPDIGEST}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: chained}
spec:
  clients: [{namespace: shop, name: chained}]
  subject:
    issuers: [{name: corp}]
    tokenTypes: [JWTBearer, IDJAG]
    audience: {match: Issuer}
    rules: [{expression: "'corp:staff' in subject.groups", message: staff only}]
  target: {clients: [{name: images-resource}], scopes: [images]}
  examples:
  - name: what corp asserts of its staff
    given: {client: shop/chained, issuer: corp, tokenType: JWTBearer, claims: {sub: alice, groups: [staff], scope: images}, scope: images}
    expect: {allowed: true, scope: images}
  - name: an ID-JAG
    given: {client: shop/chained, issuer: corp, tokenType: IDJAG, claims: {sub: alice, groups: [staff], scope: images}, scope: images}
    expect: {allowed: true, scope: images}
  - name: an access token is no assertion
    given: {client: shop/chained, issuer: corp, claims: {sub: alice, groups: [staff], scope: images, aud: "https://sts.example.com"}, scope: images}
    expect: {allowed: false, reason: ClientGrant}
`

func TestTheJWTBearerGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("chained.yaml", chained)
	s := w.serve()
	ask := func(s *server, assertion string) *asking {
		return s.bearer(assertion).basic("shop/chained", appSecret).images()
	}
	t.Run("KC-47: an assertion of another domain becomes a token of ours, without a refresh token", func(t *testing.T) {
		s := s.in(t)
		r := ask(s, s.grant("JWT")).send()
		d := s.verify(r.allowed())
		if d.text("sub") != "corp:alice" || d.text("client_id") != "shop/chained" || d.text("aud") != imagesAPI || d.header["typ"] != "at+jwt" {
			t.Errorf("%v %v", d.header, d.claims)
		}
		if _, has := r.members["refresh_token"]; has || r.text("token_type") != "Bearer" {
			t.Errorf("got %s", r.body)
		}
		if d.number("exp") > time.Now().Add(time.Minute+5*time.Second).Unix() {
			t.Errorf("exp %d is after the assertion's", d.number("exp"))
		}
	})
	t.Run("KC-47: an assertion is good once", func(t *testing.T) {
		s := s.in(t)
		one := s.grant("JWT")
		ask(s, one).send().allowed()
		ask(s, one).send().refused(http.StatusBadRequest, "invalid_grant", "ReplayDetected")
	})
	t.Run("KC-46: an ID-JAG for this client", func(t *testing.T) {
		s := s.in(t)
		ask(s, s.grant(headerIDJAG, claims{"client_id": "shop/chained"})).send().allowed()
		ask(s, s.grant(headerIDJAG, claims{"client_id": "shop/app"})).send().refused(http.StatusBadRequest, "invalid_grant", "SubjectAudience")
		ask(s, s.grant(headerIDJAG)).send().refused(http.StatusBadRequest, "invalid_grant", "SubjectAudience")
	})
	t.Run("KC-47: what is not acceptable is an invalid grant", func(t *testing.T) {
		s := s.in(t)
		ask(s, s.grant("JWT", claims{"aud": []string{sts, "https://other.example"}})).send().refused(http.StatusBadRequest, "invalid_grant", "SubjectAudience")
		ask(s, s.grant("JWT", claims{"exp": time.Now().Unix() + 3600})).send().refused(http.StatusBadRequest, "invalid_grant", "TokenMalformed")
		ask(s, s.user(claims{"aud": sts})).send().refused(http.StatusBadRequest, "invalid_grant", "TokenMalformed")
		ask(s, s.grant("at+jwt")).send().refused(http.StatusBadRequest, "invalid_grant", "TokenClass")
		ask(s, lastChange(s.grant("JWT"))).send().refused(http.StatusBadRequest, "invalid_grant", "TokenSignature")
	})
	t.Run("KC-47: a client has the grant, and credentials", func(t *testing.T) {
		s := s.in(t)
		s.bearer(s.grant("JWT")).app().images().send().refused(http.StatusBadRequest, "unauthorized_client", "ClientGrant")
		s.bearer(s.grant("JWT")).with("client_id", "shop/chained").images().send().refused(http.StatusUnauthorized, "invalid_client", "ClientCredentials")
		s.ask(s.user()).basic("shop/chained", appSecret).images().send().refused(http.StatusBadRequest, "unauthorized_client", "ClientGrant")
		ask(s, "").send().refused(http.StatusBadRequest, "invalid_request", "FormInvalid")
	})
}

// transacting are manifests for transaction tokens of the media team's domain.
const transacting = `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: domain}
spec:
  audiences: [media/internal]
---
apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: media, name: show}
spec: {targets: [{name: domain}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: transactions}
spec:
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}]}
  target: {clients: [{name: domain}], scopes: [show]}
  token: {types: [TransactionToken]}
  rules: [{expression: "request.details.action == 'show'", message: pictures are only shown}]
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: transactions-inside}
spec:
  clients: [{name: images-resource}]
  subject:
    issuers: [{self: true, origins: [corp]}]
    tokenTypes: [TransactionToken]
    audience: {match: AnyOf, anyOf: [media/internal]}
  target: {clients: [{name: domain}], scopes: [show]}
  token: {types: [TransactionToken]}
  examples:
  - name: the images API goes on
    given:
      {client: media/images-resource, issuer: self, tokenType: TransactionToken, requestedTokenType: TransactionToken,
       claims: {sub: "corp:alice", aud: media/internal, scope: show, req_wl: shop/app, req_wl_chain: [shop/app]}, audience: [media/internal], scope: show}
    expect: {allowed: true, scope: show}
`

func TestTransactionTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("transacting.yaml", transacting)
	s := w.serve()
	packed := func(json string) string { return base64.RawURLEncoding.EncodeToString([]byte(json)) }
	begin := func(s *server) *asking {
		return s.ask(s.user(claims{"scope": "show"})).app().with("audience", "media/internal").with("scope", "show").
			with("requested_token_type", typeTransaction).with("request_details", packed(`{"action":"show","picture":7}`)).
			with("request_context", packed(`{"req_ip":"192.0.2.1"}`))
	}
	r := begin(s).send()
	first := r.allowed()
	one := s.verify(first)
	t.Run("it says what the transaction is, and is no access token", func(t *testing.T) {
		if r.text("token_type") != "N_A" || r.text("issued_token_type") != typeTransaction || one.header["typ"] != "txntoken+jwt" {
			t.Errorf("%s %v", r.body, one.header)
		}
		details, _ := one.claims["tctx"].(map[string]any)
		from, _ := one.claims["rctx"].(map[string]any)
		if one.text("aud") != "media/internal" || one.text("req_wl") != "shop/app" || details["picture"] != 7.0 || from["req_ip"] != "192.0.2.1" || one.text("txn") == "" {
			t.Errorf("%v", one.claims)
		}
	})
	t.Run("a workload inside replaces it, and the transaction stays the same", func(t *testing.T) {
		s := s.in(t)
		two := s.verify(s.ask(first).with("subject_token_type", typeTransaction).basic(imagesAPI, imagesSecret).
			with("audience", "media/internal").with("scope", "show").with("requested_token_type", typeTransaction).send().allowed())
		if two.text("txn") != one.text("txn") || two.text("sub") != "corp:alice" || two.text("req_wl") != imagesAPI || two.number("exp") > one.number("exp") {
			t.Errorf("%v", two.claims)
		}
	})
	t.Run("nobody takes it for anything else", func(t *testing.T) {
		s := s.in(t)
		s.ask(first).app().images().send().refused(http.StatusBadRequest, "invalid_request", "TokenClass")
		s.ask(first).with("subject_token_type", typeTransaction).app().images().send().
			refused(http.StatusBadRequest, "invalid_request", "TokenTypeNotGranted")
	})
	t.Run("what its policy does not allow is not begun", func(t *testing.T) {
		s := s.in(t)
		begin(s).with("request_details", packed(`{"action":"delete"}`)).send().refused(http.StatusBadRequest, "invalid_request", "PolicyRule")
		begin(s).with("request_details", "{}").send().refused(http.StatusBadRequest, "invalid_request", "FormInvalid")
	})
}
