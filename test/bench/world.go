// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const secret = "bench-secret-0123456789abcdef0123456789"

// child is a server in its own process.
type child struct {
	cmd     *exec.Cmd
	address string
	out     *bytes.Buffer
}

func (s *child) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// world is the keys and tokens of one run.
type world struct {
	dir     string
	issuer  jose.JSONWebKey
	signing jose.JSONWebKey
	signer  jose.Signer
}

func newWorld(dir string) (*world, error) {
	w := &world{dir: dir}
	for _, k := range []*jose.JSONWebKey{&w.issuer, &w.signing} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		*k = jose.JSONWebKey{Key: key, KeyID: "bench", Algorithm: "ES256", Use: "sig"}
	}
	var err error
	w.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: w.issuer}, (&jose.SignerOptions{}).WithType("at+jwt"))
	return w, err
}

// requests are n exchanges; each with a token of its own, or all with one.
func (w *world) requests(path string, n int, distinct bool) ([][]byte, error) {
	out := make([][]byte, n)
	for i := range out {
		if i > 0 && !distinct {
			out[i] = out[0]
			continue
		}
		now := time.Now().Unix()
		payload, err := json.Marshal(map[string]any{
			"iss": "https://login.corp.example", "sub": fmt.Sprintf("user-%d", i), "aud": "shop/app", "iat": now, "exp": now + 3600,
			"jti": fmt.Sprintf("%x-%d", now, i), "scope": "images contacts", "groups": []string{"staff", "press"}, "preferred_username": "alice", "tenant": "acme",
		})
		if err != nil {
			return nil, err
		}
		signed, err := w.signer.Sign(payload)
		if err != nil {
			return nil, err
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			return nil, err
		}
		out[i] = request(path, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {"shop/app"}, "client_secret": {secret},
			"subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
			"audience": {"media/images-resource"}, "scope": {"images"},
		})
	}
	return out, nil
}

const manifests = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec: {issuer: "http://127.0.0.1", allowedNamespaces: {names: [shop, media]}}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  jwt:
    issuer: {url: "https://login.corp.example"}
    keys: {inline: {keys: [%s]}}
  claimMappings:
    username: {claim: preferred_username}
    groups: {claim: groups}
    scopes: {claim: scope}
    extra: [{key: tenant, claim: tenant}]
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: app}
spec: {authentication: [{clientSecret: {sha256: %s}}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: images-resource}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: media, name: images}
spec: {targets: [{name: images-resource}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: app-gets-images}
spec:
  clients: [{namespace: shop, name: app}]
  subject:
    issuers: [{name: corp}]
    rules: [{expression: "'corp:staff' in subject.groups", message: staff only}]
  target: {clients: [{name: images-resource}], scopes: [images]}
  token: {claims: [{name: tenant, expression: subject.extra.tenant}]}
`

// exchequer starts the real program on manifests as a newcomer would write them:
// one rule, one claim, an audit file on disk.
func (w *world) exchequer(ctx context.Context, binary string, more ...string) (*child, error) {
	public, err := w.issuer.Public().MarshalJSON()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(secret))
	dir := filepath.Join(w.dir, "manifests")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), fmt.Appendf(nil, manifests, public, hex.EncodeToString(digest[:])), 0o600); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	args := append([]string{"serve", "--manifests", dir, "--listen", address, "--audit", filepath.Join(w.dir, "audit.jsonl")}, more...)
	return start(exec.CommandContext(ctx, binary, args...), address, nil)
}

func (w *world) reference(ctx context.Context) (*child, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	in, err := json.Marshal(map[string]any{"secret": secret, "issuer": w.issuer.Public(), "signing": w.signing})
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(exec.CommandContext(ctx, self, "reference", address), address, bytes.NewReader(in))
}

func start(cmd *exec.Cmd, address string, in io.Reader) (*child, error) {
	s := &child{cmd: cmd, address: address, out: &bytes.Buffer{}}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, s.out, s.out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for range 400 {
		resp, err := http.Get("http://" + address + "/metrics")
		if err == nil {
			_ = resp.Body.Close()
			return s, nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("%s did not start: %s", cmd.Path, strings.TrimSpace(s.out.String()))
}

// floor is one raw ES256 verification and one signature, in microseconds, while
// the other cores are busy as they are under load.
func floor() (float64, error) {
	stop := make(chan struct{})
	defer close(stop)
	for range runtime.NumCPU() - 1 {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					_ = sha256.Sum256([]byte{byte(n)})
				}
			}
		}()
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, err
	}
	message := bytes.Repeat([]byte("x"), 700)
	digest := sha256.Sum256(message)
	r, sig, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return 0, err
	}
	const n = 4000
	// CPU time of this thread alone: a wall clock would count what else runs.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := threadCPU()
	for range n {
		in := sha256.Sum256(message)
		if !ecdsa.Verify(&key.PublicKey, in[:], r, sig) {
			return 0, fmt.Errorf("the floor does not verify")
		}
		out := sha256.Sum256(message)
		if _, _, err := ecdsa.Sign(rand.Reader, key, out[:]); err != nil {
			return 0, err
		}
	}
	return float64((threadCPU() - begin).Nanoseconds()) / 1000 / n, nil
}

func threadCPU() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
