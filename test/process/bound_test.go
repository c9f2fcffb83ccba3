// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
	"github.com/exchequer-dev/exchequer/test/fakes/spiffe"
	"github.com/exchequer-dev/exchequer/test/ports"
)

// boundManifests are a platform with an authority of client certificates and a trust
// domain, clients of every kind that has keys, and three APIs: one that keeps bindings,
// one that lets a gateway replace them, one that requires them.
const boundManifests = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec:
  issuer: $ISSUER
  allowedNamespaces: {names: [shop, media]}
  clientCertificateAuthorities: [$AUTHORITY]
  names:
  - {namespaces: {names: [media]}, scopes: [images]}
  - namespaces: {names: [shop]}
    resources: ["https://gateway.shop.example/*"]
    identities: ["dns:worker.shop.svc", "spiffe://example.org/ns/shop/*"]
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  jwt: {issuer: {url: "$CORP", audiences: ["$ISSUER/users"]}}
  network: {allowedCIDRs: [127.0.0.0/8]}
  allowedNamespaces: {all: true}
  clients:
  - {id: shop-gateway, client: {namespace: shop, name: gateway}}
  - {id: shop-mobile, client: {namespace: shop, name: mobile}}
  - {id: shop-worker, client: {namespace: shop, name: worker}}
  - {id: shop-mesh, client: {namespace: shop, name: mesh}}
  - {id: shop-pinned, client: {namespace: shop, name: pinned}}
  claimMappings:
    groups: {claim: groups}
    scopes: {claim: scope}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: mesh}
spec:
  use: [Client]
  allowedNamespaces: {all: true}
  spiffe: {trustDomain: example.org, bundle: {inline: $BUNDLE}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: gateway}
spec:
  resources: ["https://gateway.shop.example/api"]
  authentication: [{clientSecret: {sha256: $APPDIGEST}}]
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: mobile}
spec: {authentication: [{public: {}}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: worker}
spec: {authentication: [{mutualTLS: {sanDNS: worker.shop.svc}}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: pinned}
spec: {authentication: [{mutualTLS: {thumbprints: [$PINNED]}}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: mesh}
spec: {authentication: [{spiffe: {id: "spiffe://example.org/ns/shop/mesh"}}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: images-resource}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: rebound}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: required}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: media, name: images}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: images}
spec:
  clients:
  - {namespace: shop, name: gateway}
  - {namespace: shop, name: mobile, public: true}
  - {namespace: shop, name: worker}
  - {namespace: shop, name: pinned}
  - {namespace: shop, name: mesh}
  subject: {issuers: [{name: corp}, {self: true, origins: [corp]}]}
  actor: {use: Optional, issuers: [{name: corp}]}
  target: {clients: [{name: images-resource}], scopes: [images]}
  examples:
  - name: a bound token needs its proof
    given: {client: shop/gateway, issuer: corp, claims: {sub: alice, scope: images, cnf: {jkt: 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I}}, scope: images, audience: [media/images-resource]}
    expect: {allowed: false, reason: SubjectBinding}
  - name: with it, it is exchanged
    given: {client: shop/gateway, issuer: corp, proof: {jkt: 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I}, claims: {sub: alice, scope: images, cnf: {jkt: 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I}}, scope: images, audience: [media/images-resource]}
    expect: {allowed: true, scope: images}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: rebound}
spec:
  clients: [{namespace: shop, name: gateway}]
  subject: {issuers: [{name: corp}, {self: true, origins: [corp]}]}
  target: {clients: [{name: rebound}], scopes: [images]}
  token: {binding: Rebind}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: required}
spec:
  clients: [{namespace: shop, name: gateway}, {namespace: shop, name: worker}]
  subject: {issuers: [{name: corp}]}
  target: {clients: [{name: required}], scopes: [images]}
  token: {binding: Require}
`

// holder is somebody with a DPoP key. The proofs are made by the standard library and
// by go-jose, which the program does not verify them with.
type holder struct {
	t   *testing.T
	key *issuer.Key
	jwk map[string]string
	jkt string
}

func newHolder(t *testing.T) *holder {
	t.Helper()
	h := &holder{t: t, key: newKey(t, "dpop")}
	h.jwk = h.key.JWK()
	for _, member := range []string{"kid", "use", "alg"} {
		delete(h.jwk, member)
	}
	var jwk jose.JSONWebKey
	b, err := json.Marshal(h.jwk)
	if err == nil {
		err = jwk.UnmarshalJSON(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	h.jkt = base64.RawURLEncoding.EncodeToString(sum)
	return h
}

// proof is a DPoP proof for a POST to a URL, with claims over the usual ones. It is
// dated a little ahead: the program asks for a nonce where a proof is older than
// itself, in whole seconds.
func (h *holder) proof(htu string, over ...claims) string {
	h.t.Helper()
	c := claims{"jti": rand.Text(), "htm": http.MethodPost, "htu": htu, "iat": time.Now().Add(2 * time.Second).Unix()}
	for _, o := range over {
		maps.Copy(c, o)
	}
	header, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": h.jwk})
	if err != nil {
		h.t.Fatal(err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		h.t.Fatal(err)
	}
	token, err := h.key.Sign(header, payload)
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

func (h *holder) cnf() claims { return claims{"cnf": map[string]any{"jkt": h.jkt}} }

func ath(token string) claims {
	sum := sha256.Sum256([]byte(token))
	return claims{"ath": base64.RawURLEncoding.EncodeToString(sum[:])}
}

// bound is a running exchange over TLS with those around it who have keys.
type bound struct {
	*server
	issuer    string
	base      string
	authority *spiffe.Domain
	domain    *spiffe.Domain
	roots     *x509.CertPool
	pinned    tls.Certificate
}

// newBound starts the exchange, with TLS unless told otherwise.
func newBound(t *testing.T, plain bool, flags ...string) *bound {
	t.Helper()
	return newBoundWith(t, plain, "", flags...)
}

// newBoundWith has further manifests.
func newBoundWith(t *testing.T, plain bool, manifests string, flags ...string) *bound {
	t.Helper()
	b := &bound{roots: x509.NewCertPool()}
	for _, d := range []struct {
		to   **spiffe.Domain
		name string
	}{{&b.authority, "ca.example"}, {&b.domain, "example.org"}} {
		var err error
		if *d.to, err = spiffe.New(d.name, time.Now); err != nil {
			t.Fatal(err)
		}
	}
	b.roots.AddCert(b.authority.CA)
	b.pinned = b.certificate(t, b.domain, &x509.Certificate{})
	port, err := ports.Free()
	if err != nil {
		t.Fatal(err)
	}
	b.issuer = fmt.Sprintf("https://localhost:%d", port)
	if plain {
		b.issuer = strings.Replace(b.issuer, "https", "http", 1)
	}
	w := emptyWorld(t)
	authority, err := json.Marshal(pemText(b.authority.CA))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.pinned.Certificate[0])
	w.words["$ISSUER"], w.words["$AUTHORITY"], w.words["$BUNDLE"] = b.issuer, string(authority), keysAlone(t, b.domain.Bundle())
	w.words["$PINNED"] = base64.RawURLEncoding.EncodeToString(sum[:])
	w.write("all.yaml", boundManifests)
	if manifests != "" {
		w.write("more.yaml", manifests)
	}
	flags = append(flags, "--listen", fmt.Sprintf("127.0.0.1:%d", port))
	if !plain {
		cert, key := b.files(t, b.certificate(t, b.authority, &x509.Certificate{DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}))
		flags = append(flags, "--tls-cert", cert, "--tls-key", key)
	}
	b.server = w.serve(flags...)
	b.base = b.issuer
	return b
}

// keysAlone is a trust bundle without the members that are for whoever fetches it:
// an object has no fields for them.
func keysAlone(t *testing.T, bundle []byte) string {
	t.Helper()
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(bundle, &set); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func pemText(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func (b *bound) certificate(t *testing.T, by *spiffe.Domain, names *x509.Certificate) tls.Certificate {
	t.Helper()
	c, err := by.Issue(names)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// files writes a certificate and its key.
func (b *bound) files(t *testing.T, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, text := range map[string]string{
		cert: pemText(c.Leaf), key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func (b *bound) worker(t *testing.T) tls.Certificate {
	t.Helper()
	return b.certificate(t, b.authority, &x509.Certificate{DNSNames: []string{"worker.shop.svc"}})
}

func (b *bound) svid(t *testing.T, id string) tls.Certificate {
	t.Helper()
	c, err := b.domain.X509SVID(id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// send sends a request, showing a certificate if there is one.
func (b *bound) send(t *testing.T, a *asking, certs ...tls.Certificate) *reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.base+"/token", strings.NewReader(a.form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = a.header.Clone()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: b.roots, Certificates: certs}, DisableKeepAlives: true}
	res, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := &reply{t: t, s: b.in(t), status: res.StatusCode, header: res.Header, body: string(body)}
	_ = json.Unmarshal(body, &r.members)
	return r
}

func (b *bound) htu() string { return b.issuer + "/token" }

// user is a token of corp for a client, with claims.
func (b *bound) user(client string, over ...claims) string {
	return b.world.user(append([]claims{{"aud": client, "scope": "images"}}, over...)...)
}

func (b *bound) gateway(token string) *asking {
	return b.ask(token).basic("shop/gateway", appSecret).images()
}

// claimsOf reads a token that somebody else has verified already.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d segments", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// boundTo fails the test unless the answer is a token that is bound to just this.
func (r *reply) boundTo(tokenType string, cnf map[string]any) string {
	r.t.Helper()
	token := r.allowed()
	got, _ := claimsOf(r.t, token)["cnf"].(map[string]any)
	if r.text("token_type") != tokenType || !maps.EqualFunc(got, cnf, func(a, b any) bool { return a == b }) {
		r.t.Errorf("token_type %s, bound to %v; expected %s and %v", r.text("token_type"), got, tokenType, cnf)
	}
	return token
}
