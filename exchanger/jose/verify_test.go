// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
)

func TestTheHeaderDoesNotChooseTheAlgorithm(t *testing.T) {
	t.Parallel()
	// relabelled carries another alg than the one it was signed with, or is
	// verified with another key than its own, under the same kid.
	type tokenAndKey struct {
		token   string
		key     *PublicKey
		allowed []string
		want    Code
	}
	sign := func(k *PrivateKey) string { return forge(t, k, header(t, k, nil), claims) }
	open := func(k *PrivateKey) *PublicKey {
		public := *k.Public()
		public.algorithm = ""
		return &public
	}
	renamed := func(k *PublicKey, kid string) *PublicKey {
		public := *k
		public.keyID = kid
		return &public
	}
	rs, ps := keyFor(t, RS256), keyFor(t, PS256)
	es256, es384, ed := keyFor(t, ES256), keyFor(t, ES384), keyFor(t, EdDSA)
	asAlg := func(k *PrivateKey, alg string) string {
		return forge(t, k, header(t, k, map[string]any{"alg": alg}), claims)
	}
	for name, tc := range map[string]tokenAndKey{
		"F84: an RS256 token and a key for PS256":       {sign(rs), renamed(ps.Public(), rs.KeyID()), Algorithms(), KeyUnsuitable},
		"F84: a PS256 token and a key for RS256":        {sign(ps), renamed(rs.Public(), ps.KeyID()), Algorithms(), KeyUnsuitable},
		"F84: an RS256 token relabelled PS256":          {asAlg(rs, PS256), rs.Public(), Algorithms(), KeyUnsuitable},
		"F84: an RS256 signature under alg PS256":       {asAlg(rs, PS256), open(rs), Algorithms(), BadSignature},
		"F84: a PS256 signature under alg RS256":        {asAlg(ps, RS256), open(ps), Algorithms(), BadSignature},
		"F84: an algorithm that the issuer may not use": {sign(es256), es256.Public(), []string{RS256, PS256}, BadAlgorithm},
		"F120: an empty list allows nothing":            {sign(es256), es256.Public(), []string{}, BadAlgorithm},
		"F120: no list allows nothing":                  {sign(es256), es256.Public(), nil, BadAlgorithm},
		"F85: ES256 and a P-384 key":                    {asAlg(es384, ES256), es384.Public(), Algorithms(), KeyUnsuitable},
		"F85: ES384 and a P-256 key":                    {asAlg(es256, ES384), es256.Public(), Algorithms(), KeyUnsuitable},
		"F85: EdDSA and a P-256 key":                    {asAlg(es256, EdDSA), es256.Public(), Algorithms(), KeyUnsuitable},
		"F85: ES256 and an Ed25519 key":                 {asAlg(ed, ES256), ed.Public(), Algorithms(), KeyUnsuitable},
		"F85: RS256 and a P-256 key":                    {asAlg(es256, RS256), es256.Public(), Algorithms(), KeyUnsuitable},
		"F85: ES256 and an RSA key":                     {asAlg(rs, ES256), open(rs), Algorithms(), KeyUnsuitable},
		"F90: a key of another kid":                     {sign(es256), renamed(es256.Public(), "other"), Algorithms(), KeyUnknown},
		"F90: no key":                                   {sign(es256), nil, Algorithms(), KeyUnknown},
		"another key under the same kid":                {sign(es256), renamed(keyOf(t, ES256), es256.KeyID()), Algorithms(), BadSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse(tc.token, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			v, err := c.Verify(tc.key, tc.allowed)
			wantCode(t, err, tc.want)
			if v.Valid() || v.Claims != nil {
				t.Error("a refusal brought facts")
			}
		})
	}
	t.Run("an RSA key that names no algorithm verifies both", func(t *testing.T) {
		t.Parallel()
		for _, k := range []*PrivateKey{rs, ps} {
			if _, err := verifyWith(sign(k), open(k)); err != nil {
				t.Error(err)
			}
		}
	})
}

func keyOf(t *testing.T, alg string) *PublicKey {
	t.Helper()
	k, err := GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k.Public()
}

func TestPublicKeysAreNoSecrets(t *testing.T) {
	t.Parallel()
	for name, alg := range map[string]string{
		"F82: a public RSA key as HMAC secret": RS256,
		"F83: a public EC key as HMAC secret":  ES256,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := keyFor(t, alg)
			der, err := x509.MarshalPKIXPublicKey(key.public.material())
			if err != nil {
				t.Fatal(err)
			}
			signed := b64(header(t, key, map[string]any{"alg": "HS256"})) + "." + b64(claims)
			mac := hmac.New(sha256.New, der)
			mac.Write([]byte(signed))
			token := signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
			_, err = verifyWith(token, key.Public(), append(Algorithms(), "HS256")...)
			wantCode(t, err, BadAlgorithm)
		})
	}
}

func TestECDSASignaturesHaveOneForm(t *testing.T) {
	t.Parallel()
	key := keyFor(t, ES256)
	signed := b64(header(t, key, nil)) + "." + b64(claims)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key.ec, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	n := elliptic.P256().Params().N
	pair := func(r, s *big.Int, size int) []byte {
		out := make([]byte, 2*size)
		r.FillBytes(out[:size])
		s.FillBytes(out[size:])
		return out
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	zero, one := new(big.Int), big.NewInt(1)
	good := pair(r, s, 32)
	for name, signature := range map[string][]byte{
		"F107: r = 0":          pair(zero, s, 32),
		"F107: s = 0":          pair(r, zero, 32),
		"F107: r = s = 0":      pair(zero, zero, 32),
		"F107: r = n":          pair(n, s, 32),
		"F107: s = n":          pair(r, n, 32),
		"F107: r = s = 1":      pair(one, one, 32),
		"F107: s + n":          pair(r, new(big.Int).Mod(new(big.Int).Add(s, n), new(big.Int).Lsh(one, 256)), 32),
		"F107: DER":            der,
		"F107: 63 bytes":       good[:63],
		"F107: 65 bytes":       append(append([]byte(nil), good...), 0),
		"F107: zero before s":  append(append(append([]byte(nil), good[:32]...), 0), good[32:]...),
		"F107: 96 bytes":       pair(r, s, 48),
		"F107: all zero bytes": make([]byte, 64),
		"one byte":             {0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := verifyWith(signed+"."+base64.RawURLEncoding.EncodeToString(signature), key.Public())
			wantCode(t, err, BadSignature)
		})
	}
	t.Run("F107: (r, n-s) is another signature of the same token", func(t *testing.T) {
		t.Parallel()
		other := pair(r, new(big.Int).Sub(n, s), 32)
		for _, signature := range [][]byte{good, other} {
			if _, err := verifyWith(signed+"."+base64.RawURLEncoding.EncodeToString(signature), key.Public()); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("r and s with leading zero octets verify", func(t *testing.T) {
		t.Parallel()
		// One signature in 128 has one; 2000 hold some, for sure enough.
		short := 0
		for range 2000 {
			signature, err := key.sign([]byte(signed))
			if err != nil {
				t.Fatal(err)
			}
			if signature[0] != 0 && signature[32] != 0 {
				continue
			}
			short++
			if !key.public.verify(ES256, signed, signature) {
				t.Fatal("a short r or s does not verify")
			}
		}
		if short == 0 {
			t.Error("no signature was short")
		}
	})
}

func TestRSASignaturesHaveOneForm(t *testing.T) {
	t.Parallel()
	key := keyFor(t, PS256)
	signedBy := func(alg string) (string, []byte) {
		signed := b64(header(t, key, map[string]any{"alg": alg})) + "." + b64(claims)
		digest := sha256.Sum256([]byte(signed))
		return signed, digest[:]
	}
	public := *key.Public()
	public.algorithm = ""
	check := func(t *testing.T, signed string, signature []byte) {
		t.Helper()
		_, err := verifyWith(signed+"."+base64.RawURLEncoding.EncodeToString(signature), &public)
		wantCode(t, err, BadSignature)
	}
	for _, salt := range []int{0, 1, 20, 31, 33, 48, 64, 300} {
		t.Run("F108: PSS with another salt length", func(t *testing.T) {
			t.Parallel()
			signed, digest := signedBy(PS256)
			signature, err := rsa.SignPSS(rand.Reader, key.rsa, crypto.SHA256, digest, &rsa.PSSOptions{SaltLength: salt})
			if err != nil {
				t.Fatal(err)
			}
			check(t, signed, signature)
		})
	}
	// raw is what the private key makes of an encoded message.
	raw := func(em []byte) []byte {
		m := new(big.Int).SetBytes(em)
		return m.Exp(m, key.rsa.D, key.rsa.N).FillBytes(make([]byte, key.rsa.Size()))
	}
	// encoded is EMSA-PKCS1-v1_5 with everything open to change.
	encoded := func(prefix []byte, pad byte, length int, tail ...byte) []byte {
		_, digest := signedBy(RS256)
		t := append(append(append([]byte{0}, prefix...), digest...), tail...)
		em := append([]byte{0, 1}, make([]byte, length)...)
		for i := range length {
			em[2+i] = pad
		}
		return append(em, t...)
	}
	sha256Info := []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}
	noNull := []byte{0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20}
	full := key.rsa.Size() - 3 - len(sha256Info) - 32
	signed, _ := signedBy(RS256)
	if !public.verify(RS256, signed, raw(encoded(sha256Info, 0xff, full))) {
		t.Fatal("the hand-made padding is wrong")
	}
	for name, em := range map[string][]byte{
		"F108: PKCS #1 padded with zeros":               encoded(sha256Info, 0, full),
		"F108: PKCS #1 with short padding and garbage":  encoded(sha256Info, 0xff, 8, make([]byte, full-8)...),
		"F108: PKCS #1 with one byte of garbage":        encoded(sha256Info, 0xff, full-1, 0),
		"F108: PKCS #1 without NULL parameters":         encoded(noNull, 0xff, full+2),
		"F108: PKCS #1 without a digest algorithm":      encoded(nil, 0xff, full+len(sha256Info)),
		"F108: PKCS #1 of block type 2":                 append([]byte{0, 2}, encoded(sha256Info, 0xff, full)[2:]...),
		"F108: PKCS #1 with another digest's algorithm": encoded(append(append([]byte(nil), sha256Info[:14]...), 0x02, 0x05, 0x00, 0x04, 0x20), 0xff, full),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, signed, raw(em))
		})
	}
	t.Run("F121: a SHA-1 signature under alg RS256", func(t *testing.T) {
		t.Parallel()
		digest := sha1.Sum([]byte(signed))
		signature, err := rsa.SignPKCS1v15(nil, key.rsa, crypto.SHA1, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		check(t, signed, signature)
	})
	t.Run("a signature of the wrong length", func(t *testing.T) {
		t.Parallel()
		good := raw(encoded(sha256Info, 0xff, full))
		check(t, signed, append([]byte{0}, good...))
		check(t, signed, good[1:])
	})
}

func TestEdDSASignaturesHaveOneForm(t *testing.T) {
	t.Parallel()
	key := keyFor(t, EdDSA)
	good := forge(t, key, header(t, key, nil), claims)
	t.Run("F115: S + L is refused", func(t *testing.T) {
		t.Parallel()
		cut := strings.LastIndexByte(good, '.')
		signature, err := base64.RawURLEncoding.DecodeString(good[cut+1:])
		if err != nil {
			t.Fatal(err)
		}
		// L = 2^252 + 27742317777372353535851937790883648493, little endian in S.
		l, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
		l.Add(l, new(big.Int).Lsh(big.NewInt(1), 252))
		s := make([]byte, 32)
		for i := range s {
			s[i] = signature[63-i]
		}
		new(big.Int).Add(new(big.Int).SetBytes(s), l).FillBytes(s)
		for i := range s {
			signature[63-i] = s[i]
		}
		_, err = verifyWith(good[:cut+1]+base64.RawURLEncoding.EncodeToString(signature), key.Public())
		wantCode(t, err, BadSignature)
	})
	t.Run("F115: small-order keys would verify forgeries, and the list names no other", func(t *testing.T) {
		t.Parallel()
		for _, y := range []string{
			"0000000000000000000000000000000000000000000000000000000000000000",
			"0100000000000000000000000000000000000000000000000000000000000000",
			"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
			"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
			"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		} {
			for _, sign := range []byte{0, 0x80} {
				x := unhex(t, y)
				x[31] |= sign
				if !hasSmallOrder(x) {
					t.Errorf("%x is not found", x)
				}
				// R is the neutral element and S is 0: it verifies whenever the
				// hash is a multiple of the key's order, one message in eight.
				forged := append([]byte{1}, make([]byte, 63)...)
				hits := 0
				for i := range 400 {
					if ed25519.Verify(x, []byte{byte(i), byte(i >> 8)}, forged) {
						hits++
					}
				}
				// With the sign bit set, y = ±1 is no point at all.
				if hits == 0 && sign == 0 {
					t.Errorf("%x verified no forgery: it does not belong on the list", x)
				}
			}
		}
		if hasSmallOrder(key.public.ed) {
			t.Error("a sound key is on the list")
		}
	})
}

func TestASingleFlippedBitIsRefused(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{ES256, EdDSA} {
		t.Run("F116: "+alg, func(t *testing.T) {
			t.Parallel()
			key := keyFor(t, alg)
			token := forge(t, key, header(t, key, nil), claims)
			for i := range len(token) {
				for bit := range 7 {
					flipped := []byte(token)
					flipped[i] ^= 1 << bit
					if _, err := verifyWith(string(flipped), key.Public()); err == nil {
						t.Fatalf("bit %d of byte %d does not matter", bit, i)
					}
				}
			}
		})
	}
}
