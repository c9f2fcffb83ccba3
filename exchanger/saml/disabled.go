// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build nosaml

package saml

import (
	"crypto"
	"crypto/x509"
	"time"
)

// MaxMetadataBytes bounds a metadata document, in builds that read any.
const MaxMetadataBytes = DefaultBytes

// Document is an assertion in builds that read any; in this one there is none.
type Document struct{}

func notBuilt() error {
	return refuse(NotBuilt, "this program was built without SAML (-tags nosaml)")
}

// Parse refuses: this program was built without SAML.
func Parse(string, int) (*Document, error) { return nil, notBuilt() }

// Issuer is empty: there are no documents.
func (*Document) Issuer() string { return "" }

// Unverified refuses: this program was built without SAML.
func (*Document) Unverified() (*Assertion, error) { return nil, notBuilt() }

// Verify refuses: this program was built without SAML.
func (*Document) Verify([]crypto.PublicKey) (*Assertion, int, error) { return nil, 0, notBuilt() }

// Sign refuses: this program was built without SAML.
func Sign(*Assertion, crypto.Signer, *x509.Certificate) (string, error) { return "", notBuilt() }

// ParseMetadata refuses: this program was built without SAML.
func ParseMetadata([]byte, string, time.Time) ([]*x509.Certificate, error) { return nil, notBuilt() }

// Metadata refuses: this program was built without SAML.
func Metadata(string, string, []*x509.Certificate) ([]byte, error) { return nil, notBuilt() }
