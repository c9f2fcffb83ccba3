// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
)

// family is a kind of key.
type family uint8

const (
	familyNone family = iota
	familyRSA
	familyECDSA
)

// familyOf says what kind of signatures a key makes; none when it is weak or of a
// kind that is not known.
func familyOf(public crypto.PublicKey) family {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n >= 2048 && n <= 8192 {
			return familyRSA
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384():
			return familyECDSA
		}
	}
	return familyNone
}

// maxCertificates bounds what one issuer has: each that fits is tried. Eight is
// what a TrustedIssuer may list; metadata has two, or three while it rotates.
const maxCertificates = 8

// ParseCertificates reads the certificates of an identity provider: PEM blocks of
// type CERTIFICATE and nothing else, one to a string.
func ParseCertificates(blocks []string) ([]*x509.Certificate, error) {
	if len(blocks) == 0 || len(blocks) > maxCertificates {
		return nil, refuse(KeyUnsuitable, "not between one and eight certificates")
	}
	var all []*x509.Certificate
	for _, text := range blocks {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
			return nil, refuse(KeyUnsuitable, "not one PEM block CERTIFICATE")
		}
		c, err := parseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func parseCertificate(der []byte) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, refuse(KeyUnsuitable, "a certificate that cannot be read")
	}
	if familyOf(c.PublicKey) == familyNone {
		return nil, refuse(KeyUnsuitable, "a certificate whose key is neither RSA of 2048 to 8192 bits nor ECDSA on P-256 or P-384")
	}
	return c, nil
}

// KeySet writes the keys of certificates as a JWK Set, each under the SHA-256
// thumbprint of its certificate. A certificate is a box for a key here, and nothing
// more: its dates, names and issuer are not looked at (SAML V2.0 Metadata
// Interoperability Profile, section 2.6.1).
func KeySet(certificates []*x509.Certificate) ([]byte, error) {
	type jwk struct {
		KeyType string `json:"kty"`
		KeyID   string `json:"kid"`
		Use     string `json:"use"`
		Curve   string `json:"crv,omitempty"`
		X       string `json:"x,omitempty"`
		Y       string `json:"y,omitempty"`
		N       string `json:"n,omitempty"`
		E       string `json:"e,omitempty"`
	}
	text := base64.RawURLEncoding.EncodeToString
	set := struct {
		Keys []jwk `json:"keys"`
	}{}
	for _, c := range certificates {
		thumbprint := sha256.Sum256(c.Raw)
		k := jwk{KeyID: text(thumbprint[:]), Use: "sig"}
		switch key := c.PublicKey.(type) {
		case *rsa.PublicKey:
			k.KeyType, k.N, k.E = "RSA", text(key.N.Bytes()), text(big.NewInt(int64(key.E)).Bytes())
		case *ecdsa.PublicKey:
			point, err := key.Bytes() // 4, X and Y (SEC 1, section 2.3.3)
			if err != nil {
				return nil, refuse(KeyUnsuitable, "a key that is no point of its curve")
			}
			half := (len(point) - 1) / 2
			k.KeyType, k.Curve = "EC", key.Curve.Params().Name
			k.X, k.Y = text(point[1:1+half]), text(point[1+half:])
		default:
			return nil, refuse(KeyUnsuitable, "a key of a kind that is not known")
		}
		set.Keys = append(set.Keys, k)
	}
	b, err := json.Marshal(set)
	if err != nil {
		return nil, refuse(KeyUnsuitable, "the keys cannot be written")
	}
	return b, nil
}
