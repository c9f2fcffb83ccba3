// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/controllers/keystore"
	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/exchange"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/server"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
)

const (
	host   = "sts.example.com"
	secret = "correct-horse-battery-staple-and-more"
)

// system is a controller with its API server in memory, and an exchanger that
// follows the keys which that one stores: the two programs in one process.
type system struct {
	manager  *keystore.Manager
	client   client.Client
	service  v1alpha1.TokenService
	spec     *policy.Spec
	follower *keys.Ring
	server   *httptest.Server
	corp     *jose.PrivateKey
}

func newSystem(t *testing.T, address string, algorithm string) *system {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	s := &system{client: fake.NewClientBuilder().WithScheme(scheme).Build(), follower: keys.NewFollower()}
	s.manager = keystore.NewManager(keystore.Options{Client: s.client, Namespace: "exchequer-system"})
	s.service = v1alpha1.TokenService{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: v1alpha1.TokenServiceSpec{
		Signing: v1alpha1.Signing{Source: v1alpha1.KeySourceExternal, External: &v1alpha1.ExternalSigner{Address: address}},
	}}
	var err error
	if s.corp, err = jose.GenerateKey("ES256"); err != nil {
		t.Fatal(err)
	}
	s.spec = spec(t, s.corp, algorithm)
	s.serve(t)
	return s
}

func spec(t *testing.T, corp *jose.PrivateKey, algorithm string) *policy.Spec {
	t.Helper()
	set, err := jose.NewKeySet(corp.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwks, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(secret))
	classes := []policy.Class{policy.ClassAccessToken, policy.ClassJWT}
	return &policy.Spec{
		Format: policy.Format,
		Services: []policy.Service{{
			Name: "default", Issuer: "https://" + host, Algorithm: algorithm, DefaultLifetime: 5 * time.Minute, MaxLifetime: time.Hour, TokenBytes: 8192, DelegationDepth: 4,
			Rotation: policy.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour}, AssertionAudiences: []string{"https://" + host},
		}},
		Issuers: []policy.Issuer{{
			Name: "corp", TokenService: "default", Kind: policy.IssuerJWT, URL: "https://login.example.com", ForSubject: true, Algorithms: []string{"ES256"},
			Classes: classes, MaxTokenAge: time.Hour, ClockSkew: time.Minute, Prefix: "corp:", Keys: policy.Keys{Inline: string(jwks)},
			Mappings: policy.Mappings{Subject: policy.Value{Claim: "sub"}},
		}},
		Clients: []policy.Client{
			{ID: "shop/api", Namespace: "shop", Name: "api", TokenService: "default"},
			{ID: "shop/app", Namespace: "shop", Name: "app", TokenService: "default", TokenExchange: true, SecretDigests: []string{hex.EncodeToString(digest[:])}},
		},
		Policies: []policy.Policy{{
			Namespace: "shop", Name: "p", TokenService: "default", Clients: []string{"shop/app"}, SubjectIssuers: []string{"corp"}, SubjectClasses: classes,
			SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient}, Targets: []string{"shop/api"}, TokenTypes: []policy.TokenType{policy.TypeAccessToken},
		}},
	}
}

// serve wires an exchanger as the program does.
func (s *system) serve(t *testing.T) {
	t.Helper()
	snapshot, err := policy.Compile(s.spec, 1, expr.New())
	if err != nil {
		t.Fatal(err)
	}
	issuers := issuer.New(issuer.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = issuers.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	ti := snapshot.Services()[0].TrustedIssuers()[0]
	issuers.SetSources([]issuer.Source{{Name: "corp", Digest: ti.KeysDigest(), URL: ti.Spec().URL, Inline: []byte(ti.Spec().Keys.Inline)}})
	uses := store.NewMemory(time.Now, store.MemoryLimits{})
	use := &exchange.Exchanger{
		Clients:  clientauth.New(issuers, uses, clientauth.Options{}),
		Subjects: subject.New(issuers, s.follower, subject.Options{}),
		Keys:     s.follower, Audit: discard{}, Store: uses, Now: time.Now,
	}
	web := server.New(server.Config{
		Snapshot: func() *policy.Snapshot { return snapshot }, Exchanger: use,
		JWKS: func(service string) ([]byte, bool) {
			k, ok := s.follower.Current(service)
			if !ok {
				return nil, false
			}
			return k.JWKS, true
		},
	})
	s.server = httptest.NewServer(web.Handler(false))
	t.Cleanup(s.server.Close)
}

type discard struct{}

func (discard) Write(*audit.Record) error { return nil }

// keysFollow has the controller ask the signer and the exchanger follow.
func (s *system) keysFollow(t *testing.T) {
	t.Helper()
	for range 2 {
		_ = s.manager.Ensure(t.Context(), []v1alpha1.TokenService{s.service}, s.spec)
		s.manager.Ask(t.Context())
	}
	if c, _ := s.manager.Condition("default", 1); c.Status != metav1.ConditionTrue {
		t.Fatalf("KeysReady: %+v", c)
	}
	if err := s.follower.Follow(map[string][]byte{"default": s.secret(t).Data["default.json"]}); err != nil {
		t.Fatal(err)
	}
}

func (s *system) secret(t *testing.T) *corev1.Secret {
	t.Helper()
	var secret corev1.Secret
	if err := s.client.Get(t.Context(), client.ObjectKey{Namespace: "exchequer-system", Name: "exchequer-keys"}, &secret); err != nil {
		t.Fatal(err)
	}
	return &secret
}

func (s *system) do(t *testing.T, method, path, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(url.QueryEscape("shop/app"), secret)
	}
	resp, err := s.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

// exchange asks for a token and has a relying party verify it with the key set.
func (s *system) exchange(t *testing.T) {
	t.Helper()
	signer, err := jose.NewSigner(s.corp, "at+jwt")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://login.example.com", "sub": "alice", "aud": "shop/app", "iat": now, "exp": now + 600, "jti": rand.Text(), "client_id": "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	subjectToken, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	status, body := s.do(t, http.MethodPost, "/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {subjectToken},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "audience": {"shop/api"},
	}.Encode())
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	status, jwks := s.do(t, http.MethodGet, "/jwks", "")
	set, _, err := jose.ParseKeySet(jwks, jose.KeySetOptions{})
	if err != nil || status != http.StatusOK {
		t.Fatalf("status %d: %v", status, err)
	}
	parsed, err := jose.Parse(answer.AccessToken, jose.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	key, ok := set.Key(parsed.KeyID())
	if !ok {
		t.Fatal("the key is not in the key set")
	}
	verified, err := parsed.Verify(key, jose.Algorithms())
	if err != nil || verified.Claims["sub"] != "corp:alice" {
		t.Errorf("sub %v: %v", verified.Claims["sub"], err)
	}
}

func TestAnExchangeIsSignedInTheToken(t *testing.T) {
	for _, algorithm := range []string{"ES256", "ES384", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			k := newToken(t)
			k.generate(t, "exchequer-1", algorithm)
			s := newSystem(t, k.serve(t), algorithm)
			s.keysFollow(t)
			s.exchange(t)
			if document := string(s.secret(t).Data["default.json"]); strings.Contains(document, "privateKey") || strings.Contains(document, "PRIVATE") {
				t.Error("the Secret has a private key")
			}
		})
	}
}

// The key is made outside, so that a third process can know what to look for; this
// one never reads the file.
func TestTheKeyIsNotInTheMemoryOfWhoeverHasItSign(t *testing.T) {
	for algorithm, args := range map[string][]string{
		"ES256": {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"RS256": {"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
	} {
		t.Run(algorithm, func(t *testing.T) {
			k := newToken(t)
			file := filepath.Join(k.dir, "key.pem")
			if out, err := exec.CommandContext(t.Context(), "openssl", append(args, "-out", file)...).CombinedOutput(); err != nil {
				t.Fatalf("openssl: %v\n%s", err, out)
			}
			k.util(t, "--import", file, "--token", "exchequer", "--pin", pin, "--label", "exchequer-1", "--id", hex.EncodeToString([]byte("exchequer-1")))
			s := newSystem(t, k.serve(t), algorithm)
			s.keysFollow(t)
			for range 50 {
				s.exchange(t)
			}
			if got := occurrences(t, file); !strings.HasPrefix(got, "0 times in ") {
				t.Errorf("the private key stands in this process's memory: %s", got)
			} else {
				t.Log("the private key:", got)
			}
			// The search does find what is there.
			decoy := make([]byte, 32)
			_, _ = rand.Read(decoy)
			hidden := make([]byte, 32)
			for i := range decoy {
				hidden[i] = decoy[i] ^ 0xff
			}
			if got := occurrences(t, "hex:"+hex.EncodeToString(hidden)); strings.HasPrefix(got, "0 times") {
				t.Errorf("the search does not find what stands in memory: %s", got)
			}
			if decoy[0] == 0 && decoy[1] == 0 {
				t.Log("kept alive")
			}
			_ = os.Remove(file)
		})
	}
}
