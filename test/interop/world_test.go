// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
	"github.com/exchequer-dev/exchequer/test/ports"
)

// program is the built binary; parts is where the npm packages are.
var program, parts string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "exchequer-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "exchequer")
	build := exec.Command("go", "build", "-o", program, "./cmd/exchequer")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	for name, into := range map[string]*string{"npm.sh": &parts, "assets.sh": nil} {
		where := exec.Command(filepath.Join("..", "..", "hack", "interop", name))
		where.Stderr = os.Stderr
		out, err := where.Output()
		if err != nil {
			fmt.Fprintf(os.Stderr, "hack/interop/%s: %v\n", name, err)
			return 1
		}
		if into != nil {
			*into = strings.TrimSpace(string(out))
		} else if err := os.Setenv("KUBEBUILDER_ASSETS", strings.TrimSpace(string(out))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// The names of the one world that these tests happen in.
const (
	app       = "shop/app"
	signer    = "shop/signer"
	api       = "shop/api"
	cluster   = "shop/cluster"
	appSecret = "the-app-has-this-secret-of-its-own-0123456789"
	userScope = "orders"
	signerKid = "signer-1"
)

// manifests are a shop whose app may have tokens for its API, and for a cluster.
const manifests = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec:
  issuer: $ISSUER
  allowedNamespaces: {names: [shop]}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  jwt: {issuer: {url: "$CORP", audiences: ["$ISSUER"]}}
  network: {allowedCIDRs: [127.0.0.0/8]}
  allowedNamespaces: {all: true}
  claimMappings: {groups: {claim: groups}, scopes: {claim: scope}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: app}
spec:
  grants: [TokenExchange, JWTBearer]
  authentication: [{clientSecret: {sha256: $DIGEST}}]
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: signer}
spec:
  authentication: [{privateKeyJWT: {inline: $KEYS}}]
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: api}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: cluster}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: shop, name: orders}
spec: {targets: [{name: api}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: shop, name: api}
spec:
  clients: [{name: app}, {name: signer}]
  subject:
    issuers: [{name: corp}]
  target: {clients: [{name: api}], scopes: [orders]}
  token:
    types: [AccessToken, JWT, IDToken, TransactionToken]
    refresh: Bounded
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: shop, name: chained}
spec:
  clients: [{name: app}]
  subject:
    issuers: [{name: corp}]
    tokenTypes: [JWTBearer]
    audience: {match: Issuer}
  target: {clients: [{name: api}], scopes: [orders]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExternalTarget
metadata: {name: partner}
spec:
  audiences: [https://sts.partner.example]
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}], tokenTypes: [IDToken]}
  idJAG:
    audience: https://sts.partner.example
    clients: [{client: {namespace: shop, name: app}, clientID: shop-at-partner}]
    scopes: [orders]
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: shop, name: cluster}
spec:
  clients: [{name: app}]
  subject: {issuers: [{name: corp}]}
  target: {clients: [{name: cluster}], scopes: []}
  token: {claims: [{name: groups, expression: subject.groups}]}
`

// world is a running token service behind TLS, and the issuer that it trusts.
type world struct {
	issuer string
	corp   *issuer.Issuer
	// authority is the PEM of who vouches for the service's certificate, in a file, too.
	authority     []byte
	authorityFile string
	client        *http.Client
	signer        *ecdsa.PrivateKey
	said          locked
}

// locked is what the program says.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts the program behind TLS and returns when it answers.
func serve(t *testing.T) *world {
	t.Helper()
	port, err := ports.Free()
	must(t, err)
	corp, err := issuer.Start(issuer.Options{})
	must(t, err)
	t.Cleanup(corp.Close)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	point, err := key.PublicKey.Bytes() // 4, x, y
	must(t, err)
	w := &world{issuer: fmt.Sprintf("https://127.0.0.1:%d", port), corp: corp, signer: key}
	dir := t.TempDir()
	certificate := w.certify(t, dir)
	keys, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": signerKid,
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
	}}})
	must(t, err)
	digest := sha256.Sum256([]byte(appSecret))
	text := strings.NewReplacer("$ISSUER", w.issuer, "$CORP", corp.URL(), "$DIGEST", hex.EncodeToString(digest[:]), "$KEYS", string(keys)).Replace(manifests)
	must(t, os.Mkdir(filepath.Join(dir, "manifests"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "manifests", "shop.yaml"), []byte(text), 0o600))

	cmd := exec.CommandContext(t.Context(), program, "serve", "--manifests", filepath.Join(dir, "manifests"),
		"--listen", fmt.Sprintf("127.0.0.1:%d", port), "--tls-cert", certificate+".crt", "--tls-key", certificate+".key")
	cmd.Stdout, cmd.Stderr = &w.said, &w.said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	must(t, cmd.Start())
	ended, gone := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- cmd.Wait()
		close(gone)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-gone
		if t.Failed() {
			t.Logf("exchequer serve said:\n%s", w.said.String())
		}
	})
	w.answers(t, ended)
	return w
}

// answers waits until the metadata is there, and the second is over in which the
// program started: it remembers from then on what was used once.
func (w *world) answers(t *testing.T, ended <-chan error) {
	t.Helper()
	started := time.Now().Unix()
	eventually(t, "exchequer serve answers", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("exchequer serve ended: %v\n%s", err, w.said.String())
		default:
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/.well-known/openid-configuration", http.NoBody)
		must(t, err)
		res, err := w.client.Do(req)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK && time.Now().Unix() > started+1
	})
}

// eventually asks again until something is so that has no event to wait for.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("after 30 s it is still not so: %s", what)
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// certify makes an authority of this test's own and a certificate for the service.
func (w *world) certify(t *testing.T, dir string) string {
	t.Helper()
	now := time.Now()
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "interop"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	must(t, err)
	w.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	w.authorityFile = filepath.Join(dir, "authority.crt")
	must(t, os.WriteFile(w.authorityFile, w.authority, 0o600))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport, Timeout: 10 * time.Second}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "sts"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err = x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), authorityKey)
	must(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	base := filepath.Join(dir, "sts")
	must(t, os.WriteFile(base+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(base+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600))
	return base
}

// user is corp's access token for alice, for the app or whom over says.
func (w *world) user(t *testing.T, over issuer.Claims) string {
	t.Helper()
	c := issuer.Claims{
		"sub": "alice", "aud": app, "scope": userScope, "groups": []string{"staff"}, "jti": rand.Text(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(c, over)
	token, err := w.corp.Mint(c)
	must(t, err)
	return token
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
