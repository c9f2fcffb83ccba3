// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// program is the built binary.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		// These tests wait for other processes more than they compute.
		_ = flag.Set("test.parallel", "8")
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "exchequer-process-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "exchequer")
	out, err := exec.Command("go", "build", "-o", program, "github.com/exchequer-dev/exchequer/cmd/exchequer").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// The names of the world that most tests happen in.
const (
	sts          = "https://sts.example.com"
	cluster      = "https://east.cluster.example"
	imagesAPI    = "media/images-resource"
	imagesURI    = "https://images.media.example/v1"
	contactsAPI  = "media/contacts-resource"
	appSecret    = "the-app-has-this-secret-of-its-own-0123456789"
	imagesSecret = "the-images-api-has-another-one-0123456789abc"
)

// platform, clients and media are the manifests of the three teams; $WORDS are
// filled in when they are written.
const (
	platform = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec:
  issuer: https://sts.example.com
  allowedNamespaces: {names: [shop, media]}
  names:
  - {namespaces: {names: [media]}, scopes: [images, contacts], resources: ["https://images.media.example/*"]}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  jwt: {issuer: {url: "$CORP", audiences: ["https://sts.example.com"]}}
  network: {allowedCIDRs: [127.0.0.0/8]}
  allowedNamespaces: {all: true}
  clients:
  - {id: shop-app, client: {namespace: shop, name: app}}
  - {id: shop-signer, client: {namespace: shop, name: signer}}
  - {id: shop-worker, client: {namespace: shop, name: worker}}
  claimMappings:
    username: {claim: preferred_username}
    groups: {claim: groups}
    scopes: {claim: scope}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: east}
spec:
  use: [Client, Subject]
  allowedNamespaces: {all: true}
  kubernetes:
    cluster:
      remote: {issuer: {url: "https://east.cluster.example"}, keys: {inline: $CLUSTERKEYS}}
    audiences: ["https://sts.example.com/workloads"]
`
	clients = `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: app}
spec:
  authentication:
  - clientSecret: {sha256: $APPDIGEST}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: signer}
spec:
  authentication:
  - privateKeyJWT: {inline: $SIGNERKEYS}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: worker}
spec:
  authentication:
  - kubernetesServiceAccount: {name: worker, issuer: east}
`
	media = `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: images-resource}
spec:
  authentication:
  - clientSecret: {secretRef: {name: images-oauth, key: client-secret}}
  resources: ["https://images.media.example/v1"]
---
apiVersion: v1
kind: Secret
metadata: {namespace: media, name: images-oauth}
stringData: {client-secret: the-images-api-has-another-one-0123456789abc}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: contacts-resource}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: media, name: images}
spec: {targets: [{name: images-resource}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: media, name: contacts}
spec: {targets: [{name: contacts-resource}]}
---
` + imagesPolicy + `
---
# The images API may go on to the contacts API, with what it was given.
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: onwards}
spec:
  clients: [{namespace: media, name: images-resource}]
  subject:
    issuers: [{self: true, origins: [corp]}]
    rules: [{expression: "'corp:staff' in subject.groups", message: staff only}]
  target: {clients: [{name: contacts-resource}], scopes: []}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: worker-itself}
spec:
  clients: [{namespace: shop, name: worker}]
  subject: {issuers: [{name: east}]}
  target: {clients: [{name: contacts-resource}], scopes: []}
`
	imagesPolicy = `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: images}
spec:
  clients:
  - {namespace: shop, name: app}
  - {namespace: shop, name: signer}
  - {namespace: shop, name: worker}
  subject:
    issuers: [{name: corp}]
    rules: [{expression: "'corp:staff' in subject.groups", message: staff only}]
  target:
    clients: [{name: images-resource}]
    scopes: [images]
  token: {types: [AccessToken, JWT]}
  examples:
  - name: staff may
    given: {client: shop/app, issuer: corp, claims: {sub: alice, groups: [staff], scope: images contacts}, scope: images}
    expect: {allowed: true, scope: images, audience: [media/images-resource]}
`
)

// world is a directory of manifests and those around it who sign.
type world struct {
	t         *testing.T
	dir       string
	corp      *issuer.Issuer
	eastKey   *issuer.Key
	signerKey *issuer.Key
	words     map[string]string
	// environment is added to that of the program.
	environment []string
}

// claims are the claims of a token.
type claims = issuer.Claims

// newWorld writes the manifests of the three teams. What runs in it ends with the
// test.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := emptyWorld(t)
	w.write("platform.yaml", platform).write("clients.yaml", clients).write("media.yaml", media)
	return w
}

// emptyWorld has everybody in it who signs, and no manifests.
func emptyWorld(t *testing.T) *world {
	t.Helper()
	corp, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(corp.Close)
	w := &world{t: t, dir: t.TempDir(), corp: corp, eastKey: newKey(t, "east-1"), signerKey: newKey(t, "signer-1")}
	w.words = map[string]string{
		"$CORP": corp.URL(), "$CLUSTERKEYS": keySet(t, w.eastKey), "$SIGNERKEYS": keySet(t, w.signerKey), "$APPDIGEST": digest(appSecret),
	}
	return w
}

func newKey(t *testing.T, id string) *issuer.Key {
	t.Helper()
	k, err := issuer.NewKey(id, "ES256")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keySet(t *testing.T, keys ...*issuer.Key) string {
	t.Helper()
	set := map[string][]map[string]string{}
	for _, k := range keys {
		set["keys"] = append(set["keys"], k.JWK())
	}
	b, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// write puts a file into the directory, in one step as editors do, with the
// words filled in.
func (w *world) write(name, text string) *world {
	w.t.Helper()
	for word, value := range w.words {
		text = strings.ReplaceAll(text, word, value)
	}
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path+"~", []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		w.t.Fatal(err)
	}
	return w
}

// change rewrites a file with one text in place of another.
func (w *world) change(name, from, to string) *world {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.Count(string(b), from) != 1 {
		w.t.Fatalf("%s has %d times %q, expected it once", name, strings.Count(string(b), from), from)
	}
	return w.write(name, strings.Replace(string(b), from, to, 1))
}

// remove deletes a file.
func (w *world) remove(name string) *world {
	w.t.Helper()
	if err := os.Remove(filepath.Join(w.dir, name)); err != nil {
		w.t.Fatal(err)
	}
	return w
}

// user is a token of corp for alice, made for the app unless told otherwise.
func (w *world) user(over ...claims) string {
	w.t.Helper()
	c := claims{
		"sub": "alice", "aud": "shop-app", "scope": "images contacts", "groups": []string{"staff"}, "jti": rand.Text(),
		"exp": time.Now().Add(time.Hour).Unix(),
	}
	for _, o := range over {
		maps.Copy(c, o)
	}
	token, err := w.corp.Mint(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// account is a service-account token of the cluster, as Kubernetes writes them.
func (w *world) account(namespace, name string, over ...claims) string {
	w.t.Helper()
	now := time.Now()
	c := claims{
		"iss": cluster, "sub": "system:serviceaccount:" + namespace + ":" + name, "aud": []string{sts}, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{
			"namespace":      namespace,
			"pod":            map[string]any{"name": name + "-0", "uid": "b7d2ab6c-1d7a-44a8-b0a7-0f3c6f5b5b0e"},
			"serviceaccount": map[string]any{"name": name, "uid": "0b6f5d3e-5b4e-4a56-9d0a-6a3c1f0c1c11"},
		},
	}
	return w.sign(w.eastKey, nil, c, over...)
}

// assertion is a private_key_jwt of shop/signer. It is dated a second ahead: the
// program, which remembers only since its start what was used, refuses what is
// older than itself, in whole seconds.
func (w *world) assertion(over ...claims) string {
	w.t.Helper()
	at := time.Now().Add(2 * time.Second)
	c := claims{"iss": "shop/signer", "sub": "shop/signer", "aud": sts, "jti": rand.Text(), "iat": at.Unix(), "exp": at.Add(time.Minute).Unix()}
	return w.sign(w.signerKey, nil, c, over...)
}

// sign signs claims, with header members over alg, kid and typ JWT.
func (w *world) sign(k *issuer.Key, header map[string]any, c claims, over ...claims) string {
	w.t.Helper()
	for _, o := range over {
		maps.Copy(c, o)
	}
	token, err := w.corp.MintWith(k, header, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// eventually asks again until something is so. It is for what has no event to
// wait for from outside: a changed file that takes effect.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("after 20 s it is still not so: %s", what)
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// random is a word that nobody else has.
func random() string { return rand.Text() }
