// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
)

// family is a kind of key.
type family uint8

const (
	familyNone family = iota
	familyRSA
	familyECDSA
)

// familyOf says what kind of signatures a certificate's key makes; none when the
// key is weak or of a kind that is not known.
func familyOf(c *x509.Certificate) family {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n >= 2048 && n <= 8192 {
			return familyRSA
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
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
	if familyOf(c) == familyNone {
		return nil, refuse(KeyUnsuitable, "a certificate whose key is neither RSA of 2048 to 8192 bits nor ECDSA on P-256, P-384 or P-521")
	}
	return c, nil
}
