// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func b64int(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

// ofBits is an odd number of exactly n bits without small factors.
func ofBits(t testing.TB, n uint) *big.Int {
	t.Helper()
	for {
		b, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), n-1))
		if err != nil {
			t.Fatal(err)
		}
		b.SetBit(b, int(n)-1, 1)
		b.SetBit(b, 0, 1)
		if !hasSmallFactor(b) {
			return b
		}
	}
}

func TestKeysThatAreNotUsed(t *testing.T) {
	t.Parallel()
	ec, rs, ed := keyFor(t, ES256).Public(), keyFor(t, RS256).Public(), keyFor(t, EdDSA).Public()
	es384 := keyFor(t, ES384).Public()
	n := func(v *big.Int) map[string]any { return map[string]any{"n": b64int(v)} }
	e := func(v int64) map[string]any { return map[string]any{"e": b64int(big.NewInt(v))} }
	point := func(size int, x, y *big.Int) map[string]any {
		enc := base64.RawURLEncoding.EncodeToString
		return map[string]any{"x": enc(x.FillBytes(make([]byte, size))), "y": enc(y.FillBytes(make([]byte, size)))}
	}
	params := elliptic.P256().Params()
	zero := new(big.Int)
	gx, gy := params.Gx, params.Gy
	enc := base64.RawURLEncoding.EncodeToString
	gxgy := append(gx.FillBytes(make([]byte, 32)), gy.FillBytes(make([]byte, 32))...)
	for name, tc := range map[string]struct {
		key    *PublicKey
		change map[string]any
		want   string
	}{
		"F109: a modulus of 512 bits":                {rs, n(ofBits(t, 512)), badModulus},
		"F109: a modulus of 1024 bits":               {rs, n(ofBits(t, 1024)), badModulus},
		"F109: a modulus of 2047 bits":               {rs, n(ofBits(t, 2047)), badModulus},
		"F109: a modulus of 8193 bits":               {rs, n(ofBits(t, 8193)), badModulus},
		"F109: a modulus of 16384 bits":              {rs, n(ofBits(t, 16384)), badEncoding},
		"F109: an even modulus":                      {rs, n(new(big.Int).Lsh(ofBits(t, 2047), 1)), badModulus},
		"F109: e = 1":                                {rs, e(1), badExponent},
		"F109: e = 0":                                {rs, map[string]any{"e": "AA"}, badExponent},
		"F109: e = 2":                                {rs, e(2), badExponent},
		"F109: e even":                               {rs, e(65538), badExponent},
		"F109: e of 2^31+1":                          {rs, e(1<<31 + 1), badExponent},
		"F109: e of 2^63+1":                          {rs, map[string]any{"e": b64int(new(big.Int).SetUint64(1<<63 + 1))}, badExponent},
		"F109: e of 256 bits":                        {rs, map[string]any{"e": b64int(ofBits(t, 256))}, badExponent},
		"F109: n missing":                            {rs, map[string]any{"n": nil}, badEncoding},
		"F109: n with padding":                       {rs, map[string]any{"n": "AQAB="}, badEncoding},
		"F110: a point off the curve":                {ec, point(32, gx, new(big.Int).Add(gy, big.NewInt(1))), badPoint},
		"F110: the point (0, 0)":                     {ec, point(32, zero, zero), badPoint},
		"F110: a coordinate above the field":         {ec, point(32, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)), gy), badPoint},
		"F110: x of 31 bytes":                        {ec, map[string]any{"x": base64.RawURLEncoding.EncodeToString(make([]byte, 31))}, badPoint},
		"F110: x and y of 33 bytes":                  {ec, point(33, gx, gy), badPoint},
		"F110: x of 33 bytes and y of 31":            {ec, map[string]any{"x": enc(gxgy[:33]), "y": enc(gxgy[33:])}, badPoint},
		"F110: a P-256 point called P-384":           {ec, map[string]any{"crv": "P-384", "alg": nil}, badPoint},
		"F110: x missing":                            {ec, map[string]any{"x": nil}, badEncoding},
		"F110: x a number":                           {ec, map[string]any{"x": 1}, badEncoding},
		"F110: a published private key, EC":          {ec, map[string]any{"d": "AAAA"}, privateKey},
		"F110: a published private key, OKP":         {ed, map[string]any{"d": "AAAA"}, privateKey},
		"F110: a published private key, RSA":         {rs, map[string]any{"d": "AAAA", "p": "AAAA", "q": "AAAA"}, privateKey},
		"F110: a published prime":                    {rs, map[string]any{"p": "AAAA"}, privateKey},
		"F110: a published CRT coefficient":          {rs, map[string]any{"qi": nil, "dp": "AAAA"}, privateKey},
		"F110: a private member null":                {ec, nil, privateKey}, // see below
		"F111: use enc":                              {ec, map[string]any{"use": "enc"}, otherUse},
		"F111: use in upper case":                    {ec, map[string]any{"use": "SIG"}, otherUse},
		"F111: use a list":                           {ec, map[string]any{"use": []string{"sig"}}, otherUse},
		"F111: key_ops sign":                         {ec, map[string]any{"key_ops": []string{"sign"}}, otherOps},
		"F111: key_ops encrypt":                      {ec, map[string]any{"key_ops": []string{"encrypt"}}, otherOps},
		"F111: key_ops verify and encrypt":           {ec, map[string]any{"key_ops": []string{"verify", "encrypt"}}, otherOps},
		"F111: key_ops empty":                        {ec, map[string]any{"key_ops": []string{}}, otherOps},
		"F111: key_ops a string":                     {ec, map[string]any{"key_ops": "verify"}, otherOps},
		"F111: use sig and key_ops encrypt":          {ec, map[string]any{"use": "sig", "key_ops": []string{"encrypt"}}, otherOps},
		"F111: use enc and key_ops verify":           {ec, map[string]any{"use": "enc", "key_ops": []string{"verify"}}, otherUse},
		"F112: a symmetric key":                      {ec, map[string]any{"kty": "oct", "k": "AAAA", "alg": "HS256"}, symmetricKey},
		"F112: an EC key with a symmetric member":    {ec, map[string]any{"k": "AAAA"}, privateKey},
		"F84: alg of another key type":               {ec, map[string]any{"alg": RS256}, wrongAlg},
		"F85: alg of another curve":                  {es384, map[string]any{"alg": ES256}, wrongAlg},
		"F85: P-521":                                 {ec, map[string]any{"crv": "P-521", "alg": "ES512"}, unknownCurve},
		"F85: secp256k1":                             {ec, map[string]any{"crv": "secp256k1"}, unknownCurve},
		"F85: Ed448":                                 {ed, map[string]any{"crv": "Ed448"}, unknownCurve},
		"F85: X25519":                                {ed, map[string]any{"crv": "X25519"}, unknownCurve},
		"alg for encryption":                         {rs, map[string]any{"alg": "RSA-OAEP"}, unknownAlg},
		"alg none":                                   {rs, map[string]any{"alg": "none"}, unknownAlg},
		"alg null":                                   {rs, nil, unknownAlg}, // see below
		"kty in lower case":                          {ec, map[string]any{"kty": "ec"}, unknownType},
		"kty missing":                                {ec, map[string]any{"kty": nil}, unknownType},
		"F89: kid missing":                           {ec, map[string]any{"kid": nil}, noKeyID},
		"F88: kid of 257 bytes":                      {ec, map[string]any{"kid": strings.Repeat("k", 257)}, noKeyID},
		"F88: kid a number":                          {ec, map[string]any{"kid": 7}, noKeyID},
		"F115: a small-order key":                    {ed, map[string]any{"x": base64.RawURLEncoding.EncodeToString(append([]byte{1}, make([]byte, 31)...))}, smallOrder},
		"an Ed25519 key of 31 bytes":                 {ed, map[string]any{"x": base64.RawURLEncoding.EncodeToString(make([]byte, 31))}, badPoint},
		"F319: a modulus divisible by 101":           {rs, n(new(big.Int).Mul(ofBits(t, 2042), big.NewInt(101))), weakModulus},
		"F319: a modulus with the ROCA fingerprint":  {rs, n(rocaModulus(t)), weakModulus},
		"F319: a modulus of two neighbouring primes": {rs, n(closePrimes(t)), weakModulus},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := jwk(t, tc.key, tc.change)
			switch name {
			case "F110: a private member null":
				bad["d"] = nil
			case "alg null":
				bad["alg"] = nil
			}
			good := jwk(t, keyFor(t, ES256).Public(), map[string]any{"kid": "good"})
			// F113: of three keys the bad one is left out and the others serve.
			set, warnings, err := ParseKeySet(jwks(t, good, bad, jwk(t, ed, map[string]any{"kid": "fine"})), KeySetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if want := []Warning{{1, tc.want}}; !slices.Equal(warnings, want) {
				t.Errorf("warnings %v, want %v", warnings, want)
			}
			if !slices.Equal(set.KeyIDs(), []string{"good", "fine"}) || set.Len() != 2 {
				t.Errorf("keys %v", set.KeyIDs())
			}
		})
	}
}

// rocaModulus is a power of 65537 modulo every small prime, as the moduli of
// CVE-2017-15361 are.
func rocaModulus(t testing.TB) *big.Int {
	t.Helper()
	m := big.NewInt(2)
	for _, p := range smallPrimes() {
		m.Mul(m, big.NewInt(p))
	}
	power := new(big.Int).Exp(big.NewInt(65537), big.NewInt(123456789), m)
	n := new(big.Int).Lsh(big.NewInt(1), 2047)
	n.Add(n, m)
	n.Sub(n, new(big.Int).Mod(n, m))
	return n.Add(n, power)
}

func closePrimes(t testing.TB) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	q := new(big.Int).Add(p, big.NewInt(2))
	for !q.ProbablyPrime(10) {
		q.Add(q, big.NewInt(2))
	}
	return p.Mul(p, q)
}

func TestSoundModuliAreNotWeak(t *testing.T) {
	t.Parallel()
	if n := keyFor(t, RS256).rsa.N; weakRSA(n) {
		t.Error("a fresh key is called weak")
	}
	// The fingerprint alone: a random number has it once in 10^8.
	for range 1000 {
		if looksLikeROCA(ofBits(t, 256)) {
			t.Fatal("a random number is taken for a ROCA modulus")
		}
	}
}

func TestKeysThatAreUsed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		alg    string
		change map[string]any
		want   string
	}{
		"an EC key without alg and use is for its curve's algorithm": {ES384, map[string]any{"alg": nil, "use": nil}, ES384},
		"an Ed25519 key without alg is for EdDSA":                    {EdDSA, map[string]any{"alg": nil}, EdDSA},
		"an RSA key without alg stays open":                          {RS256, map[string]any{"alg": nil}, ""},
		"an RSA key for PS256":                                       {PS256, nil, PS256},
		"key_ops verify":                                             {ES256, map[string]any{"key_ops": []string{"verify"}}, ES256},
		"key_ops sign and verify":                                    {ES256, map[string]any{"key_ops": []string{"sign", "verify"}}, ES256},
		"certificates and unknown members are ignored":               {RS256, map[string]any{"x5c": []string{"MIIB"}, "x5t": "a", "extra": map[string]any{"a": 1}}, RS256},
		"a modulus with a leading zero octet": {RS256, map[string]any{
			"n": base64.RawURLEncoding.EncodeToString(append([]byte{0}, keyFor(t, RS256).rsa.N.Bytes()...)),
		}, RS256},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			private := keyFor(t, tc.alg)
			set, warnings, err := ParseKeySet(jwks(t, jwk(t, private.Public(), tc.change)), KeySetOptions{})
			if err != nil || len(warnings) != 0 {
				t.Fatal(err, warnings)
			}
			key, ok := set.Key(private.KeyID())
			if !ok || key.Algorithm() != tc.want || key.KeyID() != private.KeyID() {
				t.Fatalf("key %v, algorithm %q", ok, key.Algorithm())
			}
			if _, err := verifyWith(forge(t, private, header(t, private, nil), claims), key); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestKeySetsThatAreRefused(t *testing.T) {
	t.Parallel()
	a := jwk(t, keyFor(t, ES256).Public(), nil)
	b := jwk(t, keyFor(t, EdDSA).Public(), map[string]any{"kid": a["kid"]})
	enc := maps.Clone(b)
	enc["use"] = "enc"
	var many []any
	for i := range DefaultKeySetKeys + 1 {
		many = append(many, jwk(t, keyFor(t, ES256).Public(), map[string]any{"kid": fmt.Sprint(i)}))
	}
	one, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		doc  []byte
		want Code
	}{
		"F90: two keys with one kid":                        {jwks(t, a, b), BadKeySet},
		"F113: one kid twice, though one is for encryption": {jwks(t, a, enc), BadKeySet},
		"F113: the same key twice":                          {jwks(t, a, a), BadKeySet},
		"51 keys":                                           {jwks(t, many...), TooLarge},
		"256 KiB and a byte":                                {bytes.Repeat([]byte(" "), DefaultKeySetBytes+1), TooLarge},
		"nothing":                                           {nil, BadKeySet},
		"a list":                                            {[]byte(`[]`), BadKeySet},
		"no keys":                                           {[]byte(`{}`), BadKeySet},
		"keys null":                                         {[]byte(`{"keys":null}`), BadKeySet},
		"keys an object":                                    {[]byte(`{"keys":{}}`), BadKeySet},
		"keys twice":                                        {[]byte(`{"keys":[],"keys":[]}`), BadKeySet},
		"a member of a key twice":                           {[]byte(`{"keys":[{"kty":"EC","kty":"RSA"}]}`), BadKeySet},
		"a single key":                                      {one, BadKeySet},
		"HTML":                                              {[]byte(`<!DOCTYPE html>`), BadKeySet},
		"deep nesting":                                      {[]byte(`{"keys":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`), BadKeySet},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, warnings, err := ParseKeySet(tc.doc, KeySetOptions{})
			wantCode(t, err, tc.want)
			if set != nil || warnings != nil {
				t.Error("a refusal brought keys")
			}
		})
	}
	t.Run("an entry that is no object is left out", func(t *testing.T) {
		t.Parallel()
		set, warnings, err := ParseKeySet(jwks(t, 1, a, "x"), KeySetOptions{})
		if err != nil || set.Len() != 1 || !slices.Equal(warnings, []Warning{{0, notObject}, {2, notObject}}) {
			t.Errorf("%v %v %v", set.KeyIDs(), warnings, err)
		}
	})
	t.Run("an empty set has no keys", func(t *testing.T) {
		t.Parallel()
		set, warnings, err := ParseKeySet([]byte(`{"keys":[]}`), KeySetOptions{})
		if err != nil || set.Len() != 0 || len(warnings) != 0 {
			t.Errorf("%v %v %v", set.KeyIDs(), warnings, err)
		}
		var none *KeySet
		if _, ok := none.Key("k"); ok || none.Len() != 0 || len(none.KeyIDs()) != 0 {
			t.Error("no set has keys")
		}
	})
	t.Run("NewKeySet refuses one kid twice", func(t *testing.T) {
		t.Parallel()
		key := keyFor(t, ES256).Public()
		_, err := NewKeySet(key, key)
		wantCode(t, err, BadKeySet)
	})
}

func TestAKidIsALookupAndNothingElse(t *testing.T) {
	t.Parallel()
	key := keyFor(t, ES256)
	set, _, err := ParseKeySet(jwks(t, jwk(t, key.Public(), map[string]any{"kid": "key-1"})), KeySetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, kid := range map[string]string{
		"F88: a path":                  "../../etc/passwd",
		"F88: SQL":                     "key-1' OR '1'='1",
		"F88: a URL":                   "https://evil.example/key-1",
		"F88: a NUL":                   "key-1\x00",
		"F88: a space":                 "key-1 ",
		"F88: another case":            "KEY-1",
		"F88: a Unicode look-alike":    "k\u0435y-1",
		"F88: another normal form":     "ke\u0301y-1",
		"F89: nothing, with one key":   "",
		"F89: the thumbprint instead":  key.KeyID(),
		"F88: 256 bytes of a wildcard": strings.Repeat("*", 256),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, ok := set.Key(kid); ok {
				t.Error("a key was found")
			}
		})
	}
}
