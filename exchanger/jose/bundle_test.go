// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"
	"time"
)

// authority is a certificate, self-signed, in DER.
func authority(t testing.TB, isCA bool) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: isCA, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func bundleOf(t testing.TB, entries ...any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": entries, "spiffe_sequence": 1, "spiffe_refresh_hint": 300})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func jwtSVIDKey(t testing.TB, key *PrivateKey, use any) map[string]any {
	t.Helper()
	jwk := publicJWK(t, key)
	jwk["kid"] = key.KeyID()
	if use != nil {
		jwk["use"] = use
	}
	return jwk
}

func x509Entry(der ...[]byte) map[string]any {
	var chain []string
	for _, d := range der {
		chain = append(chain, base64.StdEncoding.EncodeToString(d))
	}
	return map[string]any{"kty": "EC", "use": "x509-svid", "crv": "P-256", "x": "AA", "y": "AA", "x5c": chain}
}

func TestATrustBundleHasKeysAndAuthorities(t *testing.T) {
	t.Parallel()
	key, ca := keyFor(t, ES256), authority(t, true)
	set, warnings, err := ParseKeySet(bundleOf(t, x509Entry(ca), jwtSVIDKey(t, key, "jwt-svid")), KeySetOptions{SPIFFE: true})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %v", err, warnings)
	}
	if _, ok := set.Key(key.KeyID()); !ok || set.Len() != 1 || len(set.Authorities()) != 1 || !bytes.Equal(set.Authorities()[0], ca) {
		t.Errorf("found %d keys and %d authorities", set.Len(), len(set.Authorities()))
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	again, warnings, err := ParseKeySet(text, KeySetOptions{SPIFFE: true})
	if err != nil || len(warnings) > 0 || again.Len() != 1 || len(again.Authorities()) != 1 {
		t.Errorf("what was written is read as %d keys, %d authorities: %v %v", again.Len(), len(again.Authorities()), err, warnings)
	}
	if plain, _, err := ParseKeySet(text, KeySetOptions{}); err != nil || plain.Len() != 0 {
		t.Errorf("a bundle read as a key set has %d keys: %v; its keys are for SVIDs alone", plain.Len(), err)
	}
}

func TestATrustBundleIsReadStrictly(t *testing.T) {
	t.Parallel()
	key, ca := keyFor(t, ES256), authority(t, true)
	for name, entry := range map[string]any{
		"a key without use":                     jwtSVIDKey(t, key, nil),
		"a key for signatures of another kind":  jwtSVIDKey(t, key, "sig"),
		"an authority that is none":             x509Entry(authority(t, false)),
		"an authority with a chain":             x509Entry(ca, ca),
		"an authority without certificate":      x509Entry(),
		"an authority that is no certificate":   x509Entry([]byte("certificate")),
		"an authority above its bound":          x509Entry(make([]byte, 2*maxAuthorityBytes)),
		"a symmetric key":                       map[string]any{"kty": "oct", "use": "jwt-svid", "k": "AAAA", "kid": "x"},
		"a key for JWT-SVIDs without key ID":    map[string]any{"kty": "EC", "use": "jwt-svid"},
		"an authority that is text, not a list": map[string]any{"kty": "EC", "use": "x509-svid", "x5c": "AAAA"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, warnings, err := ParseKeySet(bundleOf(t, entry), KeySetOptions{SPIFFE: true})
			if err != nil || len(warnings) != 1 || set.Len()+len(set.Authorities()) != 0 {
				t.Errorf("found %d keys, %d authorities, warnings %v: %v", set.Len(), len(set.Authorities()), warnings, err)
			}
		})
	}
}
