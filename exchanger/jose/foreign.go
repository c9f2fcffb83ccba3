// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"

	gojose "github.com/go-jose/go-jose/v4"
)

// Keys that were made elsewhere, in the forms in which people have them.

// maxForeignBytes holds an RSA key of 8192 bits in any form, 6.4 KiB, twice.
const maxForeignBytes = 16 << 10

// ParsePrivateKey reads one private key for alg: PEM with PKCS #8, SEC 1 or
// PKCS #1, or a JWK. Nothing may follow it. A key that fits the algorithm and is
// known to be weak is refused like one in a key set.
func ParsePrivateKey(b []byte, alg string) (*PrivateKey, error) {
	if len(b) > maxForeignBytes {
		return nil, refuse(TooLarge, "a private key has at most 16 KiB")
	}
	if text := bytes.TrimSpace(b); len(text) > 0 && text[0] == '{' {
		return parsePrivateJWK(text, alg)
	}
	block, rest := pem.Decode(b)
	// openssl ecparam -genkey writes the curve before the key.
	if block != nil && block.Type == "EC PARAMETERS" {
		block, rest = pem.Decode(rest)
	}
	switch {
	case block == nil:
		return nil, refuse(BadKey, "neither a PEM block nor a JWK was found")
	case len(bytes.TrimSpace(rest)) != 0:
		return nil, refuse(BadKey, "there is something after the PEM block")
	case len(block.Headers) != 0 || block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, refuse(BadKey, "the key is encrypted: store it as it is, the Secret protects it")
	}
	var material any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		material, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		material, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		material, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, refuse(BadKey, `the PEM block is not one of PRIVATE KEY, EC PRIVATE KEY, RSA PRIVATE KEY`)
	}
	if err != nil {
		return nil, refuse(BadKey, "the PEM block does not hold the private key that its name says")
	}
	return newPrivateKey(material, alg)
}

// parsePrivateJWK reads a JWK with a private half. Its kid, use and the like are
// not looked at: the key is known by its thumbprint here.
func parsePrivateJWK(b []byte, alg string) (*PrivateKey, error) {
	members, why := decodeObject(string(b), 3)
	if why != "" {
		return nil, refuse(BadKey, why)
	}
	if own, present := members["alg"]; present && own != any(alg) {
		return nil, refuse(BadKey, wrongAlg)
	}
	// Only the key itself is handed on: certificates beside it are not our business.
	bare := map[string]any{}
	for _, m := range [...]string{"kty", "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi"} {
		if v, present := members[m]; present {
			bare[m] = v
		}
	}
	var jwk gojose.JSONWebKey
	text, err := json.Marshal(bare)
	if err != nil || jwk.UnmarshalJSON(text) != nil {
		return nil, refuse(BadKey, "the JWK is not a private key")
	}
	switch m := jwk.Key.(type) {
	case *ecdsa.PrivateKey:
		// go-jose takes the public half as it stands; it must be the private one's.
		return parsePrivateEC(m, alg)
	case ed25519.PrivateKey:
		if !bytes.Equal(ed25519.NewKeyFromSeed(m.Seed()), m) {
			return nil, refuse(BadKey, halvesDiffer)
		}
		return newPrivateKey(m, alg)
	case *rsa.PrivateKey:
		if m.Validate() != nil {
			return nil, refuse(BadKey, halvesDiffer)
		}
		m.Precompute()
		return newPrivateKey(m, alg)
	}
	return nil, refuse(BadKey, "the JWK is not a private key")
}

const halvesDiffer = "the private and the public half are not of one key"

func parsePrivateEC(m *ecdsa.PrivateKey, alg string) (*PrivateKey, error) {
	if m.Curve != elliptic.P256() && m.Curve != elliptic.P384() {
		return nil, refuse(BadKey, unknownCurve)
	}
	secret, err := m.Bytes()
	if err != nil {
		return nil, refuse(BadKey, "the JWK is not a private key")
	}
	again, err := ecdsa.ParseRawPrivateKey(m.Curve, secret)
	if err != nil || !again.PublicKey.Equal(&m.PublicKey) {
		return nil, refuse(BadKey, halvesDiffer)
	}
	return newPrivateKey(again, alg)
}

// ParsePublicKeyDER reads a public key for alg in the form that certificates have
// it in (SubjectPublicKeyInfo). Its kid is its RFC 7638 thumbprint.
func ParsePublicKeyDER(der []byte, alg string) (*PublicKey, error) {
	if len(der) > maxForeignBytes {
		return nil, refuse(TooLarge, "a public key has at most 16 KiB")
	}
	material, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, refuse(BadKey, "a SubjectPublicKeyInfo is expected")
	}
	k := &PublicKey{}
	switch m := material.(type) {
	case *ecdsa.PublicKey:
		k.ec = m
		switch m.Curve {
		case elliptic.P256():
			k.algorithm = ES256
		case elliptic.P384():
			k.algorithm = ES384
		default:
			return nil, refuse(BadKey, unknownCurve)
		}
	case ed25519.PublicKey:
		if hasSmallOrder(m) {
			return nil, refuse(BadKey, smallOrder)
		}
		k.ed, k.algorithm = m, EdDSA
	case *rsa.PublicKey:
		if why := checkRSA(m.N, big.NewInt(int64(m.E))); why != "" {
			return nil, refuse(BadKey, why)
		}
		k.rsa = m
	default:
		return nil, refuse(BadKey, unknownType)
	}
	if !k.fits(alg) {
		return nil, refuse(BadKey, wrongAlg)
	}
	k.algorithm = alg
	return k, k.name()
}

// MarshalDER encodes the key as ParsePublicKeyDER reads it.
func (k *PublicKey) MarshalDER() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.material())
	if err != nil {
		return nil, refuse(BadKey, "the key cannot be encoded")
	}
	return der, nil
}

// name gives the key its thumbprint for a kid.
func (k *PublicKey) name() error {
	jwk := gojose.JSONWebKey{Key: k.material()}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return refuse(BadKey, "the key has no thumbprint")
	}
	k.keyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	return nil
}
