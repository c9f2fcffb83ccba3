// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"time"
)

// Key is one signing key of an issuer.
type Key struct {
	// ID is the `kid`.
	ID string
	// Algorithm is the `alg`.
	Algorithm string

	private crypto.Signer
}

// Claims are the claims of a token, any JSON.
type Claims map[string]any

// NewKey generates a key for ES256, ES384, EdDSA, RS256 or PS256.
func NewKey(id, algorithm string) (*Key, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "RS256", "PS256":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		return nil, fmt.Errorf("algorithm %q: expected ES256, ES384, EdDSA, RS256 or PS256", algorithm)
	}
	if err != nil {
		return nil, fmt.Errorf("generate %s key: %w", algorithm, err)
	}
	return &Key{ID: id, Algorithm: algorithm, private: private}, nil
}

// JWK is the public half as a JSON Web Key.
func (k *Key) JWK() map[string]string {
	jwk := map[string]string{"kid": k.ID, "alg": k.Algorithm, "use": "sig"}
	switch pub := k.private.Public().(type) {
	case *ecdsa.PublicKey:
		size := (pub.Curve.Params().BitSize + 7) / 8
		point, err := pub.Bytes() // 0x04 || x || y
		if err != nil {
			panic(err) // a generated key is on its curve
		}
		jwk["kty"], jwk["crv"] = "EC", pub.Curve.Params().Name
		jwk["x"], jwk["y"] = b64(point[1:1+size]), b64(point[1+size:])
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", b64(pub)
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"] = "RSA", b64(pub.N.Bytes())
		jwk["e"] = b64(big.NewInt(int64(pub.E)).Bytes())
	}
	return jwk
}

// Sign returns the compact JWS of a header and a payload, byte for byte; the
// header is not checked, so it may lie about the algorithm.
func (k *Key) Sign(header, payload []byte) (string, error) {
	input := b64(header) + "." + b64(payload)
	sig, err := k.signature([]byte(input))
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", k.Algorithm, err)
	}
	return input + "." + b64(sig), nil
}

func (k *Key) signature(input []byte) ([]byte, error) {
	switch private := k.private.(type) {
	case *ecdsa.PrivateKey:
		digest := digest256(input)
		if k.Algorithm == "ES384" {
			d := sha512.Sum384(input)
			digest = d[:]
		}
		r, s, err := ecdsa.Sign(rand.Reader, private, digest)
		if err != nil {
			return nil, err
		}
		size := (private.Curve.Params().BitSize + 7) / 8
		sig := make([]byte, 2*size)
		r.FillBytes(sig[:size])
		s.FillBytes(sig[size:])
		return sig, nil
	case *rsa.PrivateKey:
		if k.Algorithm == "PS256" {
			return rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest256(input), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest256(input))
	default:
		return k.private.Sign(rand.Reader, input, crypto.Hash(0))
	}
}

func digest256(b []byte) []byte {
	d := sha256.Sum256(b)
	return d[:]
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Rotate publishes a new key beside the others and signs with it from now on.
func (i *Issuer) Rotate() (*Key, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.serial++
	k, err := NewKey(fmt.Sprintf("key-%d", i.serial), i.opts.Algorithm)
	if err != nil {
		return nil, err
	}
	i.keys = append(i.keys, k)
	return k, nil
}

// Remove stops publishing a key, as after a compromise; it reports whether the
// key was there. Tokens can still be signed with it (MintWith).
func (i *Issuer) Remove(kid string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n, k := range i.keys {
		if k.ID == kid {
			i.keys = append(i.keys[:n:n], i.keys[n+1:]...)
			return true
		}
	}
	return false
}

// Replace puts a new key under the ID of a published one, which no issuer
// should do, and returns the new one; nil when the ID is not published.
func (i *Issuer) Replace(kid string) (*Key, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n, k := range i.keys {
		if k.ID == kid {
			fresh, err := NewKey(kid, k.Algorithm)
			if err != nil {
				return nil, err
			}
			i.keys[n] = fresh
			return fresh, nil
		}
	}
	return nil, fmt.Errorf("key %q is not published", kid)
}

// Key is the key that signs now, nil when all were removed.
func (i *Issuer) Key() *Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.keys) == 0 {
		return nil
	}
	return i.keys[len(i.keys)-1]
}

// Mint signs claims with the current key. iss, iat and exp (five minutes) are
// set when absent; a nil value leaves one out.
func (i *Issuer) Mint(claims Claims) (string, error) {
	return i.MintWith(i.Key(), nil, claims)
}

// MintWith signs with a key of the caller's choice and lets header members be
// set (typ, kid, crit, …); a nil value leaves one out. The default header is
// alg, kid and typ JWT.
func (i *Issuer) MintWith(k *Key, header map[string]any, claims Claims) (string, error) {
	if k == nil {
		return "", fmt.Errorf("issuer %s has no key to sign with", i.url)
	}
	now := i.opts.Now()
	h := overlay(map[string]any{"alg": k.Algorithm, "kid": k.ID, "typ": "JWT"}, header)
	c := overlay(map[string]any{"iss": i.url, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}, claims)
	hb, err := json.Marshal(h)
	if err != nil {
		return "", fmt.Errorf("marshal header: %w", err)
	}
	cb, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("marshal claims: %w", err)
	}
	return k.Sign(hb, cb)
}

func overlay(base, over map[string]any) map[string]any {
	maps.Copy(base, over)
	for k, v := range over {
		if v == nil {
			delete(base, k)
		}
	}
	return base
}
