// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import "strings"

// check reads the members that mean something here and refuses those that
// would change what the token means. Others are ignored (RFC 7515, section 4).
func (h *parsedHeader) check() error {
	for name := range h.members {
		if err := checkMember(name); err != nil {
			return err
		}
	}
	alg, _ := h.members["alg"].(string)
	if !knownAlgorithm(alg) {
		return refuse(BadAlgorithm, "alg must be one of RS256, PS256, ES256, ES384, EdDSA")
	}
	h.algorithm = alg

	kid, _ := h.members["kid"].(string)
	if kid == "" || len(kid) > maxKeyIDBytes {
		return refuse(BadKeyID, "kid must be a string of 1 to 256 bytes")
	}
	h.keyID = kid

	if v, present := h.members["typ"]; present {
		typ, _ := v.(string)
		if h.typ = normalType(typ); h.typ == "" {
			return refuse(BadType, "typ must be a media type")
		}
	}
	if v, present := h.members["nonce"]; present {
		// RFC 8555, section 6.5.2. It means nothing here, but other readers
		// refuse another type, and what we accept they should accept.
		if _, ok := v.(string); !ok {
			return refuse(BadHeader, "nonce must be a string")
		}
	}
	return nil
}

func checkMember(name string) error {
	switch name {
	case "alg", "kid", "typ", "x5t", "x5t#S256":
		// Thumbprints are ignored: the key is chosen by kid alone.
		return nil
	case "crit", "b64":
		// No extension is understood here, so nothing can be critical; and a
		// payload that is not base64url was signed as other bytes (RFC 7797).
		return refuse(BadCritical, "crit and b64 are not accepted")
	case "jwk", "jku", "x5c", "x5u":
		return refuse(EmbeddedKey, "a header may not bring a key or its address")
	case "zip":
		return refuse(BadHeader, "compression is not accepted")
	case "enc":
		return refuse(Encrypted, "enc belongs to encrypted tokens")
	case "cty":
		return refuse(BadType, "nested tokens are not accepted")
	}
	// A reader that folds case would take ALG for alg.
	for _, registered := range [...]string{
		"alg", "kid", "typ", "cty", "crit", "b64", "zip", "enc", "jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256",
	} {
		if strings.EqualFold(name, registered) {
			return refuse(BadHeader, "a header member differs from a registered one in case only")
		}
	}
	return nil
}

// normalType follows RFC 7515, section 4.1.9: compared without regard to case,
// "application/" may be left out. Anything but printable ASCII is "".
func normalType(typ string) string {
	for i := range len(typ) {
		if typ[i] <= ' ' || typ[i] > '~' {
			return ""
		}
	}
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}
