// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"slices"
)

// The algorithms that this package knows. There are no others: what is not in
// this list cannot be allowed by any configuration.
const (
	RS256 = "RS256"
	PS256 = "PS256"
	ES256 = "ES256"
	ES384 = "ES384"
	EdDSA = "EdDSA"
)

func knownAlgorithm(alg string) bool {
	switch alg {
	case RS256, PS256, ES256, ES384, EdDSA:
		return true
	}
	return false
}

// Algorithms lists every algorithm that this package knows, as a fresh slice.
func Algorithms() []string { return []string{RS256, PS256, ES256, ES384, EdDSA} }

// Verified are the facts of a token whose signature holds. Only Verify makes
// one that is Valid. The maps must not be altered.
type Verified struct {
	Header, Claims map[string]any
	Algorithm      string
	KeyID          string
	// Type is the normalised `typ`, as Compact.Type has it.
	Type string

	by *PublicKey
}

// Valid reports whether Verify made v. The zero value and one put together by
// hand are not valid.
func (v Verified) Valid() bool { return v.by != nil }

// Verify checks the signature with key and returns the facts. The algorithm
// must be on the allowed list (an empty list allows none), must be the key's
// own if the key names one, and must fit the key's type and curve; the kid must
// be the key's.
func (c *Compact) Verify(key *PublicKey, allowed []string) (Verified, error) {
	switch {
	case key == nil || key.keyID != c.keyID:
		return Verified{}, refuse(KeyUnknown, "the key does not have the token's kid")
	case !slices.Contains(allowed, c.algorithm):
		return Verified{}, refuse(BadAlgorithm, "the token's algorithm is not allowed here")
	case !key.fits(c.algorithm):
		return Verified{}, refuse(KeyUnsuitable, "the key is not for the token's algorithm")
	case !key.verify(c.algorithm, c.signed, c.signature):
		return Verified{}, refuse(BadSignature, "the signature does not verify")
	}
	return Verified{
		Header: c.members, Claims: c.claims,
		Algorithm: c.algorithm, KeyID: c.keyID, Type: c.typ,
		by: key,
	}, nil
}

// fits reports whether a signature by alg can be this key's.
func (k *PublicKey) fits(alg string) bool {
	if k.algorithm != "" {
		return k.algorithm == alg
	}
	// Only an RSA key can be without an algorithm of its own.
	return k.rsa != nil && (alg == RS256 || alg == PS256)
}

// verify hands the signed bytes to the standard library. It is called with an
// algorithm that fits.
func (k *PublicKey) verify(alg, signed string, signature []byte) bool {
	switch alg {
	case ES256:
		digest := sha256.Sum256([]byte(signed))
		return verifyECDSA(k.ec, digest[:], signature, 64)
	case ES384:
		digest := sha512.Sum384([]byte(signed))
		return verifyECDSA(k.ec, digest[:], signature, 96)
	case EdDSA:
		return ed25519.Verify(k.ed, []byte(signed), signature)
	case RS256:
		digest := sha256.Sum256([]byte(signed))
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, digest[:], signature) == nil
	case PS256:
		// RFC 7518, section 3.5: the salt is as long as the hash, not "auto".
		digest := sha256.Sum256([]byte(signed))
		opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.VerifyPSS(k.rsa, crypto.SHA256, digest[:], signature, opts) == nil
	}
	return false
}

// verifyECDSA takes the signature as RFC 7518, section 3.4 writes it: r and s
// in exactly size/2 bytes each; DER and other lengths are refused. The standard
// library wants DER, which is framed here: going through big.Int as ecdsa.Verify
// does costs 2 µs more.
func verifyECDSA(key *ecdsa.PublicKey, digest, signature []byte, size int) bool {
	if len(signature) != size {
		return false
	}
	// SEQUENCE and length, then two INTEGERs of tag, length, sign octet and
	// size/2 bytes: at most 104 for P-384, so one length byte is enough.
	der := make([]byte, 2, 2+2*(3+size/2))
	der = appendInteger(der, signature[:size/2])
	der = appendInteger(der, signature[size/2:])
	der[0], der[1] = 0x30, byte(len(der)-2)
	return ecdsa.VerifyASN1(key, digest, der)
}

// appendInteger appends a DER INTEGER: as short as can be, not negative.
func appendInteger(der, n []byte) []byte {
	for len(n) > 1 && n[0] == 0 {
		n = n[1:]
	}
	const integer = 0x02
	if n[0] >= 0x80 {
		der = append(der, integer, byte(len(n)+1), 0)
	} else {
		der = append(der, integer, byte(len(n)))
	}
	return append(der, n...)
}
