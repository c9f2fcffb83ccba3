// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/ports"
)

const (
	typeIDJAG  = "urn:ietf:params:oauth:token-type:id-jag"
	shopSecret = "what-the-partner-gave-the-shop-0123456789abc"
)

// home are the manifests of a domain whose app goes to another, by itself or through
// its token service.
const home = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec: {issuer: "$HOME", allowedNamespaces: {names: [shop]}}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  jwt: {issuer: {url: "$CORP"}}
  network: {allowedCIDRs: [127.0.0.0/8]}
  allowedNamespaces: {all: true}
  clients: [{id: shop-app, client: {namespace: shop, name: app}}]
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: app}
spec: {authentication: [{clientSecret: {sha256: $APPDIGEST}}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExternalTarget
metadata: {name: partner}
spec:
  audiences: ["$PARTNER"]
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}], tokenTypes: [IDToken]}
  idJAG:
    audience: $PARTNER
    clients: [{client: {namespace: shop, name: app}, clientID: partners/shop}]
    scopes: [orders]
---
apiVersion: exchequer.dev/v1alpha1
kind: ExternalTarget
metadata: {name: partner-api}
spec:
  audiences: [partner-api]
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}]}
  scopes: [orders]
  jwtBearer:
    tokenEndpoint: $PARTNER/token
    clientAuth: {clientID: partners/shop, secretRef: {name: partner, key: client-secret}, method: Basic}
    audience: $PARTNER
  network: {allowedCIDRs: [127.0.0.0/8]}
---
apiVersion: v1
kind: Secret
metadata: {namespace: exchequer-system, name: partner}
stringData: {client-secret: what-the-partner-gave-the-shop-0123456789abc}
`

// abroad are those of the other domain.
const abroad = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec:
  issuer: $PARTNER
  allowedNamespaces: {names: [partners, orders]}
  names: [{namespaces: {names: [orders]}, scopes: [orders]}]
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: shop}
spec:
  use: [Subject]
  jwt: {issuer: {url: "$HOME"}}
  network: {allowedCIDRs: [127.0.0.0/8]}
  claimMappings: {scopes: {claim: scope}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: partners, name: shop}
spec: {grants: [JWTBearer], authentication: [{clientSecret: {sha256: $DIGEST}}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: partners, name: other}
spec: {grants: [JWTBearer], authentication: [{clientSecret: {sha256: $DIGEST}}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: orders, name: api}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: orders, name: orders}
spec: {targets: [{name: api}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: orders, name: shop-orders}
spec:
  clients: [{namespace: partners, name: shop}, {namespace: partners, name: other}]
  subject: {issuers: [{name: shop}], tokenTypes: [IDJAG, JWTBearer], audience: {match: Issuer}}
  target: {clients: [{name: api}], scopes: [orders], scopeMode: Grant, defaultScopes: [orders]}
`

// twoDomains runs both, and returns when what is issued from now on is not older than
// what they remember.
func twoDomains(t *testing.T) (here, there *server) {
	t.Helper()
	urls := map[string]string{"$DIGEST": digest(shopSecret)}
	for _, name := range []string{"$HOME", "$PARTNER"} {
		port, err := ports.Free()
		if err != nil {
			t.Fatal(err)
		}
		urls[name] = fmt.Sprintf("http://127.0.0.1:%d", port)
	}
	began := time.Now().Unix()
	start := func(issuer, manifests string) *server {
		w := emptyWorld(t)
		for word, value := range urls {
			w.words[word] = value
		}
		w.write("domain.yaml", manifests)
		u, err := url.Parse(urls[issuer])
		if err != nil {
			t.Fatal(err)
		}
		return w.serve("--listen", u.Host)
	}
	here, there = start("$HOME", home), start("$PARTNER", abroad)
	eventually(t, "the second in which they started is over", func() bool { return time.Now().Unix() > began+1 })
	return here, there
}

func TestIdentityChainingAcrossDomains(t *testing.T) {
	t.Parallel()
	here, there := twoDomains(t)
	partner := here.words["$PARTNER"]
	leave := func(s *server, over ...claims) *asking {
		id := s.user(append([]claims{{"nonce": "n", "scope": nil}}, over...)...)
		return s.ask(id).app().with("subject_token_type", typeID).with("requested_token_type", typeIDJAG).with("audience", partner).with("scope", "orders")
	}
	arrive := func(s *server, grant, client string) *asking {
		return s.bearer(grant).basic(client, shopSecret)
	}
	t.Run("KC-44, KC-45, KC-46, KC-48: with an ID-JAG that the client carries", func(t *testing.T) {
		here, there := here.in(t), there.in(t)
		r := leave(here).with("resource", "https://api.partner.example").send()
		jag := r.allowed()
		if r.text("issued_token_type") != typeIDJAG || r.text("token_type") != "N_A" || r.text("scope") != "orders" {
			t.Errorf("got %s", r.body)
		}
		if d := here.verify(jag); d.text("aud") != partner || d.text("client_id") != "partners/shop" || d.text("resource") != "https://api.partner.example" || d.header["typ"] != headerIDJAG {
			t.Errorf("%v", d.claims)
		}
		// The other domain knows no such resource: a grant for it is worth nothing there.
		arrive(there, jag, "partners/shop").send().refused(http.StatusBadRequest, "invalid_target", "TargetUnknown")

		jag = leave(here).send().allowed()
		arrive(there, jag, "partners/other").with("audience", "orders/api").send().refused(http.StatusBadRequest, "invalid_grant", "SubjectAudience")
		arrive(here, jag, "shop/app").send().refused(http.StatusUnauthorized, "invalid_client", "ClientCredentials")
		here.bearer(jag).app().send().refused(http.StatusBadRequest, "invalid_grant", "TokenClass")
		here.ask(jag).app().with("subject_token_type", typeJWT).with("audience", "partner-api").send().refused(http.StatusBadRequest, "invalid_request", "TokenClass")

		got := arrive(there, jag, "partners/shop").with("audience", "orders/api").send()
		d := there.verify(got.allowed())
		if d.text("sub") != "shop:corp:alice" || d.text("aud") != "orders/api" || d.text("scope") != "orders" || d.text("client_id") != "partners/shop" {
			t.Errorf("%v", d.claims)
		}
		if _, has := d.claims["sid"]; has || got.members["refresh_token"] != nil {
			t.Errorf("%v %s", d.claims, got.body)
		}
		arrive(there, jag, "partners/shop").with("audience", "orders/api").send().refused(http.StatusBadRequest, "invalid_grant", "ReplayDetected")
	})
	t.Run("KC-44: what is no ID token of the client's own becomes no ID-JAG", func(t *testing.T) {
		here := here.in(t)
		leave(here, claims{"aud": "hr-portal"}).send().refused(http.StatusBadRequest, "invalid_request", "SubjectAudience")
		here.ask(here.user()).app().with("requested_token_type", typeIDJAG).with("audience", partner).send().
			refused(http.StatusBadRequest, "invalid_request", "SubjectTokenType")
		leave(here).with("scope", "admin").send().refused(http.StatusBadRequest, "invalid_scope", "ScopeNotGranted")
		leave(here).with("audience", "https://nobody.example").send().refused(http.StatusBadRequest, "invalid_target", "TargetUnknown")
	})
	t.Run("KC-48: through the token service, which redeems an assertion of its own", func(t *testing.T) {
		here, there := here.in(t), there.in(t)
		r := here.ask(here.user(claims{"nonce": "n", "scope": nil})).app().with("subject_token_type", typeID).with("audience", "partner-api").with("scope", "orders").send()
		d := there.verify(r.allowed())
		if d.text("sub") != "shop:corp:alice" || d.text("aud") != "orders/api" || d.text("client_id") != "partners/shop" || d.text("iss") != partner {
			t.Errorf("%v", d.claims)
		}
	})
	t.Run("KC-48: where the other domain does not trust this one any more, its grants end", func(t *testing.T) {
		here, there := here.in(t), there.in(t)
		there.change("domain.yaml", "metadata: {name: shop}\nspec:\n  use: [Subject]", "metadata: {name: shop}\nspec:\n  suspend: true\n  use: [Subject]")
		eventually(t, "a grant is refused", func() bool {
			return arrive(there, leave(here).send().allowed(), "partners/shop").with("audience", "orders/api").send().status == http.StatusBadRequest
		})
	})
}
