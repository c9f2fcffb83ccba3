// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
)

const (
	// SealKeyBytes is the length of a sealing key: A256GCM.
	SealKeyBytes = 32
	// MaxSealedBytes bounds a sealed claim in its compact form. A token is at
	// most 16 KiB, so nothing longer can have come from one.
	MaxSealedBytes = 16 << 10

	gcmNonceBytes = 12
	gcmTagBytes   = 16
)

// SealKey encrypts claims that only this service reads back: compact JWE with
// alg dir and enc A256GCM, and no other form. It is safe for concurrent use.
//
// It frames the five parts itself, over crypto/cipher: the header never varies,
// so it is encoded once and compared as a whole, where go-jose builds and parses
// it for every token (BenchmarkSeal). Tests open each side's output with the
// other.
//
// The nonce is 96 random bits made inside crypto/cipher. After 2^34 tokens under
// one key (6,600 a second for the 30 days of the default rotation) the chance
// that any two share one is below 2^-28.
type SealKey struct {
	secret
	keyID  string
	bytes  func() []byte // a function, as in PrivateKey
	aead   cipher.AEAD
	header string // encoded protected header
}

// GenerateSealKey makes a new random key under kid.
func GenerateSealKey(kid string) (*SealKey, error) {
	key := make([]byte, SealKeyBytes)
	// crypto/rand.Read never fails: without entropy the program ends.
	_, _ = rand.Read(key)
	return NewSealKey(kid, key)
}

// NewSealKey makes a key from SealKeyBytes bytes.
func NewSealKey(kid string, key []byte) (*SealKey, error) {
	if kid == "" || len(kid) > maxKeyIDBytes {
		return nil, refuse(BadKeyID, "kid must be a string of 1 to 256 bytes")
	}
	if len(key) != SealKeyBytes {
		return nil, refuse(BadKey, "a sealing key has 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, refuse(BadKey, "the sealing key cannot be used")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, refuse(BadKey, "the sealing key cannot be used")
	}
	header, err := json.Marshal(struct {
		Algorithm  string `json:"alg"`
		Encryption string `json:"enc"`
		KeyID      string `json:"kid"`
	}{"dir", "A256GCM", kid})
	if err != nil {
		return nil, refuse(BadKeyID, "kid must be a string of 1 to 256 bytes")
	}
	own := bytes.Clone(key)
	return &SealKey{
		keyID: kid, bytes: func() []byte { return own }, aead: aead,
		header: base64.RawURLEncoding.EncodeToString(header),
	}, nil
}

// KeyID is the key's kid.
func (k *SealKey) KeyID() string { return k.keyID }

// Bytes is a copy of the key, for storing it.
func (k *SealKey) Bytes() []byte { return bytes.Clone(k.bytes()) }

// Seal encrypts plaintext. A result above MaxSealedBytes is refused, never cut.
func (k *SealKey) Seal(plaintext []byte) (string, error) {
	enc := base64.RawURLEncoding
	size := len(k.header) + len("....") + enc.EncodedLen(gcmNonceBytes) +
		enc.EncodedLen(len(plaintext)) + enc.EncodedLen(gcmTagBytes)
	if size > MaxSealedBytes {
		return "", refuse(TooLarge, "the sealed claim is above its limit")
	}
	// nonce, ciphertext, tag, in this order.
	sealed := k.aead.Seal(make([]byte, 0, gcmNonceBytes+len(plaintext)+gcmTagBytes), nil, plaintext, []byte(k.header))
	end := len(sealed) - gcmTagBytes
	out := make([]byte, 0, size)
	out = append(out, k.header...)
	out = append(out, '.', '.') // dir: the encrypted key is empty
	out = append(enc.AppendEncode(out, sealed[:gcmNonceBytes]), '.')
	out = append(enc.AppendEncode(out, sealed[gcmNonceBytes:end]), '.')
	out = enc.AppendEncode(out, sealed[end:])
	return string(out), nil
}

// SealKeys opens what any of its keys has sealed. The zero value opens nothing.
type SealKeys struct {
	secret
	byHeader map[string]*SealKey
}

// NewSealKeys makes a set of keys. Two keys with one kid are refused.
func NewSealKeys(keys ...*SealKey) (*SealKeys, error) {
	s := &SealKeys{byHeader: make(map[string]*SealKey, len(keys))}
	for _, key := range keys {
		if s.byHeader[key.header] != nil {
			return nil, refuse(BadKeySet, "two sealing keys have the same kid")
		}
		s.byHeader[key.header] = key
	}
	return s, nil
}

// Open decrypts a sealed claim. Its header must be, byte for byte, the one that
// a key of the set writes: that names the key and leaves nothing to negotiate
// (no zip, no other alg or enc, no p2c). Every refusal but the size is the same
// error.
func (s *SealKeys) Open(sealed string) ([]byte, error) {
	if len(sealed) > MaxSealedBytes {
		return nil, refuse(TooLarge, "the sealed claim is above its limit")
	}
	plaintext, ok := s.open(sealed)
	if !ok {
		return nil, refuse(Unsealable, "no sealing key of this service opens the claim")
	}
	return plaintext, nil
}

func (s *SealKeys) open(sealed string) ([]byte, bool) {
	if s == nil || strings.Count(sealed, ".") != 4 {
		return nil, false
	}
	header, rest, _ := strings.Cut(sealed, ".")
	encryptedKey, rest, _ := strings.Cut(rest, ".")
	nonce, rest, _ := strings.Cut(rest, ".")
	ciphertext, tag, _ := strings.Cut(rest, ".")
	key := s.byHeader[header]
	if key == nil || encryptedKey != "" {
		return nil, false
	}
	buf := make([]byte, strictBase64.DecodedLen(len(sealed)))
	n, err := decodeSegment(buf, nonce)
	if err != nil || n != gcmNonceBytes {
		return nil, false
	}
	c, err := decodeSegment(buf[n:], ciphertext)
	if err != nil {
		return nil, false
	}
	t, err := decodeSegment(buf[n+c:], tag)
	if err != nil || t != gcmTagBytes {
		return nil, false
	}
	plaintext, err := key.aead.Open(nil, nil, buf[:n+c+t], []byte(header))
	return plaintext, err == nil
}
