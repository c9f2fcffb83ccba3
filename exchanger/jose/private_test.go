// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

func TestPrivateKeysSurvivePEM(t *testing.T) {
	t.Parallel()
	for _, alg := range Algorithms() {
		t.Run("F310: the kid is the RFC 7638 thumbprint, before and after, "+alg, func(t *testing.T) {
			t.Parallel()
			key := keyFor(t, alg)
			text, err := key.MarshalPEM()
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParsePrivateKeyPEM(text, alg)
			if err != nil {
				t.Fatal(err)
			}
			if again.KeyID() != key.KeyID() || again.Algorithm() != alg || again.Public().Algorithm() != alg {
				t.Errorf("%s %s", again.KeyID(), again.Algorithm())
			}
			thumbprint, err := (&gojose.JSONWebKey{Key: key.public.material()}).Thumbprint(crypto.SHA256)
			if err != nil || key.KeyID() != base64.RawURLEncoding.EncodeToString(thumbprint) {
				t.Errorf("kid %s: %v", key.KeyID(), err)
			}
			if _, err := verifyWith(forge(t, again, header(t, again, nil), claims), key.Public()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("F310: two generated keys have two kids", func(t *testing.T) {
		t.Parallel()
		one, other := keyOf(t, ES256), keyOf(t, ES256)
		if one.KeyID() == other.KeyID() {
			t.Error("one kid for two keys")
		}
	})
}

func TestPrivateKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good, err := keyFor(t, ES256).MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(keyFor(t, ES256).ec)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		pem []byte
		alg string
	}{
		"nothing":                     {nil, ES256},
		"garbage":                     {[]byte("garbage"), ES256},
		"a certificate":               {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), ES256},
		"SEC 1":                       {pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}), ES256},
		"a block of garbage":          {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), ES256},
		"two keys":                    {append(append([]byte(nil), good...), good...), ES256},
		"P-521":                       {pkcs8(p521), "ES512"},
		"an RSA key of 1024 bits":     {pkcs8(short), RS256},
		"an EC key for RS256":         {good, RS256},
		"a P-256 key for ES384":       {good, ES384},
		"a key for no algorithm":      {good, ""},
		"an RSA key for no algorithm": {pkcs8(keyFor(t, RS256).rsa), ""},
		"an RSA key for RS512":        {pkcs8(keyFor(t, RS256).rsa), "RS512"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParsePrivateKeyPEM(tc.pem, tc.alg)
			wantCode(t, err, BadKey)
		})
	}
	for _, alg := range []string{"", "HS256", "none", "RS512", "es256"} {
		_, err := GenerateKey(alg)
		wantCode(t, err, BadAlgorithm)
	}
	for _, typ := range []string{"", " ", "a b", "ä", "application/"} {
		_, err := NewSigner(keyFor(t, ES256), typ)
		wantCode(t, err, BadType)
	}
}

func TestSignersSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	key := keyFor(t, ES256)
	s, err := NewSigner(key, "at+jwt")
	if err != nil {
		t.Fatal(err)
	}
	if s.KeyID() != key.KeyID() || s.Algorithm() != ES256 || s.Type() != "at+jwt" || s.Key() != key {
		t.Error(s.KeyID(), s.Algorithm(), s.Type())
	}
	other, err := s.As("txntoken+jwt")
	if err != nil {
		t.Fatal(err)
	}
	token, err := other.Sign([]byte(`{"iss":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse(token, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parsed.Verify(key.Public(), []string{ES256}); err != nil || parsed.Type() != "txntoken+jwt" || s.Type() != "at+jwt" || other.Key() != key {
		t.Error(err, parsed.Type(), s.Type())
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{ES256, EdDSA, RS256} {
		t.Run("F320: "+alg, func(t *testing.T) {
			t.Parallel()
			key := keyFor(t, alg)
			signer, err := NewSigner(key, "at+jwt")
			if err != nil {
				t.Fatal(err)
			}
			seal, seals := sealKey(t, "k")
			type holder struct {
				Key    PrivateKey
				Ptr    *PrivateKey
				Signer Signer
				Seal   SealKey
				Seals  *SealKeys
				hidden PrivateKey
				seal   SealKey
			}
			held := holder{*key, key, *signer, *seal, seals, *key, *seal}
			var out strings.Builder
			for _, v := range []any{key, *key, signer, *signer, seal, *seal, seals, *seals, held, &held, []any{*key, seal}, map[string]*PrivateKey{"k": key}} {
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
					fmt.Fprintf(&out, verb+"\n", v)
				}
				fmt.Fprintln(&out, v)
				for _, encode := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal, yamlv3.Marshal} {
					b, err := encode(v)
					if err != nil {
						t.Fatal(err)
					}
					out.Write(b)
				}
				slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", v)
				slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", v)
			}
			fmt.Fprintln(&out, fmt.Errorf("wrapped: %v", key))
			got := out.String()
			if !strings.Contains(got, "[redacted]") {
				t.Fatal("nothing was printed")
			}
			for what, raw := range map[string][]byte{"private key": secretBytes(t, key), "sealing key": seal.Bytes()} {
				for form, text := range map[string]string{
					"bytes": string(raw), "hexadecimal": hex.EncodeToString(raw), "HEXADECIMAL": strings.ToUpper(hex.EncodeToString(raw)),
					"base64url": base64.RawURLEncoding.EncodeToString(raw), "base64": base64.RawStdEncoding.EncodeToString(raw),
					"decimals": strings.Trim(fmt.Sprintf("%d", raw[:8]), "[]"), "Go": strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", raw[:8]), "[]byte{"), "}"),
				} {
					if strings.Contains(got, text) {
						t.Errorf("the %s is printed in %s", what, form)
					}
				}
			}
			if key.rsa != nil && strings.Contains(got, key.rsa.D.String()) {
				t.Error("the RSA exponent is printed")
			}
		})
	}
}

func secretBytes(t *testing.T, key *PrivateKey) []byte {
	t.Helper()
	switch {
	case key.ec != nil:
		b, err := key.ec.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return b
	case key.rsa != nil:
		return key.rsa.D.Bytes()
	}
	return key.ed().Seed()
}

func TestPublishedKeysHaveNoPrivateMembers(t *testing.T) {
	t.Parallel()
	for _, alg := range Algorithms() {
		t.Run("F314: "+alg, func(t *testing.T) {
			t.Parallel()
			key := keyFor(t, alg)
			set, err := NewKeySet(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(set)
			if err != nil {
				t.Fatal(err)
			}
			var doc struct{ Keys []map[string]any }
			if err := json.Unmarshal(b, &doc); err != nil {
				t.Fatal(err)
			}
			want := map[string][]string{
				ES256: {"kty", "crv", "x", "y"}, ES384: {"kty", "crv", "x", "y"}, EdDSA: {"kty", "crv", "x"},
				RS256: {"kty", "n", "e"}, PS256: {"kty", "n", "e"},
			}[alg]
			want = append(want, "kid", "alg", "use")
			if len(doc.Keys) != 1 || len(doc.Keys[0]) != len(want) {
				t.Fatalf("%s", b)
			}
			for _, name := range want {
				if s, ok := doc.Keys[0][name].(string); !ok || s == "" {
					t.Errorf("no %s in %s", name, b)
				}
			}
			if doc.Keys[0]["use"] != "sig" || doc.Keys[0]["alg"] != alg || doc.Keys[0]["kid"] != key.KeyID() {
				t.Errorf("%s", b)
			}
			if bytes.Contains(b, []byte(base64.RawURLEncoding.EncodeToString(secretBytes(t, key)))) {
				t.Error("the secret is published")
			}
		})
	}
	t.Run("an empty set is an empty list", func(t *testing.T) {
		t.Parallel()
		empty, err := NewKeySet()
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range []*KeySet{empty, nil} {
			if b, err := set.MarshalJSON(); err != nil || string(b) != `{"keys":[]}` {
				t.Errorf("%s %v", b, err)
			}
		}
	})
}

func TestErrorsAreConstantText(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for c := Code(1); c < endOfCodes; c++ {
		name := c.String()
		if name == "" || name == "Unknown" || seen[name] {
			t.Errorf("code %d is called %q", c, name)
		}
		seen[name] = true
	}
	for _, c := range []Code{0, endOfCodes, 255} {
		if c.String() != "Unknown" {
			t.Errorf("code %d is called %q", c, c.String())
		}
	}
	key := keyFor(t, ES256)
	const marker = "marker-of-a-stranger"
	for _, token := range []string{
		marker, marker + "." + marker + "." + marker,
		forge(t, key, `{"alg":"`+marker+`","kid":"k"}`, claims),
		forge(t, key, header(t, key, map[string]any{"kid": marker}), claims),
		forge(t, key, header(t, key, nil), `{"`+marker+`":1,"`+marker+`":2}`),
	} {
		if _, err := verifyWith(token, key.Public()); err == nil || strings.Contains(err.Error(), marker) {
			t.Errorf("%v", err)
		}
	}
}
