// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"slices"

	gojose "github.com/go-jose/go-jose/v4"
)

// The uses of a trust bundle's entries (SPIFFE Trust Domain and Bundle, section
// 4.2.2).
const (
	useX509SVID = "x509-svid"
	useJWTSVID  = "jwt-svid"
)

// maxAuthorityBytes bounds one authority's certificate: one with an RSA key of
// 8192 bits and its signature is below 4 KiB.
const maxAuthorityBytes = 8 << 10

const badAuthority = "an x509-svid entry must have exactly one certificate in x5c, that of an authority"

// parseAuthority reads an x509-svid entry: x5c has exactly one certificate. The
// key beside it says the same, and is not looked at: what verifies is the
// certificate.
func parseAuthority(jwk map[string]any) (der []byte, why string) {
	chain, ok := jwk["x5c"].([]any)
	if !ok || len(chain) != 1 {
		return nil, badAuthority
	}
	text, ok := chain[0].(string)
	if !ok || base64.StdEncoding.DecodedLen(len(text)) > maxAuthorityBytes {
		return nil, badAuthority
	}
	// RFC 7517, section 4.7: base64, not base64url.
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, badAuthority
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil || !cert.IsCA {
		return nil, badAuthority
	}
	return der, ""
}

// Authorities are the X.509 authorities of a trust bundle, in DER and in its order.
// What is returned must not be altered.
func (s *KeySet) Authorities() [][]byte {
	if s == nil {
		return nil
	}
	return s.authorities
}

// Bundle is the set as a trust bundle with these X.509 authorities.
func (s *KeySet) Bundle(authorities [][]byte) *KeySet {
	out := *s
	out.bundle, out.authorities = true, authorities
	return &out
}

// IsBundle says whether the set is a trust bundle.
func (s *KeySet) IsBundle() bool { return s != nil && s.bundle }

// marshalBundle encodes a trust bundle in one form: the authorities sorted, then
// the keys.
func (s *KeySet) marshalBundle() ([]byte, error) {
	entries := make([]json.RawMessage, 0, len(s.authorities)+len(s.keys))
	sorted := slices.Clone(s.authorities)
	slices.SortFunc(sorted, bytes.Compare)
	for _, der := range sorted {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, refuse(BadKeySet, badAuthority)
		}
		entry, err := gojose.JSONWebKey{Key: cert.PublicKey, Use: useX509SVID, Certificates: []*x509.Certificate{cert}}.MarshalJSON()
		if err != nil {
			return nil, refuse(BadKeySet, "an authority's key cannot be written as a JWK")
		}
		entries = append(entries, entry)
	}
	for _, key := range s.keys {
		entry, err := gojose.JSONWebKey{Key: key.material(), KeyID: key.keyID, Algorithm: key.algorithm, Use: useJWTSVID}.MarshalJSON()
		if err != nil {
			return nil, refuse(BadKeySet, "a key cannot be written as a JWK")
		}
		entries = append(entries, entry)
	}
	return json.Marshal(map[string]any{"keys": entries})
}
