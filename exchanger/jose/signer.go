// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"unsafe"
)

// Remote signs with a key that is kept elsewhere.
type Remote interface {
	// Sign returns the signature of the two encoded segments, joined by a dot, in
	// the form of RFC 7518, section 3.
	Sign(ctx context.Context, header, payload string) ([]byte, error)
	// Distrust is called when a signature did not verify.
	Distrust()
}

// Signer signs payloads under one key and one `typ`, with a key that is here or
// one that is kept elsewhere. It is safe for concurrent use.
type Signer struct {
	secret
	public *PublicKey
	// Exactly one of these is set.
	key    *PrivateKey
	remote Remote

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
	s, err := newSigner(k.Public(), typ)
	if err == nil {
		s.key = k
	}
	return s, err
}

// NewRemoteSigner prepares a signer like NewSigner's whose key is kept elsewhere;
// public is its public half. What comes back is not verified here: whoever
// releases a token verifies it, and calls Distrust when it does not.
func NewRemoteSigner(public *PublicKey, typ string, remote Remote) (*Signer, error) {
	s, err := newSigner(public, typ)
	if err == nil {
		s.remote = remote
	}
	return s, err
}

func newSigner(public *PublicKey, typ string) (*Signer, error) {
	if normalType(typ) == "" {
		return nil, refuse(BadType, "typ must be a media type")
	}
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      string `json:"typ"`
	}{public.Algorithm(), public.KeyID(), typ})
	if err != nil {
		return nil, refuse(BadHeader, "the header cannot be encoded")
	}
	s := &Signer{public: public, typ: typ, header: base64.RawURLEncoding.EncodeToString(header) + "."}
	switch public.Algorithm() {
	case ES384:
		s.signatureBytes = 96
	case RS256, PS256:
		s.signatureBytes = public.rsa.Size()
	default:
		s.signatureBytes = 64
	}
	return s, nil
}

// As is the same key under another typ: for tokens that must not be taken for one
// another (RFC 8725, section 3.11).
func (s *Signer) As(typ string) (*Signer, error) {
	other, err := newSigner(s.public, typ)
	if err == nil {
		other.key, other.remote = s.key, s.remote
	}
	return other, err
}

// KeyID is the kid of the tokens that it signs.
func (s *Signer) KeyID() string { return s.public.KeyID() }

// Algorithm is the algorithm that it signs with.
func (s *Signer) Algorithm() string { return s.public.Algorithm() }

// Type is the typ of the tokens that it signs, as it was given.
func (s *Signer) Type() string { return s.typ }

// Header is the encoded header that all its tokens have, without the dot.
func (s *Signer) Header() string { return s.header[:len(s.header)-1] }

// Public is the key that verifies what it signs.
func (s *Signer) Public() *PublicKey { return s.public }

// Key is the key that it signs with; nil when it is kept elsewhere.
func (s *Signer) Key() *PrivateKey { return s.key }

// Remote says that the key is kept elsewhere, so that every signature is to be
// verified.
func (s *Signer) Remote() bool { return s.remote != nil }

// Distrust says that a signature did not verify. Who keeps the key is not asked
// again for a while; for a key that is here it does nothing.
func (s *Signer) Distrust() {
	if s.remote != nil {
		s.remote.Distrust()
	}
}

// Sign is SignContext for a key that is here, for which nobody has to wait.
func (s *Signer) Sign(payload []byte) (string, error) {
	return s.SignContext(context.Background(), payload)
}

// SignContext returns payload as a compact JWS. The payload is signed as it is:
// whoever made it answers for its being claims. The context bounds the wait for a
// key that is kept elsewhere.
func (s *Signer) SignContext(ctx context.Context, payload []byte) (string, error) {
	enc := base64.RawURLEncoding
	signed := len(s.header) + enc.EncodedLen(len(payload))
	token := make([]byte, signed, signed+1+enc.EncodedLen(s.signatureBytes))
	copy(token, s.header)
	enc.Encode(token[len(s.header):], payload)
	signature, err := s.signature(ctx, token)
	if err != nil {
		return "", err
	}
	token = enc.AppendEncode(append(token, '.'), signature)
	// The bytes are nobody else's, so they can become the string as they are: a
	// kilobyte less to copy and to collect for every token.
	return unsafe.String(unsafe.SliceData(token), len(token)), nil //nolint:gosec // nothing else refers to the bytes
}

func (s *Signer) signature(ctx context.Context, signed []byte) ([]byte, error) {
	if s.remote == nil {
		signature, err := s.key.sign(signed)
		if err != nil {
			return nil, refuse(BadKey, "the key did not sign")
		}
		return signature, nil
	}
	signature, err := s.remote.Sign(ctx, s.Header(), string(signed[len(s.header):]))
	if err != nil {
		return nil, err
	}
	if len(signature) != s.signatureBytes {
		s.remote.Distrust()
		return nil, refuse(BadSignature, "the signature does not have the length of its algorithm")
	}
	return signature, nil
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
	// ecdsa.Sign would make big.Ints of the same DER.
	der, err := ecdsa.SignASN1(rand.Reader, key, digest)
	if err != nil {
		return nil, err
	}
	out := make([]byte, size)
	// SEQUENCE and one length byte, as in verifyECDSA.
	if len(der) < 2 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return nil, errNotDER
	}
	rest, ok := takeInteger(out[:size/2], der[2:])
	rest, ok2 := takeInteger(out[size/2:], rest)
	if !ok || !ok2 || len(rest) != 0 {
		return nil, errNotDER
	}
	return out, nil
}

var errNotDER = errors.New("the signature is not the DER that was expected")

// takeInteger reads a DER INTEGER into all of out, zeros in front.
func takeInteger(out, der []byte) (rest []byte, ok bool) {
	const integer = 0x02
	if len(der) < 2 || der[0] != integer || len(der) < 2+int(der[1]) {
		return nil, false
	}
	n, rest := der[2:2+int(der[1])], der[2+int(der[1]):]
	for len(n) > 0 && n[0] == 0 {
		n = n[1:]
	}
	if len(n) > len(out) {
		return nil, false
	}
	copy(out[len(out)-len(n):], n)
	return rest, true
}
