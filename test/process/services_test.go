// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"strings"
	"testing"
)

// tenant is a whole small world of its own behind one issuer.
const tenant = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: $NAME}
spec:
  issuer: $ISSUER
  hosts: [$HOSTS]
  allowedNamespaces: {names: [$NAME]}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp-$NAME}
spec:
  tokenServiceRef: {name: $NAME}
  jwt: {issuer: {url: "$CORP"}}
  network: {allowedCIDRs: [127.0.0.0/8]}
  allowedNamespaces: {all: true}
  clients: [{id: shop-app, client: {namespace: $NAME, name: app}}]
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: $NAME, name: app}
spec:
  tokenServiceRef: {name: $NAME}
  authentication: [{clientSecret: {sha256: $APPDIGEST}}]
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: $NAME, name: itself}
spec:
  tokenServiceRef: {name: $NAME}
  clients: [{namespace: $NAME, name: app}]
  subject: {issuers: [{name: corp-$NAME}, {self: true, origins: [corp-$NAME]}]}
  target: {clients: [{name: app}], scopes: []}
`

func (w *world) tenant(name, issuer, hosts string) {
	w.write(name+".yaml", strings.NewReplacer("$NAME", name, "$ISSUER", issuer, "$HOSTS", hosts).Replace(tenant))
}

func TestSeveralTokenServicesAreReachedByHostAndPath(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t)
	w.tenant("red", "https://red.example.com", "red.svc")
	w.tenant("blue", "https://multi.example.com/blue", "")
	w.tenant("green", "https://multi.example.com/green", "")
	s := w.serve()
	places := map[string]struct{ issuer, host, base string }{
		"red":   {"https://red.example.com", "red.example.com", ""},
		"blue":  {"https://multi.example.com/blue", "multi.example.com", "/blue"},
		"green": {"https://multi.example.com/green", "multi.example.com", "/green"},
	}
	tokens := map[string]string{}
	for name, p := range places {
		own := func() *asking { return s.ask(s.user()).at(p.host, p.base+"/token").basic(name+"/app", appSecret) }
		tokens[name] = own().send().allowed()
		if d := s.verifyAt(p.host, p.base, tokens[name]); d.text("iss") != p.issuer {
			t.Errorf("%s: iss %q", name, d.text("iss"))
		}
		oauth, openid := s.getAt(p.host, "/.well-known/oauth-authorization-server"+p.base), s.getAt(p.host, p.base+"/.well-known/openid-configuration")
		if oauth.text("issuer") != p.issuer || oauth.body != openid.body {
			t.Errorf("%s: R40: metadata %d %s and %d %s", name, oauth.status, oauth.body, openid.status, openid.body)
		}
		own().at(p.host+":8443", p.base+"/token").send().allowed()
		own().at(strings.ToUpper(p.host), p.base+"/token").send().allowed()
	}
	t.Run("a Service's name reaches the token service that lists it", func(t *testing.T) {
		s := s.in(t)
		s.ask(s.user()).at("red.svc", "/token").basic("red/app", appSecret).send().allowed()
	})
	t.Run("F20 F23: another host, another path and a path that would have to be cleaned up are not found", func(t *testing.T) {
		s := s.in(t)
		for _, p := range [][2]string{
			{"", "/token"},
			{"evil.example", "/token"},
			{"multi.example.com", "/token"},
			{"multi.example.com", "/blue/"},
			{"multi.example.com", "/blue/token/"},
			{"multi.example.com", "//blue/token"},
			{"multi.example.com", "/blue//token"},
			{"multi.example.com", "/BLUE/token"},
			{"multi.example.com", "/green/../blue/token"},
			{"multi.example.com", "/blue/%74oken"},
			{"red.example.com", "/blue/token"},
			{"red.example.com.", "/token"},
		} {
			r := s.ask(s.user()).at(p[0], p[1]).basic("blue/app", appSecret).send()
			if r.status != http.StatusNotFound {
				t.Errorf("%v: %d %s", p, r.status, r.body)
			}
		}
	})
	t.Run("X-Forwarded-Host and Forwarded choose nothing", func(t *testing.T) {
		s := s.in(t)
		d := s.verifyAt("red.example.com", "", s.ask(s.user()).at("red.example.com", "/token").basic("red/app", appSecret).
			head("X-Forwarded-Host", "multi.example.com").head("Forwarded", "host=multi.example.com").send().allowed())
		if d.text("iss") != places["red"].issuer {
			t.Errorf("iss %q", d.text("iss"))
		}
	})
	t.Run("a client of one is unknown at another", func(t *testing.T) {
		s := s.in(t)
		s.ask(s.user()).at("red.example.com", "/token").basic("blue/app", appSecret).send().refused(http.StatusUnauthorized, "invalid_client", "ClientUnknown")
	})
	t.Run("a token of one is a stranger's at another, though both have its subject", func(t *testing.T) {
		s := s.in(t)
		s.ask(tokens["red"]).at("red.example.com", "/token").basic("red/app", appSecret).send().allowed()
		s.ask(tokens["red"]).at("multi.example.com", "/blue/token").basic("blue/app", appSecret).send().
			refused(http.StatusBadRequest, "invalid_request", "IssuerUnknown")
	})
	t.Run("each has keys of its own", func(t *testing.T) {
		s := s.in(t)
		if _, err := verifyWith(s.jwks("multi.example.com", "/green"), tokens["blue"]); err == nil {
			t.Error("green's keys verify blue's token")
		}
	})
	t.Run("suspending one leaves the others as they are", func(t *testing.T) {
		s := s.in(t)
		s.change("red.yaml", "issuer: https://red.example.com", "issuer: https://red.example.com\n  suspend: true")
		eventually(t, "red is gone", func() bool {
			return s.ask(s.user()).at("red.example.com", "/token").basic("red/app", appSecret).send().status != http.StatusOK
		})
		s.ask(s.user()).at("multi.example.com", "/blue/token").basic("blue/app", appSecret).send().allowed()
	})
}

func TestTheOnlyTokenServiceAnswersUnderAnyHost(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	for _, host := range []string{"", "sts.example.com", "evil.example", "10.0.0.7:8080"} {
		d := s.verify(s.ask(s.user()).app().images().at(host, "/token").send().allowed())
		if d.text("iss") != sts {
			t.Errorf("F20: under the host %q iss is %q", host, d.text("iss"))
		}
		if r := s.getAt(host, "/.well-known/openid-configuration"); r.text("issuer") != sts {
			t.Errorf("F20: under the host %q the metadata is %s", host, r.body)
		}
	}
}
