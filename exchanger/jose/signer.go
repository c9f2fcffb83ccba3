// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"unsafe"
)

// Signer signs payloads under one key and one `typ`. It is safe for concurrent
// use.
type Signer struct {
	secret
	key *PrivateKey
	typ string
	// header is the encoded header with its dot: it is the same for every
	// token, so it is made once.
	header string
	// signatureBytes is the length of a signature, for one exact allocation.
	signatureBytes int
}

// NewSigner prepares a signer whose tokens have the header members alg, kid and
// typ, and no others.
func NewSigner(k *PrivateKey, typ string) (*Signer, error) {
	if normalType(typ) == "" {
		return nil, refuse(BadType, "typ must be a media type")
	}
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      string `json:"typ"`
	}{k.Algorithm(), k.KeyID(), typ})
	if err != nil {
		return nil, refuse(BadHeader, "the header cannot be encoded")
	}
	s := &Signer{key: k, typ: typ, header: base64.RawURLEncoding.EncodeToString(header) + "."}
	switch k.Algorithm() {
	case ES384:
		s.signatureBytes = 96
	case RS256, PS256:
		s.signatureBytes = k.rsa.Size()
	default:
		s.signatureBytes = 64
	}
	return s, nil
}

// KeyID is the kid of the tokens that it signs.
func (s *Signer) KeyID() string { return s.key.KeyID() }

// Algorithm is the algorithm that it signs with.
func (s *Signer) Algorithm() string { return s.key.Algorithm() }

// Type is the typ of the tokens that it signs, as it was given.
func (s *Signer) Type() string { return s.typ }

// Header is the encoded header that all its tokens have, without the dot.
func (s *Signer) Header() string { return s.header[:len(s.header)-1] }

// Key is the key that it signs with; its public half verifies the tokens.
func (s *Signer) Key() *PrivateKey { return s.key }

// Sign returns payload as a compact JWS. The payload is signed as it is: whoever
// made it answers for its being claims.
func (s *Signer) Sign(payload []byte) (string, error) {
	enc := base64.RawURLEncoding
	signed := len(s.header) + enc.EncodedLen(len(payload))
	token := make([]byte, signed, signed+1+enc.EncodedLen(s.signatureBytes))
	copy(token, s.header)
	enc.Encode(token[len(s.header):], payload)
	signature, err := s.key.sign(token)
	if err != nil {
		return "", refuse(BadKey, "the key did not sign")
	}
	token = enc.AppendEncode(append(token, '.'), signature)
	// The bytes are nobody else's, so they can become the string as they are: a
	// kilobyte less to copy and to collect for every token.
	return unsafe.String(unsafe.SliceData(token), len(token)), nil //nolint:gosec // nothing else refers to the bytes
}

func (k *PrivateKey) sign(signed []byte) ([]byte, error) {
	switch k.Algorithm() {
	case ES256:
		digest := sha256.Sum256(signed)
		return signECDSA(k.ec, digest[:], 64)
	case ES384:
		digest := sha512.Sum384(signed)
		return signECDSA(k.ec, digest[:], 96)
	case EdDSA:
		return ed25519.Sign(k.ed(), signed), nil
	case RS256:
		digest := sha256.Sum256(signed)
		return rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, digest[:])
	}
	digest := sha256.Sum256(signed)
	opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	return rsa.SignPSS(rand.Reader, k.rsa, crypto.SHA256, digest[:], opts)
}

// signECDSA writes r and s in size/2 bytes each (RFC 7518, section 3.4).
func signECDSA(key *ecdsa.PrivateKey, digest []byte, size int) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		return nil, err
	}
	out := make([]byte, size)
	r.FillBytes(out[:size/2])
	s.FillBytes(out[size/2:])
	return out, nil
}
