// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
)

// PrivateKey is a signing key. Its kid is the RFC 7638 thumbprint of its public
// half, so it is never fixed, never guessed by counting, and the same key under
// two names shows. Printing or encoding one yields "[redacted]".
type PrivateKey struct {
	secret
	public PublicKey

	// Exactly one of these is set. Package fmt calls no methods of unexported
	// fields and prints a slice or a pointer to one, even inside another struct;
	// the secret numbers of ec and rsa are behind further pointers, those of ed
	// behind a function.
	ec  *ecdsa.PrivateKey
	rsa *rsa.PrivateKey
	ed  func() ed25519.PrivateKey
}

// rsaBits is what NIST SP 800-57 asks beyond 2030; generated once a month, the
// time it takes does not matter.
const rsaBits = 3072

// GenerateKey makes a new key for one of the known algorithms.
func GenerateKey(alg string) (*PrivateKey, error) {
	var material any
	var err error
	switch alg {
	case ES256:
		material, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ES384:
		material, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case EdDSA:
		_, material, err = ed25519.GenerateKey(rand.Reader)
	case RS256, PS256:
		material, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		return nil, refuse(BadAlgorithm, "the key algorithm is not one of ES256, ES384, EdDSA, RS256, PS256")
	}
	if err != nil {
		return nil, refuse(BadKey, "the key could not be generated")
	}
	return newPrivateKey(material, alg)
}

// ParsePrivateKeyPEM reads one PKCS #8 private key for alg and nothing after
// it. PKCS #8 does not tell RS256 from PS256, so alg is always given; it must
// fit the key.
func ParsePrivateKeyPEM(b []byte, alg string) (*PrivateKey, error) {
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, refuse(BadKey, `a PEM block "PRIVATE KEY" (PKCS #8) is expected`)
	}
	if len(rest) != 0 {
		return nil, refuse(BadKey, "there is something after the PEM block")
	}
	material, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, refuse(BadKey, "the PEM block does not hold a PKCS #8 private key")
	}
	return newPrivateKey(material, alg)
}

func newPrivateKey(material any, alg string) (*PrivateKey, error) {
	k := &PrivateKey{}
	switch m := material.(type) {
	case *ecdsa.PrivateKey:
		k.ec, k.public.ec = m, &m.PublicKey
		switch m.Curve {
		case elliptic.P256():
			k.public.algorithm = ES256
		case elliptic.P384():
			k.public.algorithm = ES384
		default:
			return nil, refuse(BadKey, unknownCurve)
		}
	case ed25519.PrivateKey:
		public, _ := m.Public().(ed25519.PublicKey)
		k.ed, k.public.ed = func() ed25519.PrivateKey { return m }, public
		k.public.algorithm = EdDSA
	case *rsa.PrivateKey:
		if why := checkRSA(m.N, big.NewInt(int64(m.E))); why != "" {
			return nil, refuse(BadKey, why)
		}
		k.rsa, k.public.rsa = m, &m.PublicKey
	default:
		return nil, refuse(BadKey, unknownType)
	}
	if !k.public.fits(alg) {
		return nil, refuse(BadKey, wrongAlg)
	}
	k.public.algorithm = alg
	return k, k.public.name()
}

// MarshalPEM encodes the key as PKCS #8 in PEM. It is the one way out for the
// secret, for storing it.
func (k *PrivateKey) MarshalPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.material())
	if err != nil {
		return nil, refuse(BadKey, "the key cannot be encoded")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func (k *PrivateKey) material() any {
	switch {
	case k.ec != nil:
		return k.ec
	case k.rsa != nil:
		return k.rsa
	}
	return k.ed()
}

// Public is the half that verifies.
func (k *PrivateKey) Public() *PublicKey { return &k.public }

// KeyID is the key's RFC 7638 thumbprint (SHA-256, base64url).
func (k *PrivateKey) KeyID() string { return k.public.keyID }

// Algorithm is the one algorithm that the key signs with.
func (k *PrivateKey) Algorithm() string { return k.public.algorithm }
