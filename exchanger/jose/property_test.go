// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"pgregory.net/rapid"
)

// agrees reports whether a value that we decoded is what encoding/json (with
// UseNumber) decoded.
func agrees(ours, theirs any) bool {
	switch o := ours.(type) {
	case map[string]any:
		m, ok := theirs.(map[string]any)
		if !ok || len(m) != len(o) {
			return false
		}
		for name, v := range o {
			if other, ok := m[name]; !ok || !agrees(v, other) {
				return false
			}
		}
		return true
	case []any:
		a, ok := theirs.([]any)
		if !ok || len(a) != len(o) {
			return false
		}
		for i := range o {
			if !agrees(o[i], a[i]) {
				return false
			}
		}
		return true
	case int64:
		n, ok := theirs.(json.Number)
		i, err := n.Int64()
		return ok && err == nil && i == o
	case float64:
		n, ok := theirs.(json.Number)
		f, err := n.Float64()
		return ok && err == nil && f == o
	}
	return reflect.DeepEqual(ours, theirs)
}

func decodeTheirs(b []byte) (map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var m map[string]any
	err := d.Decode(&m)
	return m, err
}

var goJoseAlgorithms = []gojose.SignatureAlgorithm{gojose.RS256, gojose.PS256, gojose.ES256, gojose.ES384, gojose.EdDSA}

func drawValue(depth int) *rapid.Generator[any] {
	scalars := []*rapid.Generator[any]{
		rapid.String().AsAny(), rapid.Int64().AsAny(), rapid.Bool().AsAny(), rapid.Float64().AsAny(), rapid.Just[any](nil),
	}
	if depth > 0 {
		scalars = append(scalars,
			rapid.SliceOfN(drawValue(depth-1), 0, 3).AsAny(),
			rapid.MapOfN(rapid.String(), drawValue(depth-1), 0, 3).AsAny())
	}
	return rapid.OneOf(scalars...)
}

// registered claims that golang-jwt judges itself are left out.
func drawClaims(t *rapid.T) []byte {
	m := rapid.MapOfN(rapid.StringN(0, 12, 40), drawValue(2), 0, 6).Draw(t, "claims")
	for _, name := range []string{"exp", "nbf", "iat", "iss", "sub", "aud"} {
		delete(m, name)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryReaderReadsTheSame(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{ES256, ES384, EdDSA, RS256, PS256} {
		t.Run("F116: what we sign verifies by go-jose, golang-jwt and us with equal claims, "+alg, func(t *testing.T) {
			t.Parallel()
			key := keyFor(t, alg)
			signer, err := NewSigner(key, "at+jwt")
			if err != nil {
				t.Fatal(err)
			}
			strict := jwt.NewParser(jwt.WithValidMethods([]string{alg}), jwt.WithStrictDecoding(), jwt.WithJSONNumber())
			rapid.Check(t, func(t *rapid.T) {
				payload := drawClaims(t)
				token, err := signer.Sign(payload)
				if err != nil {
					t.Fatal(err)
				}
				ours, err := verifyWith(token, key.Public(), alg)
				if err != nil {
					t.Fatal(err)
				}
				theirs, err := decodeTheirs(payload)
				if err != nil || !agrees(ours.Claims, theirs) {
					t.Fatalf("we read %v, was %s (%v)", ours.Claims, payload, err)
				}
				jws, err := gojose.ParseSignedCompact(token, goJoseAlgorithms)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := jws.Verify(key.public.material()); err != nil || string(got) != string(payload) {
					t.Fatalf("go-jose reads %q: %v", got, err)
				}
				if h := jws.Signatures[0].Protected; h.KeyID != key.KeyID() || h.Algorithm != alg || h.ExtraHeaders["typ"] != "at+jwt" {
					t.Fatalf("go-jose reads the header as %+v", h)
				}
				parsed, err := strict.Parse(token, func(*jwt.Token) (any, error) { return derefKey(key), nil })
				if err != nil || !parsed.Valid || !agrees(ours.Claims, map[string]any(parsed.Claims.(jwt.MapClaims))) {
					t.Fatalf("golang-jwt: %v", err)
				}
				// One bit anywhere.
				flipped := []byte(token)
				i := rapid.IntRange(0, len(flipped)-1).Draw(t, "byte")
				flipped[i] ^= 1 << rapid.IntRange(0, 6).Draw(t, "bit")
				if _, err := verifyWith(string(flipped), key.Public()); err == nil {
					t.Fatalf("a flipped bit in byte %d does not matter", i)
				}
			})
		})
	}
}

// derefKey is the public key in the form that golang-jwt takes.
func derefKey(k *PrivateKey) any {
	if k.ed != nil {
		return k.public.ed
	}
	return k.public.material()
}

func TestWhatGoJoseSignsIsAccepted(t *testing.T) {
	t.Parallel()
	for _, alg := range goJoseAlgorithms {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			key := keyFor(t, string(alg))
			signer, err := gojose.NewSigner(gojose.SigningKey{
				Algorithm: alg, Key: gojose.JSONWebKey{Key: key.material(), KeyID: key.KeyID()},
			}, (&gojose.SignerOptions{}).WithType("JWT"))
			if err != nil {
				t.Fatal(err)
			}
			jws, err := signer.Sign([]byte(claims))
			if err != nil {
				t.Fatal(err)
			}
			token, err := jws.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			if v, err := verifyWith(token, key.Public()); err != nil || v.Claims["sub"] != "jane" {
				t.Errorf("%v %v", v.Claims, err)
			}
		})
	}
}

func FuzzDecodeStrict(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00",null,true,{"b":{}}]}`, benchClaims, `{"a":1,"\u0061":2}`, `{"a":"\ud800"}`,
		`{"a":1e400}`, `{"a":9223372036854775808}`, "\ufeff{}", `{"a":-0}`, `{"a":"\/\b\f"}`, `[`, `{"a":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}`,
	} {
		f.Add([]byte(s), 16)
	}
	f.Fuzz(func(t *testing.T, b []byte, depth int) {
		ours, err := DecodeStrict(b, depth)
		if err != nil {
			if ours != nil || codeOf(err) != BadJSON {
				t.Fatalf("%v %v", ours, err)
			}
			return
		}
		if !json.Valid(b) {
			t.Fatalf("accepted, and no JSON: %q", b)
		}
		theirs, err := decodeTheirs(b)
		if err != nil || !agrees(ours, theirs) {
			t.Fatalf("we read %v, encoding/json %v (%v) in %q", ours, theirs, err, b)
		}
	})
}

func FuzzParseCompact(f *testing.F) {
	for _, alg := range []string{ES256, EdDSA} {
		key := keyFor(f, alg)
		f.Add(forge(f, key, header(f, key, nil), claims))
		f.Add(forge(f, key, header(f, key, map[string]any{"nonce": "n", "x5t": "t"}), benchClaims))
	}
	for _, h := range headerSeeds() {
		f.Add(b64(h) + "." + b64(claims) + ".AAAA")
	}
	f.Add("....")
	f.Add(`{"payload":"e30","protected":"e30","signature":""}`)
	f.Fuzz(func(t *testing.T, token string) { checkCompact(t, token) })
}

// FuzzParseSegments spares the fuzzer the base64.
func FuzzParseSegments(f *testing.F) {
	for _, h := range headerSeeds() {
		f.Add(h, claims)
		f.Add(h, benchClaims)
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		checkCompact(t, b64(header)+"."+b64(payload)+".AAAA")
	})
}

func headerSeeds() []string {
	return []string{
		`{"alg":"ES256","kid":"k"}`, `{"alg":"ES256","kid":"k","typ":"application/at+jwt"}`, `{"alg":"none"}`, `{"alg":"ES256","kid":"k","crit":["x"]}`,
		`{"alg":"RS256","kid":"k","jwk":{}}`, `{"alg":"EdDSA","kid":"k","iv":"AA","tag":"AA","p2c":1,"epk":{}}`, `{"alg":"ES256","kid":"k","nonce":1}`,
	}
}

// fataler is what *testing.T and *rapid.T have in common here.
type fataler interface {
	Fatalf(format string, args ...any)
}

// checkCompact holds for any token whatever. It reports whether it is accepted.
func checkCompact(t fataler, token string) bool {
	c, err := Parse(token, Limits{})
	if err != nil {
		if c != nil || codeOf(err) == 0 {
			t.Fatalf("%v %v", c, err)
		}
		return false
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > DefaultTokenBytes {
		t.Fatalf("%d segments, %d bytes", len(parts), len(token))
	}
	// F118: the segments have one encoding only.
	for _, part := range parts {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || base64.RawURLEncoding.EncodeToString(raw) != part {
			t.Fatalf("segment %q is not the encoding of what it decodes to", part)
		}
	}
	// F117: go-jose accepts it and reads the same.
	jws, err := gojose.ParseSignedCompact(token, goJoseAlgorithms)
	if err != nil {
		t.Fatalf("we accept what go-jose refuses: %v in %q", err, token)
	}
	theirs, err := decodeTheirs(jws.UnsafePayloadWithoutVerification())
	if err != nil || !agrees(c.UnverifiedClaims(), theirs) {
		t.Fatalf("we read %v, go-jose %v (%v)", c.UnverifiedClaims(), theirs, err)
	}
	if h := jws.Signatures[0].Protected; h.Algorithm != c.Alg() || h.KeyID != c.KeyID() {
		t.Fatalf("we read alg %q and kid %q, go-jose %q and %q", c.Alg(), c.KeyID(), h.Algorithm, h.KeyID)
	}
	return true
}

func TestWhatWeAcceptGoJoseAccepts(t *testing.T) {
	t.Parallel()
	t.Run("F117: random headers and payloads, some broken, read the same or are refused", func(t *testing.T) {
		t.Parallel()
		accepted := 0
		names := []string{"alg", "kid", "typ", "x", "nonce", "x5t", "iv", "tag", "epk", "p2c", "apu", "crit", "jwk", "cty", "Alg"}
		rapid.Check(t, func(t *rapid.T) {
			h := rapid.MapOfN(rapid.SampledFrom(names), drawValue(1), 0, 2).Draw(t, "header")
			h["alg"] = rapid.SampledFrom([]any{ES256, RS256, EdDSA, ES384, PS256, ES256, ES256, "none", "HS256", nil}).Draw(t, "alg")
			h["kid"] = rapid.SampledFrom([]any{"k", "kid-1", "k", "", 1}).Draw(t, "kid")
			header, err := json.Marshal(h)
			if err != nil {
				t.Fatal(err)
			}
			parts := [][]byte{header, drawClaims(t)}
			// Now and then a byte is changed, doubled or lost.
			if part := rapid.IntRange(0, 5).Draw(t, "broken part"); part < 2 {
				b := parts[part]
				i := rapid.IntRange(0, len(b)-1).Draw(t, "where")
				with := rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "with")
				parts[part] = append(append(append([]byte(nil), b[:i]...), with...), b[i+1:]...)
			}
			if checkCompact(t, b64(string(parts[0]))+"."+b64(string(parts[1]))+".AAAA") {
				accepted++
			}
		})
		if accepted == 0 {
			t.Error("nothing was accepted: the property is empty")
		}
	})
}

func FuzzKeySet(f *testing.F) {
	for _, alg := range []string{ES256, ES384, EdDSA} {
		key := keyFor(f, alg)
		f.Add(jwks(f, jwk(f, key.Public(), nil)))
		f.Add(jwks(f, jwk(f, key.Public(), map[string]any{"d": "AAAA", "use": "enc"}), jwk(f, key.Public(), map[string]any{"kid": "k", "alg": nil})))
	}
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"},{"kty":"oct","k":"AAAA","kid":"o"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		set, warnings, err := ParseKeySet(b, KeySetOptions{})
		if err != nil {
			if set != nil || codeOf(err) == 0 {
				t.Fatalf("%v %v", set, err)
			}
			return
		}
		if set.Len()+len(warnings) > DefaultKeySetKeys {
			t.Fatalf("%d keys and %d warnings", set.Len(), len(warnings))
		}
		// What we publish of it, we accept again, without a warning, and go-jose
		// accepts it with valid public keys only.
		again, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		same, warnings, err := ParseKeySet(again, KeySetOptions{})
		if err != nil || len(warnings) != 0 || !reflect.DeepEqual(same.KeyIDs(), set.KeyIDs()) {
			t.Fatalf("%s does not read back: %v %v", again, warnings, err)
		}
		var theirs gojose.JSONWebKeySet
		if err := json.Unmarshal(again, &theirs); err != nil || len(theirs.Keys) != set.Len() {
			t.Fatalf("go-jose reads %d keys of %s: %v", len(theirs.Keys), again, err)
		}
		for _, key := range theirs.Keys {
			if !key.Valid() || !key.IsPublic() || key.Use != "sig" {
				t.Fatalf("%s has a key that is not valid and public", again)
			}
		}
	})
}
