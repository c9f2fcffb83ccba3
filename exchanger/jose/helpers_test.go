// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"testing"
)

// testKeys are made once: RSA keys take long.
var testKeys sync.Map // algorithm → func() *PrivateKey

func keyFor(t testing.TB, alg string) *PrivateKey {
	t.Helper()
	once, _ := testKeys.LoadOrStore(alg, sync.OnceValues(func() (*PrivateKey, error) { return GenerateKey(alg) }))
	key, err := once.(func() (*PrivateKey, error))()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// forge signs any header and payload, so that nothing but the tested fault is
// wrong with the token.
func forge(t testing.TB, key *PrivateKey, header, payload string) string {
	t.Helper()
	return forgeRaw(t, key, b64(header)+"."+b64(payload))
}

func forgeRaw(t testing.TB, key *PrivateKey, signed string) string {
	t.Helper()
	signature, err := key.sign([]byte(signed))
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// header is a good header for key, with members added or, when nil, removed.
func header(t testing.TB, key *PrivateKey, change map[string]any) string {
	t.Helper()
	members := map[string]any{"alg": key.Algorithm(), "kid": key.KeyID(), "typ": "JWT"}
	maps.Copy(members, change)
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const claims = `{"iss":"https://issuer.example","sub":"jane","exp":1893456000}`

// verifyWith is the whole way of a token: parse, then verify with key.
func verifyWith(token string, key *PublicKey, allowed ...string) (Verified, error) {
	c, err := Parse(token, Limits{})
	if err != nil {
		return Verified{}, err
	}
	if len(allowed) == 0 {
		allowed = Algorithms()
	}
	return c.Verify(key, allowed)
}

func codeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// wantCode fails unless err is a refusal with the code.
func wantCode(t testing.TB, err error, want Code) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted, want %s", want)
	}
	if got := codeOf(err); got != want {
		t.Fatalf("refused with %v, want %s", err, want)
	}
}

// jwk is key's public JWK with members changed or, when nil, removed.
func jwk(t testing.TB, key *PublicKey, change map[string]any) map[string]any {
	t.Helper()
	b, err := key.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	maps.Copy(m, change)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

func jwks(t testing.TB, keys ...any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
