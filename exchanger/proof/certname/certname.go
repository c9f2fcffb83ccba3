// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package certname

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// The beginnings of names.
const (
	dnsPrefix   = "dns:"
	uriPrefix   = "uri:"
	dnPrefix    = "dn:"
	thumbPrefix = "x5t#S256:"
)

// maxNames bounds the names of one certificate: each is a look-up. Certificates of
// clients have a few.
const maxNames = 64

// DNS is the name of a client that was declared by a DNS name.
func DNS(name string) string { return dnsPrefix + strings.ToLower(name) }

// URI is the name of a client that was declared by a URI.
func URI(uri string) string { return uriPrefix + uri }

// DN is the name of a client that was declared by its subject, as RFC 4514 writes
// it. It is an error when that cannot be read.
func DN(text string) (string, error) {
	dn, err := canonicalDN(text)
	if err != nil {
		return "", err
	}
	return dnPrefix + dn, nil
}

// Hash is the name of a client that was declared by the SHA-256 of its certificate,
// in hexadecimal or in base64url.
func Hash(text string) (string, error) {
	if len(text) == 2*sha256.Size {
		raw, err := hex.DecodeString(text)
		if err != nil {
			return "", errHash
		}
		return thumbPrefix + base64.RawURLEncoding.EncodeToString(raw), nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return "", errHash
	}
	return thumbPrefix + text, nil
}

var errHash = errors.New("expected a SHA-256 hash: 64 hexadecimal digits, or 43 base64url characters") //nolint:gochecknoglobals // a constant error

// Thumbprint is the `x5t#S256` of a certificate (RFC 8705, section 3.1).
func Thumbprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// OfItself is the name that a certificate has by its hash.
func OfItself(cert *x509.Certificate) string { return thumbPrefix + Thumbprint(cert) }

// Of are the names that an authority has given a certificate: its DNS names and
// URIs, and its subject. Those that cannot be compared are left out: they name
// nobody.
func Of(cert *x509.Certificate) []string {
	var out []string
	for _, name := range cert.DNSNames {
		if !strings.Contains(name, "*") {
			out = append(out, DNS(name))
		}
	}
	for _, uri := range cert.URIs {
		out = append(out, URI(uri.String()))
	}
	if dn, ok := subjectOf(cert); ok {
		out = append(out, dnPrefix+dn)
	}
	return out[:min(len(out), maxNames)]
}
