// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
)

// benchClaims is an access token's payload of ordinary size.
const benchClaims = `{"iss":"https://login.example.com/realms/shop","sub":"248289761001","aud":["https://api.example.com","orders"],` +
	`"client_id":"frontend","azp":"frontend","exp":1893456000,"iat":1893452400,"nbf":1893452400,` +
	`"jti":"3f6c1d1b2a4e4c0f9b7a5d3e1f2a4b6c","scope":"images contacts orders:read","email":"jane@example.com",` +
	`"email_verified":true,"groups":["staff","eng","on-call"],"act":{"iss":"https://login.example.com","sub":"batch"}}`

func benchKey(b *testing.B, alg string) (*PrivateKey, *Signer, string) {
	b.Helper()
	key, err := GenerateKey(alg)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := NewSigner(key, "at+jwt")
	if err != nil {
		b.Fatal(err)
	}
	token, err := signer.Sign([]byte(benchClaims))
	if err != nil {
		b.Fatal(err)
	}
	return key, signer, token
}

// BenchmarkVerify compares what a token costs here, with go-jose, and in the
// curve arithmetic and hash alone (the floor).
func BenchmarkVerify(b *testing.B) {
	key, _, token := benchKey(b, ES256)
	b.Run("parse and verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c, err := Parse(token, Limits{})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := c.Verify(key.Public(), []string{ES256}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parse alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(token, Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go-jose parse, verify and unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			jws, err := gojose.ParseSignedCompact(token, []gojose.SignatureAlgorithm{gojose.ES256})
			if err != nil {
				b.Fatal(err)
			}
			payload, err := jws.Verify(&key.ec.PublicKey)
			if err != nil {
				b.Fatal(err)
			}
			var claims map[string]any
			if err := json.Unmarshal(payload, &claims); err != nil {
				b.Fatal(err)
			}
		}
	})
	signed := token[:strings.LastIndexByte(token, '.')]
	digest := sha256.Sum256([]byte(signed))
	der, err := ecdsa.SignASN1(rand.Reader, key.ec, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			digest := sha256.Sum256([]byte(signed))
			if !ecdsa.VerifyASN1(&key.ec.PublicKey, digest[:], der) {
				b.Fatal("refused")
			}
		}
	})
}

// BenchmarkSign compares signing here, with go-jose, and the floor.
func BenchmarkSign(b *testing.B) {
	key, signer, token := benchKey(b, ES256)
	b.Run("sign", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := signer.Sign([]byte(benchClaims)); err != nil {
				b.Fatal(err)
			}
		}
	})
	theirs, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.ES256, Key: gojose.JSONWebKey{Key: key.ec, KeyID: key.KeyID()}},
		(&gojose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("go-jose sign", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			jws, err := theirs.Sign([]byte(benchClaims))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := jws.CompactSerialize(); err != nil {
				b.Fatal(err)
			}
		}
	})
	signed := token[:strings.LastIndexByte(token, '.')]
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			digest := sha256.Sum256([]byte(signed))
			if _, err := ecdsa.SignASN1(rand.Reader, key.ec, digest[:]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSeal compares sealing and opening a claim with go-jose.
func BenchmarkSeal(b *testing.B) {
	key, err := GenerateSealKey("k1")
	if err != nil {
		b.Fatal(err)
	}
	keys, err := NewSealKeys(key)
	if err != nil {
		b.Fatal(err)
	}
	sealed, err := key.Seal([]byte(benchClaims))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := key.Seal([]byte(benchClaims)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := keys.Open(sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
	theirs, err := gojose.NewEncrypter(gojose.A256GCM, gojose.Recipient{Algorithm: gojose.DIRECT, Key: key.Bytes(), KeyID: "k1"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("go-jose seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			jwe, err := theirs.Encrypt([]byte(benchClaims))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := jwe.CompactSerialize(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go-jose open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			jwe, err := gojose.ParseEncryptedCompact(sealed, []gojose.KeyAlgorithm{gojose.DIRECT}, []gojose.ContentEncryption{gojose.A256GCM})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := jwe.Decrypt(key.Bytes()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
