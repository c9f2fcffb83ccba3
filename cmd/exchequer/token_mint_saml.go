// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/saml"
)

// assertion makes a SAML 2.0 assertion that says what the claims say: iss, sub, aud,
// iat, exp, auth_time and acr where SAML has a place for them, and every other one as
// an attribute.
func (f *mintFlags) assertion(claims map[string]any, key *jose.PrivateKey, now time.Time) (string, error) {
	if f.recipient == "" {
		return "", usage("--recipient is missing: the token endpoint that the assertion is for")
	}
	// Claims are of several makings: what they say as JSON is what counts.
	text, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode the claims: %w", err)
	}
	said := map[string]any{}
	if err := json.Unmarshal(text, &said); err != nil {
		return "", fmt.Errorf("encode the claims: %w", err)
	}
	a := &saml.Assertion{ID: "_" + f.textOf(said, "jti"), Issuer: f.textOf(said, "iss"), Recipient: f.recipient}
	a.NameID = saml.NameID{Value: f.textOf(said, "sub"), Format: saml.FormatUnspecified}
	a.AuthnContext = f.textOf(said, "acr")
	a.IssuedAt, a.ExpiresAt, a.AuthenticatedAt = momentOf(said, "iat"), momentOf(said, "exp"), momentOf(said, "auth_time")
	a.NotBefore = a.IssuedAt
	if a.AuthenticatedAt.IsZero() {
		a.AuthenticatedAt = a.IssuedAt
	}
	a.Audiences = textsOf(said["aud"])
	for _, name := range slices.Sorted(maps.Keys(said)) {
		switch name {
		case "jti", "iss", "sub", "aud", "acr", "iat", "exp", "auth_time":
			continue
		}
		a.Attributes = append(a.Attributes, saml.Attribute{Name: name, Values: textsOf(said[name])})
	}
	signer, ok := key.CryptoSigner()
	if !ok {
		return "", usage("--saml: expected an RSA or an ECDSA key")
	}
	box := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.AddDate(0, 0, -1), NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(nil, box, box, signer.Public(), signer)
	if err != nil {
		return "", fmt.Errorf("make a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return "", fmt.Errorf("make a certificate: %w", err)
	}
	token, err := saml.Sign(a, signer, certificate)
	if err != nil {
		return "", usage("--saml: %w; --sub and --aud are needed, and attributes are texts and lists of texts", err)
	}
	return token, nil
}

func (f *mintFlags) textOf(said map[string]any, name string) string {
	text, _ := said[name].(string)
	return text
}

func momentOf(said map[string]any, name string) time.Time {
	if sec, ok := said[name].(float64); ok {
		return time.Unix(int64(sec), 0).UTC()
	}
	return time.Time{}
}

// textsOf is a value as attributes have it: what is no text is written as JSON.
func textsOf(v any) []string {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var all []string
	for _, e := range list {
		text, ok := e.(string)
		if !ok {
			b, err := json.Marshal(e)
			if err != nil || e == nil {
				continue
			}
			text = string(b)
		}
		all = append(all, text)
	}
	return all
}
