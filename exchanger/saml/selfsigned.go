// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"time"
)

// certificateYears is longer than any signing key is in use, and ends before the
// year 2050, from when on certificates write their times in another form.
const certificateYears = 10

// SelfSigned makes the certificate of a signing key. It is the same, byte for
// byte, whenever and wherever it is made from the same name, key and time: each
// replica makes its own, and relying parties pin one.
func SelfSigned(name string, key crypto.Signer, since time.Time) (*x509.Certificate, error) {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, refuse(KeyUnsuitable, "a key that certificates cannot hold")
	}
	// The serial number is 120 bits of a hash: positive, and its own for each key.
	sum := sha256.Sum256(public)
	since = since.UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(sum[:15]),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Exchequer"}},
		// A verifier's clock may be behind when the key is new.
		NotBefore: since.Add(-time.Hour),
		NotAfter:  since.AddDate(certificateYears, 0, 0),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), determined{key})
	if err != nil {
		return nil, refuse(KeyUnsuitable, "the key did not sign its certificate")
	}
	return parseCertificate(der)
}

// determined signs without randomness: RSA with PKCS #1 has none, ECDSA takes it
// from the key and the message (RFC 6979).
type determined struct{ crypto.Signer }

func (d determined) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return d.Signer.Sign(nil, digest, opts)
}
