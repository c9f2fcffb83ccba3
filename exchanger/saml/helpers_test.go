// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/saml"
	fake "github.com/exchequer-dev/exchequer/test/fakes/saml"
)

const (
	entityID  = "https://idp.example/saml"
	audience  = "https://sts.example.com"
	recipient = "https://sts.example.com/token"
	marker    = "xMARKERx"
)

var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func newIdP(t testing.TB) *fake.IdP {
	t.Helper()
	idp, err := fake.New(entityID, start)
	if err != nil {
		t.Fatal(err)
	}
	return idp
}

func newIdPWith(t testing.TB, key crypto.Signer) *fake.IdP {
	t.Helper()
	idp, err := fake.With(entityID, key, start)
	if err != nil {
		t.Fatal(err)
	}
	return idp
}

func ecKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t testing.TB, idp *fake.IdP, canonical string, f fake.Form) string {
	t.Helper()
	document, err := idp.Sign(canonical, f)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// verify takes a document through both steps.
func verify(document string, certificates ...*x509.Certificate) (*saml.Assertion, error) {
	d, err := saml.Parse(fake.Encode(document), 0)
	if err != nil {
		return nil, err
	}
	a, n, err := d.Verify(keysOf(certificates...))
	if err == nil && n >= len(certificates) {
		return nil, errors.New("verified with no key")
	}
	return a, err
}

func keysOf(certificates ...*x509.Certificate) []crypto.PublicKey {
	var keys []crypto.PublicKey
	for _, c := range certificates {
		keys = append(keys, c.PublicKey)
	}
	return keys
}

// mustRefuse makes sure that a document is refused with one of the codes, and
// that the refusal repeats nothing of it.
func mustRefuse(t testing.TB, document string, certificate *x509.Certificate, codes ...saml.Code) {
	t.Helper()
	a, err := verify(document, certificate)
	refusedWith(t, a, err, codes...)
}

func refusedWith(t testing.TB, a *saml.Assertion, err error, codes ...saml.Code) {
	t.Helper()
	var refusal *saml.Error
	if !errors.As(err, &refusal) || a != nil {
		t.Fatalf("accepted: %+v, %v", a, err)
	}
	if strings.Contains(err.Error(), marker) {
		t.Errorf("the refusal quotes the assertion: %v", err)
	}
	for _, code := range codes {
		if refusal.Code == code {
			return
		}
	}
	t.Errorf("refused with %v, want one of %v", err, codes)
}
