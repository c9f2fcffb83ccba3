// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package spiffe is a trust domain for tests: an authority that issues X.509-SVIDs, a
// key that signs JWT-SVIDs, and the bundle that has both.
package spiffe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/url"
	"time"

	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// Domain is a trust domain.
type Domain struct {
	Name string
	// CA issues X.509-SVIDs.
	CA    *x509.Certificate
	caKey *ecdsa.PrivateKey
	// Key signs JWT-SVIDs.
	Key *issuer.Key
	now func() time.Time
}

// New makes a trust domain whose certificates are good from an hour before now.
func New(name string, now func() time.Time) (*Domain, error) {
	d := &Domain{Name: name, now: now}
	var err error
	if d.Key, err = issuer.NewKey("jwt-svid-1", "ES256"); err != nil {
		return nil, err
	}
	return d, d.Rotate()
}

// Rotate replaces the X.509 authority.
func (d *Domain) Rotate() error {
	var err error
	if d.caKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: d.Name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: d.now().Add(-time.Hour), NotAfter: d.now().Add(24 * time.Hour), URIs: []*url.URL{{Scheme: "spiffe", Host: d.Name}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &d.caKey.PublicKey, d.caKey)
	if err != nil {
		return err
	}
	d.CA, err = x509.ParseCertificate(der)
	return err
}

// Bundle is the trust bundle (SPIFFE Trust Domain and Bundle, section 4).
func (d *Domain) Bundle() []byte {
	jwt := map[string]any{}
	for name, v := range d.Key.JWK() {
		jwt[name] = v
	}
	jwt["use"] = "jwt-svid"
	point, err := d.caKey.PublicKey.Bytes()
	if err != nil {
		panic(err) // a generated key is on its curve
	}
	enc := base64.RawURLEncoding
	authority := map[string]any{
		"use": "x509-svid", "kty": "EC", "crv": "P-256", "x": enc.EncodeToString(point[1:33]), "y": enc.EncodeToString(point[33:]),
		"x5c": []string{base64.StdEncoding.EncodeToString(d.CA.Raw)},
	}
	b, err := json.Marshal(map[string]any{"keys": []any{authority, jwt}, "spiffe_sequence": 1, "spiffe_refresh_hint": 300})
	if err != nil {
		panic(err) // maps of strings
	}
	return b
}

// JWTSVID is a JWT-SVID of a workload, good for five minutes. Claims are added, and
// replace what is there.
func (d *Domain) JWTSVID(id, audience string, claims map[string]any) (string, error) {
	all := map[string]any{"sub": id, "aud": []string{audience}, "iat": d.now().Unix(), "exp": d.now().Add(5 * time.Minute).Unix()}
	for name, v := range claims {
		if v == nil {
			delete(all, name)
			continue
		}
		all[name] = v
	}
	header, err := json.Marshal(map[string]any{"alg": d.Key.Algorithm, "kid": d.Key.ID, "typ": "JWT"})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	return d.Key.Sign(header, payload)
}

// X509SVID is a workload's certificate with its key, good for an hour.
func (d *Domain) X509SVID(id string) (tls.Certificate, error) {
	u, err := url.Parse(id)
	if err != nil {
		return tls.Certificate{}, err
	}
	return d.Issue(&x509.Certificate{URIs: []*url.URL{u}})
}

// Issue is a client certificate with the names of a template.
func (d *Domain) Issue(names *x509.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: names.Subject, URIs: names.URIs, DNSNames: names.DNSNames, IPAddresses: names.IPAddresses, BasicConstraintsValid: true,
		NotBefore: d.now().Add(-time.Hour), NotAfter: d.now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, d.CA, &key.PublicKey, d.caKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}
