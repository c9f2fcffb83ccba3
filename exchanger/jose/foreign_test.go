// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
)

// forms are a key in every form in which people have it.
func forms(t *testing.T, k *PrivateKey) map[string]string {
	t.Helper()
	text := func(kind string, der []byte, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k.material())
	out := map[string]string{"PKCS #8": text("PRIVATE KEY", pkcs8, err)}
	switch m := k.material().(type) {
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(m)
		out["SEC 1"] = text("EC PRIVATE KEY", der, err)
		out["SEC 1 after the curve"] = text("EC PARAMETERS", []byte{6, 0}, nil) + out["SEC 1"]
	case *rsa.PrivateKey:
		out["PKCS #1"] = text("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(m), nil)
	}
	jwk, err := gojose.JSONWebKey{Key: k.material(), KeyID: "another name", Use: "sig"}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	out["JWK"] = string(jwk)
	out["JWK with white space"] = "\n" + string(jwk) + "\n"
	return out
}

func TestPrivateKeysInTheFormsThatPeopleHave(t *testing.T) {
	t.Parallel()
	for _, algorithm := range Algorithms() {
		k, err := GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range forms(t, k) {
			t.Run(algorithm+" as "+name, func(t *testing.T) {
				t.Parallel()
				got, err := ParsePrivateKey([]byte(text), algorithm)
				if err != nil {
					t.Fatal(err)
				}
				if got.KeyID() != k.KeyID() || got.Algorithm() != algorithm {
					t.Errorf("kid %s, alg %s", got.KeyID(), got.Algorithm())
				}
				der, err := got.Public().MarshalDER()
				if err != nil {
					t.Fatal(err)
				}
				public, err := ParsePublicKeyDER(der, algorithm)
				if err != nil || public.KeyID() != k.KeyID() {
					t.Errorf("its public half: %v", err)
				}
				signer, err := NewSigner(got, "at+jwt")
				if err != nil {
					t.Fatal(err)
				}
				token, err := signer.Sign([]byte(`{"sub":"x"}`))
				if err != nil {
					t.Fatal(err)
				}
				parsed, err := Parse(token, Limits{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := parsed.Verify(public, []string{algorithm}); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestPrivateKeysOfOthersThatAreRefused(t *testing.T) {
	t.Parallel()
	key := func(algorithm string) *PrivateKey {
		k, err := GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	es, other, ed, rs := key(ES256), key(ES256), key(EdDSA), key(RS256)
	jwk := func(k *PrivateKey, change func(m map[string]any)) string {
		var m map[string]any
		if err := json.Unmarshal([]byte(forms(t, k)["JWK"]), &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	member := func(k *PrivateKey, name string) any {
		var m map[string]any
		_ = json.Unmarshal([]byte(forms(t, k)["JWK"]), &m)
		return m[name]
	}
	foreign := key(EdDSA).material().(ed25519.PrivateKey).Seed()
	for name, tc := range map[string]struct{ text, algorithm, want string }{
		"nothing":                               {"", ES256, "neither"},
		"a curve's private half under another":  {jwk(es, func(m map[string]any) { m["d"] = member(other, "d") }), ES256, "half"},
		"an Edwards private half under another": {jwk(ed, func(m map[string]any) { m["d"] = b64(string(foreign)) }), EdDSA, ""},
		"an RSA exponent under another modulus": {jwk(rs, func(m map[string]any) { m["d"] = member(key(RS256), "d") }), RS256, ""},
		"a public JWK":                          {jwk(es, func(m map[string]any) { delete(m, "d") }), ES256, "not a private key"},
		"a shared secret":                       {`{"kty":"oct","k":"AAAA"}`, ES256, "not a private key"},
		"a JWK with a member twice":             {`{"kty":"EC","kty":"EC"}`, ES256, "twice"},
		"a JWK that says another algorithm":     {jwk(es, func(m map[string]any) { m["alg"] = ES384 }), ES256, "alg does not fit"},
		"an algorithm that does not fit":        {forms(t, es)["JWK"], EdDSA, "alg does not fit"},
		"a certificate":                         {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ES256, "not one of"},
		"PKCS #8 under the name of SEC 1":       {strings.ReplaceAll(forms(t, es)["PKCS #8"], "PRIVATE KEY", "EC PRIVATE KEY"), ES256, "does not hold"},
		"a header of old encryption":            {"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n", ES256, "encrypted"},
		"17 KiB":                                {strings.Repeat("x", 17<<10), ES256, "16 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParsePrivateKey([]byte(tc.text), tc.algorithm)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if d, _ := member(es, "d").(string); err != nil && strings.Contains(err.Error(), d) {
				t.Error("the error quotes the key")
			}
		})
	}
}
