// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
)

const proofType = "dpop+jwt"

// publicJWK is the public key as a proof's header has it.
func publicJWK(t testing.TB, key *PrivateKey) map[string]any {
	t.Helper()
	b, err := gojose.JSONWebKey{Key: key.public.material()}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// proofHeader is a good header, with members added or, when nil, removed.
func proofHeader(t testing.TB, key *PrivateKey, change map[string]any) string {
	t.Helper()
	all := map[string]any{"jwk": publicJWK(t, key), "typ": proofType, "kid": nil}
	maps.Copy(all, change)
	return header(t, key, all)
}

func TestATokenThatBringsItsKeyIsVerifiedWithThatKey(t *testing.T) {
	t.Parallel()
	for _, alg := range Algorithms() {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			key := keyFor(t, alg)
			token, err := SignEmbedded(key, proofType, []byte(`{"jti":"x"}`))
			if err != nil {
				t.Fatal(err)
			}
			v, err := VerifyEmbedded(token, proofType, Algorithms())
			if err != nil || !v.Valid() {
				t.Fatalf("%v", err)
			}
			if v.KeyID != key.KeyID() || v.Claims["jti"] != "x" {
				t.Errorf("key %s, expected the thumbprint %s", v.KeyID, key.KeyID())
			}
		})
	}
}

func TestRFC9449sProofVerifies(t *testing.T) {
	t.Parallel()
	// RFC 9449, section 4.1, with the thumbprint of section 6.1.
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19" +
		".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ" +
		".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	v, err := VerifyEmbedded(proof, proofType, Algorithms())
	if err != nil {
		t.Fatal(err)
	}
	if v.KeyID != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" || v.Claims["htu"] != "https://server.example.com/token" {
		t.Errorf("found key %s and claims %v", v.KeyID, v.Claims)
	}
}

func TestATokenThatBringsItsKeyIsReadStrictly(t *testing.T) {
	t.Parallel()
	key, other := keyFor(t, ES256), keyFor(t, ES384)
	with := func(member string, v any) map[string]any {
		jwk := publicJWK(t, key)
		jwk[member] = v
		return map[string]any{"jwk": jwk}
	}
	for name, c := range map[string]struct {
		change map[string]any
		code   Code
	}{
		"no key at all":                         {map[string]any{"jwk": nil}, EmbeddedKey},
		"a key that is text":                    {map[string]any{"jwk": "key"}, EmbeddedKey},
		"a private key":                         {with("d", "AQAB"), EmbeddedKey},
		"a symmetric key":                       {map[string]any{"jwk": map[string]any{"kty": "oct", "k": "AAAA"}}, EmbeddedKey},
		"a symmetric key beside a public one":   {with("k", "AAAA"), EmbeddedKey},
		"a key for encryption":                  {with("use", "enc"), EmbeddedKey},
		"a point that is not on the curve":      {with("y", publicJWK(t, key)["x"]), EmbeddedKey},
		"another key":                           {map[string]any{"jwk": publicJWK(t, other)}, KeyUnsuitable},
		"alg none":                              {map[string]any{"alg": "none"}, BadAlgorithm},
		"alg HS256":                             {map[string]any{"alg": "HS256"}, BadAlgorithm},
		"the address of another key":            {map[string]any{"jku": "https://evil.example"}, EmbeddedKey},
		"a certificate":                         {map[string]any{"x5c": []any{"AAAA"}}, EmbeddedKey},
		"crit":                                  {map[string]any{"crit": []any{"b64"}}, BadCritical},
		"compression":                           {map[string]any{"zip": "DEF"}, BadHeader},
		"a member that differs in case only":    {map[string]any{"JWK": map[string]any{}}, BadHeader},
		"no typ":                                {map[string]any{"typ": nil}, BadType},
		"the typ of an access token":            {map[string]any{"typ": "at+jwt"}, BadType},
		"an alg that does not fit the key's":    {with("alg", "ES384"), EmbeddedKey},
		"a coordinate with a line break":        {with("x", "l8tFrhx\n"), EmbeddedKey},
		"an exponent that is even, of RSA":      {map[string]any{"jwk": map[string]any{"kty": "RSA", "n": "AQAB", "e": "AQAA"}}, EmbeddedKey},
		"a curve that nobody should use at all": {map[string]any{"jwk": map[string]any{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}}, EmbeddedKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := VerifyEmbedded(forge(t, key, proofHeader(t, key, c.change), claims), proofType, Algorithms())
			if codeOf(err) != c.code {
				t.Errorf("found %v, expected %v", err, c.code)
			}
		})
	}
	t.Run("a signature of somebody else", func(t *testing.T) {
		t.Parallel()
		stranger, err := GenerateKey(ES256)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := VerifyEmbedded(forge(t, stranger, proofHeader(t, key, nil), claims), proofType, Algorithms()); codeOf(err) != BadSignature {
			t.Errorf("found %v", err)
		}
	})
	t.Run("a payload that was changed", func(t *testing.T) {
		t.Parallel()
		parts := strings.Split(forge(t, key, proofHeader(t, key, nil), claims), ".")
		if _, err := VerifyEmbedded(parts[0]+"."+b64(`{"jti":"y"}`)+"."+parts[2], proofType, Algorithms()); codeOf(err) != BadSignature {
			t.Errorf("found %v", err)
		}
	})
	t.Run("an algorithm that is not allowed", func(t *testing.T) {
		t.Parallel()
		if _, err := VerifyEmbedded(forge(t, key, proofHeader(t, key, nil), claims), proofType, []string{EdDSA}); codeOf(err) != BadAlgorithm {
			t.Errorf("found %v", err)
		}
	})
	t.Run("a token above its bound", func(t *testing.T) {
		t.Parallel()
		long := `{"jti":"` + strings.Repeat("a", maxProofBytes) + `"}`
		if _, err := VerifyEmbedded(forge(t, key, proofHeader(t, key, nil), long), proofType, Algorithms()); codeOf(err) != TooLarge {
			t.Errorf("found %v", err)
		}
	})
	t.Run("a key above its bound", func(t *testing.T) {
		t.Parallel()
		jwk := map[string]any{"kty": "RSA", "e": "AQAB", "n": strings.Repeat("B", maxProofModulus+1)}
		_, err := VerifyEmbedded(forge(t, key, proofHeader(t, key, map[string]any{"jwk": jwk}), claims), proofType, Algorithms())
		if err == nil || !strings.Contains(err.Error(), "4096") {
			t.Errorf("found %v", err)
		}
	})
	t.Run("typ in its long form", func(t *testing.T) {
		t.Parallel()
		token := forge(t, key, proofHeader(t, key, map[string]any{"typ": "application/DPoP+JWT", "kid": "whatever"}), claims)
		v, err := VerifyEmbedded(token, proofType, Algorithms())
		if err != nil || v.KeyID != key.KeyID() {
			t.Errorf("found %v and key %q, expected the thumbprint whatever the kid", err, v.KeyID)
		}
	})
}

func FuzzVerifyEmbedded(f *testing.F) {
	key, err := GenerateKey(ES256)
	if err != nil {
		f.Fatal(err)
	}
	good, err := SignEmbedded(key, proofType, []byte(`{"jti":"x"}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		v, err := VerifyEmbedded(token, proofType, Algorithms())
		if (err == nil) != v.Valid() {
			t.Errorf("valid %v with error %v", v.Valid(), err)
		}
	})
}

func BenchmarkVerifyEmbedded(b *testing.B) {
	for _, alg := range []string{ES256, EdDSA, RS256} {
		b.Run(alg, func(b *testing.B) {
			token, err := SignEmbedded(keyFor(b, alg), proofType, []byte(`{"jti":"x"}`))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := VerifyEmbedded(token, proofType, Algorithms()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
