// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

func TestAnIssuerServesWhatItsTokensNeed(t *testing.T) {
	t.Parallel()
	iss, err := issuer.Start(issuer.Options{Path: "/realms/corp"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(iss.Close)
	var meta struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	get(t, iss.URL()+"/.well-known/openid-configuration", &meta)
	if meta.Issuer != iss.URL() {
		t.Fatalf("issuer %q, want %q", meta.Issuer, iss.URL())
	}
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	get(t, meta.JWKS, &set)
	token, err := iss.Mint(issuer.Claims{"sub": "alice"})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.Parse(token, func(tok *jwt.Token) (any, error) {
		return ecKey(t, set.Keys[0]), nil
	}, jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(iss.URL()))
	if err != nil {
		t.Fatal(err)
	}
	if sub, _ := parsed.Claims.GetSubject(); sub != "alice" || parsed.Header["kid"] != set.Keys[0]["kid"] {
		t.Fatalf("claims %v, header %v", parsed.Claims, parsed.Header)
	}
	if n := iss.Requests(issuer.Discovery) + iss.Requests(issuer.JWKS); n != 2 {
		t.Fatalf("counted %d requests, want 2", n)
	}
}

func TestEveryAlgorithmSignsWhatItPublishes(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "ES384", "EdDSA", "RS256", "PS256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			iss, err := issuer.New(issuer.Options{URL: "https://issuer.example", Algorithm: alg})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := iss.Mint(issuer.Claims{"sub": "alice"}); err != nil {
				t.Fatal(err)
			}
			old := iss.Key()
			if _, err := iss.Rotate(); err != nil {
				t.Fatal(err)
			}
			if iss.Key().ID == old.ID || !iss.Remove(old.ID) || iss.Remove(old.ID) {
				t.Fatal("a rotation adds a key, a removal takes it away once")
			}
		})
	}
}

func get(t *testing.T, url string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
}

func ecKey(t *testing.T, jwk map[string]string) *ecdsa.PublicKey {
	t.Helper()
	point := []byte{4}
	for _, c := range []string{"x", "y"} {
		b, err := base64.RawURLEncoding.DecodeString(jwk[c])
		if err != nil {
			t.Fatal(err)
		}
		point = append(point, b...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
