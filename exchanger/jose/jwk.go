// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	"slices"

	gojose "github.com/go-jose/go-jose/v4"
)

// PublicKey is a key that may verify signatures. It came from a key set that
// ParseKeySet accepted or from a PrivateKey, so it has a kid and is sound.
type PublicKey struct {
	keyID string
	// algorithm is the only one that the key may be used with; "" means RS256
	// or PS256, for an RSA key whose JWK names none.
	algorithm string

	// Exactly one of these is set.
	ec  *ecdsa.PublicKey
	rsa *rsa.PublicKey
	ed  ed25519.PublicKey
}

// KeyID is the key's `kid`.
func (k *PublicKey) KeyID() string { return k.keyID }

// Algorithm is the algorithm that the key is for, or "" when it is an RSA key
// whose JWK does not say.
func (k *PublicKey) Algorithm() string { return k.algorithm }

// MarshalJSON encodes the key as a JWK with kid, alg and use; a PublicKey has
// no private members to leak.
func (k *PublicKey) MarshalJSON() ([]byte, error) {
	return gojose.JSONWebKey{
		Key: k.material(), KeyID: k.keyID, Algorithm: k.algorithm, Use: "sig",
	}.MarshalJSON()
}

func (k *PublicKey) material() any {
	switch {
	case k.ec != nil:
		return k.ec
	case k.rsa != nil:
		return k.rsa
	}
	return k.ed
}

// The reasons why one key of a set is not used. The texts are constant.
const (
	notObject     = "the entry is not a JSON object"
	noKeyID       = "the key has no kid of 1 to 256 bytes: keys are chosen by kid only"
	privateKey    = "the key has private members: whoever published it has lost it"
	symmetricKey  = "the key is symmetric: a shared secret is never taken from a key set"
	unknownType   = "the key type is not one of EC, RSA, OKP"
	otherUse      = "the key is not for signatures"
	otherOps      = "key_ops does not allow verification alone"
	unknownAlg    = "the key's alg is not one of RS256, PS256, ES256, ES384, EdDSA"
	wrongAlg      = "the key's alg does not fit its type or curve"
	unknownCurve  = "the curve is not one of P-256, P-384, Ed25519"
	badEncoding   = "a key member is not strict base64url"
	badPoint      = "the point is not on the curve or has the wrong length"
	smallOrder    = "the key is a point of small order: it would verify forgeries"
	badModulus    = "the RSA modulus must be odd and have 2048 to 8192 bits"
	badExponent   = "the RSA exponent must be odd, from 3 to 2^31-1"
	weakModulus   = "the RSA modulus can be factored"
	wrongMember   = "a key member has the wrong type"
	tooManyMember = "the key has more than 64 members"
)

// parseKey reads one JWK of a set, whose `use`, where it has one, must be the given
// one. A non-empty why says why it is not used.
func parseKey(jwk map[string]any, use string) (key *PublicKey, why string) {
	k := &PublicKey{}
	if why := members(jwk).purpose(use); why != "" {
		return nil, why
	}
	k.keyID, _ = jwk["kid"].(string)
	if k.keyID == "" || len(k.keyID) > maxKeyIDBytes {
		return nil, noKeyID
	}
	if why := k.parseMaterial(jwk); why != "" {
		return nil, why
	}
	return k, ""
}

// parseMaterial reads what the key is by its type, and what it is for.
func (k *PublicKey) parseMaterial(m members) (why string) {
	switch m["kty"] {
	case "EC":
		why = k.parseEC(m)
	case "RSA":
		why = k.parseRSA(m)
	case "OKP":
		why = k.parseOKP(m)
	case "oct":
		why = symmetricKey
	default:
		why = unknownType
	}
	if why == "" {
		why = k.parseAlgorithm(m)
	}
	return why
}

// members is a JWK's JSON object.
type members map[string]any

// purpose refuses what is no public key for signatures, whatever its type. A key
// that says what it is for must say the given use.
func (m members) purpose(want string) string {
	if len(m) > 64 {
		return tooManyMember
	}
	if m["kty"] == "oct" {
		return symmetricKey
	}
	for _, private := range [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, present := m[private]; present {
			return privateKey
		}
	}
	if use, present := m["use"]; present && use != any(want) {
		return otherUse
	}
	ops, present := m["key_ops"]
	if !present {
		return ""
	}
	list, ok := ops.([]any)
	if !ok || !slices.Contains(list, any("verify")) {
		return otherOps
	}
	for _, op := range list {
		// A public key cannot sign; some publishers list the pair all the same.
		if op != "verify" && op != "sign" {
			return otherOps
		}
	}
	return ""
}

func (m members) bytes(name string) ([]byte, bool) {
	s, _ := m[name].(string)
	if s == "" || len(s) > maxMemberBytes {
		return nil, false
	}
	buf := make([]byte, strictBase64.DecodedLen(len(s)))
	n, err := decodeSegment(buf, s)
	return buf[:n], err == nil
}

// maxMemberBytes holds 8192 bits in base64url (1366 bytes) with room for the
// leading zero octet that some publishers write.
const maxMemberBytes = 1400

// parseAlgorithm settles the algorithm: what the key's type leaves open, its
// `alg` must say or it stays open between RS256 and PS256.
func (k *PublicKey) parseAlgorithm(m members) string {
	v, present := m["alg"]
	if !present {
		return ""
	}
	alg, _ := v.(string)
	if !knownAlgorithm(alg) {
		return unknownAlg
	}
	if !k.fits(alg) {
		return wrongAlg
	}
	k.algorithm = alg
	return ""
}

func (k *PublicKey) parseEC(m members) string {
	var curve elliptic.Curve
	switch m["crv"] {
	case "P-256":
		curve, k.algorithm = elliptic.P256(), ES256
	case "P-384":
		curve, k.algorithm = elliptic.P384(), ES384
	default:
		return unknownCurve
	}
	x, okX := m.bytes("x")
	y, okY := m.bytes("y")
	if !okX || !okY {
		return badEncoding
	}
	// RFC 7518, section 6.2.1.2: exactly the length of a field element.
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return badPoint
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return badPoint
	}
	k.ec = key
	return ""
}

func (k *PublicKey) parseOKP(m members) string {
	if m["crv"] != "Ed25519" {
		return unknownCurve
	}
	x, ok := m.bytes("x")
	if !ok {
		return badEncoding
	}
	if len(x) != ed25519.PublicKeySize {
		return badPoint
	}
	if hasSmallOrder(x) {
		return smallOrder
	}
	k.algorithm, k.ed = EdDSA, x
	return ""
}

func (k *PublicKey) parseRSA(m members) string {
	n, okN := m.bytes("n")
	e, okE := m.bytes("e")
	if !okN || !okE {
		return badEncoding
	}
	modulus := new(big.Int).SetBytes(n)
	exponent := new(big.Int).SetBytes(e)
	if why := checkRSA(modulus, exponent); why != "" {
		return why
	}
	k.rsa = &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
	return ""
}

// checkRSA bounds a modulus from both sides: below 2048 bits it can be
// factored, above 8192 one verification costs milliseconds that a stranger
// could make us spend.
func checkRSA(n, e *big.Int) string {
	const minBits, maxBits = 2048, 8192
	if n.BitLen() < minBits || n.BitLen() > maxBits || n.Bit(0) == 0 {
		return badModulus
	}
	if e.BitLen() > 31 || e.Bit(0) == 0 || e.Int64() < 3 {
		return badExponent
	}
	if weakRSA(n) {
		return weakModulus
	}
	return ""
}
