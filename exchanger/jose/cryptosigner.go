// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/rsa"
	"io"
)

// CryptoSigner signs with the key what is no JWS: certificates, and XML signatures,
// which nobody can take for the `header.payload` that a JWS signs. It reports false
// for keys that these do not know. RSA signatures are those of PKCS #1.
func (k *PrivateKey) CryptoSigner() (crypto.Signer, bool) {
	return &cryptoSigner{key: k}, k.ec != nil || k.rsa != nil
}

// cryptoSigner keeps the key out of reach, and of print, of whoever signs with it.
type cryptoSigner struct {
	secret
	key *PrivateKey
}

// Public is the key's public half.
func (s *cryptoSigner) Public() crypto.PublicKey {
	if s.key.ec != nil {
		return &s.key.ec.PublicKey
	}
	return &s.key.rsa.PublicKey
}

// Sign signs a digest. With a nil rand the signature is the same every time.
func (s *cryptoSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.key.ec != nil {
		return s.key.ec.Sign(rand, digest, opts)
	}
	return rsa.SignPKCS1v15(rand, s.key.rsa, opts.HashFunc(), digest)
}
