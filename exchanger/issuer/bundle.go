// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	// MaxBundleBytes bounds a CA bundle: Mozilla's whole store is about
	// 220 KiB of PEM, and nobody needs more to name one issuer's authority.
	MaxBundleBytes = 256 << 10
	// maxBundleCerts × ~2 KiB each is about that many bytes.
	maxBundleCerts = 200
)

// ParseBundle parses PEM certificates into a pool. It refuses an empty bundle,
// a private key or anything else that is not a certificate, and text that is
// neither: a bundle that was cut short must not pass as a smaller one.
func ParseBundle(b []byte) (*x509.CertPool, error) {
	if len(b) > MaxBundleBytes {
		return nil, fmt.Errorf("CA bundle: expected at most %d bytes, found %d", MaxBundleBytes, len(b))
	}
	pool := x509.NewCertPool()
	count := 0
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			break
		}
		// pem.Decode skips what it cannot read, so a block inside what was
		// skipped would vanish without a word.
		if skipped := b[:len(b)-len(rest)]; bytes.Count(skipped, []byte("-----BEGIN")) != 1 {
			return nil, errors.New("CA bundle: a PEM block is damaged")
		}
		b = rest
		if count++; count > maxBundleCerts {
			return nil, fmt.Errorf("CA bundle: expected at most %d certificates", maxBundleCerts)
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("CA bundle: block %d: expected CERTIFICATE, found another type", count)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("CA bundle: certificate %d does not parse", count)
		}
		pool.AddCert(cert)
	}
	if bytes.Contains(b, []byte("-----BEGIN")) {
		return nil, errors.New("CA bundle: a PEM block is damaged")
	}
	if count == 0 {
		return nil, errors.New("CA bundle: expected PEM certificates, found none")
	}
	return pool, nil
}
