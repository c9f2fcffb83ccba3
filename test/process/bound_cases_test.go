// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func x5t(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestATokenIsBoundToTheKeyOfAProof(t *testing.T) {
	t.Parallel()
	b := newBound(t, false)
	alice, mallory := newHolder(t), newHolder(t)
	one := func(t *testing.T, h *holder, token string) *reply {
		t.Helper()
		return b.send(t, b.gateway(token).head("DPoP", h.proof(b.htu())))
	}
	t.Run("a client asks for a bound token by sending a proof", func(t *testing.T) {
		t.Parallel()
		one(t, alice, b.user("shop-gateway")).boundTo("DPoP", alice.cnf()["cnf"].(map[string]any))
	})
	t.Run("without one it is a bearer token", func(t *testing.T) {
		t.Parallel()
		b.send(t, b.gateway(b.user("shop-gateway"))).boundTo("Bearer", nil)
	})
	t.Run("F144: a bound token stays bound from hop to hop", func(t *testing.T) {
		t.Parallel()
		token := one(t, alice, b.user("shop-gateway", alice.cnf())).boundTo("DPoP", alice.cnf()["cnf"].(map[string]any))
		again := b.ask(token).basic("shop/gateway", appSecret).images()
		b.send(t, again).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
		b.send(t, again.head("DPoP", alice.proof(b.htu()))).boundTo("DPoP", alice.cnf()["cnf"].(map[string]any))
	})
	t.Run("F144: a stolen bound token is worth nothing", func(t *testing.T) {
		t.Parallel()
		stolen := b.user("shop-gateway", alice.cnf())
		b.send(t, b.gateway(stolen)).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
		one(t, mallory, stolen).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
		b.send(t, b.gateway(stolen), b.worker(t)).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
	})
	t.Run("F144: keys of subject and actor that differ are refused", func(t *testing.T) {
		t.Parallel()
		subject := b.user("shop-gateway", alice.cnf())
		actor := b.user("shop-gateway", claimsWith(mallory.cnf(), "sub", "bob"))
		for _, h := range []*holder{alice, mallory} {
			a := b.gateway(subject).with("actor_token", actor).with("actor_token_type", typeAccess).head("DPoP", h.proof(b.htu()))
			b.send(t, a).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
		}
	})
	t.Run("F144: an actor that is not bound does not unbind the subject", func(t *testing.T) {
		t.Parallel()
		actor := b.user("shop-gateway", claims{"sub": "bob"})
		a := b.gateway(b.user("shop-gateway", alice.cnf())).with("actor_token", actor).with("actor_token_type", typeAccess)
		b.send(t, a).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
		b.send(t, a.head("DPoP", alice.proof(b.htu()))).boundTo("DPoP", alice.cnf()["cnf"].(map[string]any))
	})
	t.Run("F135: a bound token of another client is refused, with its proof too", func(t *testing.T) {
		t.Parallel()
		// Keycloak's testSenderConstrainedTokenRejection.
		one(t, alice, b.user("shop-worker", alice.cnf())).refused(http.StatusBadRequest, "invalid_request", "SubjectAudience")
	})
	t.Run("F144: what nobody knows of cnf refuses", func(t *testing.T) {
		t.Parallel()
		token := b.user("shop-gateway", claims{"cnf": map[string]any{"jkt": alice.jkt, "kid": "x"}})
		one(t, alice, token).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
	})
	for name, tc := range map[string]struct {
		proofs func() []string
		reason string
	}{
		"for another address":          {func() []string { return []string{alice.proof("https://evil.example/token")} }, "ProofInvalid"},
		"for another endpoint of ours": {func() []string { return []string{alice.proof(b.issuer + "/revoke")} }, "ProofInvalid"},
		"for another method":           {func() []string { return []string{alice.proof(b.htu(), claims{"htm": "GET"})} }, "ProofInvalid"},
		"of two minutes ago": {func() []string {
			return []string{alice.proof(b.htu(), claims{"iat": time.Now().Add(-2 * time.Minute).Unix()})}
		}, "ProofInvalid"},
		"twice":                     {func() []string { return []string{alice.proof(b.htu()), alice.proof(b.htu())} }, "ProofInvalid"},
		"that is no proof":          {func() []string { return []string{"a.b.c"} }, "ProofInvalid"},
		"with ath of another token": {func() []string { return []string{alice.proof(b.htu(), ath("another"))} }, "ProofInvalid"},
	} {
		t.Run("a proof "+name+" is refused", func(t *testing.T) {
			t.Parallel()
			a := b.gateway(b.user("shop-gateway", alice.cnf()))
			for _, p := range tc.proofs() {
				a.head("DPoP", p)
			}
			b.send(t, a).refused(http.StatusBadRequest, "invalid_dpop_proof", tc.reason)
		})
	}
	t.Run("a proof is good once, also for another token", func(t *testing.T) {
		t.Parallel()
		proof := alice.proof(b.htu())
		b.send(t, b.gateway(b.user("shop-gateway", alice.cnf())).head("DPoP", proof)).allowed()
		b.send(t, b.gateway(b.user("shop-gateway", alice.cnf())).head("DPoP", proof)).refused(http.StatusBadRequest, "invalid_dpop_proof", "ProofInvalid")
	})
	t.Run("a proof that was refused with its request is not used up", func(t *testing.T) {
		t.Parallel()
		proof := alice.proof(b.htu())
		b.send(t, b.gateway(b.user("elsewhere", alice.cnf())).head("DPoP", proof)).refused(http.StatusBadRequest, "invalid_request", "SubjectAudience")
		b.send(t, b.gateway(b.user("shop-gateway", alice.cnf())).head("DPoP", proof)).allowed()
	})
}

func claimsWith(c claims, name string, v any) claims {
	out := claims{name: v}
	for k, value := range c {
		out[k] = value
	}
	return out
}

func TestAGatewayReplacesTheKeyOfATokenItReceived(t *testing.T) {
	t.Parallel()
	b := newBound(t, false)
	alice, gateway, mallory := newHolder(t), newHolder(t), newHolder(t)
	const api = "https://gateway.shop.example/api/orders"
	token := b.user("shop-gateway", alice.cnf())
	rebind := func(proof string, key *holder) *asking {
		a := b.ask(token).basic("shop/gateway", appSecret).with("audience", "media/rebound").with("scope", "images")
		if proof != "" {
			a.with("subject_token_proof", proof)
		}
		if key != nil {
			a.head("DPoP", key.proof(b.htu()))
		}
		return a
	}
	received := func(h *holder, over ...claims) string { return h.proof(api, append([]claims{ath(token)}, over...)...) }
	t.Run("with the proof that came with it, and its own", func(t *testing.T) {
		t.Parallel()
		b.send(t, rebind(received(alice), gateway)).boundTo("DPoP", gateway.cnf()["cnf"].(map[string]any))
	})
	t.Run("F144: the proof that came with it is good once", func(t *testing.T) {
		t.Parallel()
		proof := received(alice)
		b.send(t, rebind(proof, gateway)).allowed()
		b.send(t, rebind(proof, gateway)).refused(http.StatusBadRequest, "invalid_dpop_proof", "ProofInvalid")
	})
	for name, tc := range map[string]struct {
		ask    func() *asking
		code   string
		reason string
	}{
		"F144: without the proof that came with it": {func() *asking { return rebind("", gateway) }, "invalid_request", "SubjectBinding"},
		"F144: without a key of its own":            {func() *asking { return rebind(received(alice), nil) }, "invalid_request", "SubjectBinding"},
		"F144: with a proof of somebody else's key": {func() *asking { return rebind(received(mallory), gateway) }, "invalid_request", "SubjectBinding"},
		"F144: with the proof of another token":     {func() *asking { return rebind(alice.proof(api, ath("another")), gateway) }, "invalid_dpop_proof", "ProofInvalid"},
		"F144: with a proof for another resource":   {func() *asking { return rebind(alice.proof("https://evil.example/api", ath(token)), gateway) }, "invalid_dpop_proof", "ProofInvalid"},
		"F144: with a proof for our own endpoint":   {func() *asking { return rebind(alice.proof(b.htu(), ath(token)), gateway) }, "invalid_dpop_proof", "ProofInvalid"},
		"F144: with a proof of two minutes ago": {func() *asking {
			return rebind(received(alice, claims{"iat": time.Now().Add(-2 * time.Minute).Unix()}), gateway)
		}, "invalid_dpop_proof", "ProofInvalid"},
		"F144: where the policy does not say Rebind": {func() *asking {
			return rebind(received(alice), gateway).with("audience", imagesAPI)
		}, "invalid_request", "SubjectBinding"},
	} {
		t.Run(name+" it is refused", func(t *testing.T) {
			t.Parallel()
			b.send(t, tc.ask()).refused(http.StatusBadRequest, tc.code, tc.reason)
		})
	}
}

func TestACertificateIsACredentialAndAKey(t *testing.T) {
	t.Parallel()
	b := newBound(t, false)
	worker := b.worker(t)
	ask := func(client string, over ...claims) *asking { return b.ask(b.user(client, over...)).images() }
	t.Run("it authenticates by the name in it", func(t *testing.T) {
		t.Parallel()
		r := b.send(t, ask("shop-worker"), worker)
		r.boundTo("Bearer", nil)
		if got := r.record()["client"]; got != "shop/worker" {
			t.Errorf("the client is %v", got)
		}
	})
	t.Run("it authenticates by itself, beside client_id", func(t *testing.T) {
		t.Parallel()
		b.send(t, ask("shop-pinned").with("client_id", "shop/pinned"), b.pinned).allowed()
		b.send(t, ask("shop-pinned"), b.pinned).refused(http.StatusUnauthorized, "invalid_client", "ClientCredentials")
	})
	t.Run("it authenticates as an X.509-SVID", func(t *testing.T) {
		t.Parallel()
		b.send(t, ask("shop-mesh"), b.svid(t, "spiffe://example.org/ns/shop/mesh")).allowed()
	})
	t.Run("a JWT-SVID authenticates", func(t *testing.T) {
		t.Parallel()
		svid, err := b.domain.JWTSVID("spiffe://example.org/ns/shop/mesh", b.issuer, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.send(t, ask("shop-mesh").assertion(svid)).allowed()
	})
	for name, cert := range map[string]tls.Certificate{
		"F69: of another authority":  b.certificate(t, b.domain, &x509.Certificate{DNSNames: []string{"worker.shop.svc"}}),
		"F69: with another name":     b.certificate(t, b.authority, &x509.Certificate{DNSNames: []string{"other.shop.svc"}}),
		"F69: of another SPIFFE ID":  b.svid(t, "spiffe://example.org/ns/shop/other"),
		"F69: an SVID of ours alone": b.certificate(t, b.authority, &x509.Certificate{URIs: b.svid(t, "spiffe://example.org/ns/shop/mesh").Leaf.URIs}),
	} {
		t.Run(name+" it authenticates nobody", func(t *testing.T) {
			t.Parallel()
			r := b.send(t, ask("shop-worker"), cert)
			if r.status != http.StatusUnauthorized || r.text("error") != "invalid_client" {
				t.Errorf("got %d %s", r.status, r.body)
			}
		})
	}
	t.Run("a token that is bound to it stays so", func(t *testing.T) {
		t.Parallel()
		cnf := map[string]any{"x5t#S256": x5t(worker)}
		token := b.send(t, ask("shop-worker", claims{"cnf": cnf}), worker).boundTo("Bearer", cnf)
		if token == "" {
			t.Fatal("no token")
		}
		b.send(t, ask("shop-worker", claims{"cnf": cnf}), b.worker(t)).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
	})
	t.Run("a policy that requires a binding takes it", func(t *testing.T) {
		t.Parallel()
		required := func() *asking { return ask("shop-worker").with("audience", "media/required") }
		b.send(t, required(), worker).boundTo("Bearer", map[string]any{"x5t#S256": x5t(worker)})
		bare := b.ask(b.user("shop-gateway")).basic("shop/gateway", appSecret).with("audience", "media/required").with("scope", "images")
		b.send(t, bare).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
	})
	t.Run("metadata says what is served", func(t *testing.T) {
		t.Parallel()
		var doc struct {
			Methods []string `json:"token_endpoint_auth_methods_supported"`
			DPoP    []string `json:"dpop_signing_alg_values_supported"`
			Bound   bool     `json:"tls_client_certificate_bound_access_tokens"`
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: b.roots}, DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.issuer+"/.well-known/oauth-authorization-server", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"tls_client_auth", "self_signed_tls_client_auth", "spiffe_jwt", "spiffe_x509", "none"} {
			if !strings.Contains(strings.Join(doc.Methods, " ")+" ", want+" ") {
				t.Errorf("methods %v lack %s", doc.Methods, want)
			}
		}
		if !doc.Bound || len(doc.DPoP) != 5 {
			t.Errorf("found %+v", doc)
		}
	})
}

func TestAPublicClientExchangesBoundTokensOnly(t *testing.T) {
	t.Parallel()
	b := newBound(t, false)
	phone := newHolder(t)
	mobile := func(token string) *asking { return b.ask(token).with("client_id", "shop/mobile").images() }
	t.Run("F77: with a bound token and its proof", func(t *testing.T) {
		t.Parallel()
		b.send(t, mobile(b.user("shop-mobile", phone.cnf())).head("DPoP", phone.proof(b.htu()))).boundTo("DPoP", phone.cnf()["cnf"].(map[string]any))
	})
	t.Run("F77: a bearer token is refused, whatever proof is beside it", func(t *testing.T) {
		t.Parallel()
		b.send(t, mobile(b.user("shop-mobile"))).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
		b.send(t, mobile(b.user("shop-mobile")).head("DPoP", phone.proof(b.htu()))).refused(http.StatusBadRequest, "invalid_request", "SubjectBinding")
	})
	t.Run("F77: a client that is not public needs its credential", func(t *testing.T) {
		t.Parallel()
		a := b.ask(b.user("shop-gateway", phone.cnf())).with("client_id", "shop/gateway").images().head("DPoP", phone.proof(b.htu()))
		b.send(t, a).refused(http.StatusUnauthorized, "invalid_client", "ClientCredentials")
	})
}

func TestWithoutASharedStoreANonceMakesAProofFresh(t *testing.T) {
	t.Parallel()
	b := newBound(t, false, "--store", "none")
	alice := newHolder(t)
	token := b.user("shop-gateway", alice.cnf())
	first := b.send(t, b.gateway(token).head("DPoP", alice.proof(b.htu()))).refused(http.StatusBadRequest, "use_dpop_nonce", "ProofNonce")
	nonce := first.header.Get("DPoP-Nonce")
	if nonce == "" {
		t.Fatal("there is no DPoP-Nonce header")
	}
	second := b.send(t, b.gateway(token).head("DPoP", alice.proof(b.htu(), claims{"nonce": nonce})))
	second.boundTo("DPoP", alice.cnf()["cnf"].(map[string]any))
	next := second.header.Get("DPoP-Nonce")
	if next == "" {
		t.Error("the answer has no nonce for the next request")
	}
	b.send(t, b.gateway(token).head("DPoP", alice.proof(b.htu(), claims{"nonce": next}))).allowed()
	b.send(t, b.gateway(token).head("DPoP", alice.proof(b.htu(), claims{"nonce": "invented"}))).refused(http.StatusBadRequest, "use_dpop_nonce", "ProofNonce")
}

func TestACertificateThatAProxyHandsOn(t *testing.T) {
	t.Parallel()
	header := func(c tls.Certificate) string {
		return ":" + base64.StdEncoding.EncodeToString(c.Certificate[0]) + ":"
	}
	t.Run("counts where the proxy is declared", func(t *testing.T) {
		t.Parallel()
		b := newBound(t, true, "--client-cert-header", "Client-Cert", "--trusted-proxies", "127.0.0.0/8")
		ask := b.ask(b.user("shop-worker")).images()
		b.send(t, ask.head("Client-Cert", header(b.worker(t)))).allowed()
		b.send(t, b.ask(b.user("shop-worker")).images()).refused(http.StatusUnauthorized, "invalid_client", "ClientCredentials")
	})
	t.Run("F70: is ignored from everybody else", func(t *testing.T) {
		t.Parallel()
		b := newBound(t, true, "--client-cert-header", "Client-Cert", "--trusted-proxies", "10.1.2.0/24")
		b.send(t, b.ask(b.user("shop-worker")).images().head("Client-Cert", header(b.worker(t)))).refused(http.StatusUnauthorized, "invalid_client", "ClientCredentials")
	})
	t.Run("F70: is ignored where nobody is declared", func(t *testing.T) {
		t.Parallel()
		b := newBound(t, true)
		for _, name := range []string{"Client-Cert", "X-Forwarded-Client-Cert"} {
			b.send(t, b.ask(b.user("shop-worker")).images().head(name, header(b.worker(t)))).refused(http.StatusUnauthorized, "invalid_client", "ClientCredentials")
		}
	})
}

func TestTheCommandLineShowsItsKeys(t *testing.T) {
	t.Parallel()
	b := newBound(t, false, "--store", "none")
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	authority := file("ca.pem", pemText(b.authority.CA))
	cert, key := b.files(t, b.worker(t))
	_, dpop := b.files(t, b.worker(t)) // any key will do
	subject := file("subject", b.user("shop-worker"))
	said, code := invoke(t, "exchange", "--issuer", b.issuer, "--ca-file", authority, "--cert", cert, "--key", key, "--dpop-key", dpop,
		"--subject-token-file", subject, "--audience", imagesAPI, "--scope", "images")
	if code != 0 || !strings.Contains(said, "DPoP") || !strings.Contains(said, "bound to") {
		t.Errorf("code %d:\n%s", code, said)
	}
	said, code = invoke(t, "exchange", "--issuer", b.issuer, "--ca-file", authority, "--public", "--client-id", "shop/mobile", "--dpop-key", dpop,
		"--subject-token-file", file("mobile", b.user("shop-mobile")), "--audience", imagesAPI, "--scope", "images")
	if code != 1 || !strings.Contains(said, "invalid_request") {
		t.Errorf("a public client with a bearer token: code %d:\n%s", code, said)
	}
}
