// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// identity is what stands outside of the cluster: the provider that people log
// in at, and the authority of the installation's certificate.
type identity struct {
	users                          *ecdsa.PrivateKey
	authority, certificate, tlsKey []byte
}

func newIdentity() *identity {
	GinkgoHelper()
	i := &identity{users: newKey()}
	i.certify(service, public)
	return i
}

func newKey() *ecdsa.PrivateKey {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	return key
}

// certify makes an authority and a certificate for these hosts.
func (i *identity) certify(hosts ...string) {
	GinkgoHelper()
	authorityKey, key := newKey(), newKey()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "e2e"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "exchequer"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: hosts,
	}
	self, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	Expect(err).NotTo(HaveOccurred())
	signed, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), authorityKey)
	Expect(err).NotTo(HaveOccurred())
	private, err := x509.MarshalPKCS8PrivateKey(key)
	Expect(err).NotTo(HaveOccurred())
	i.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: self})
	i.certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	i.tlsKey = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// keys is the provider's JWK Set, for a TrustedIssuer's keys.inline.
func (i *identity) keys() string {
	GinkgoHelper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.users.Public(), KeyID: "users", Algorithm: "ES256", Use: "sig"}}}
	text, err := json.Marshal(set)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// login is the access token that a person's login gives to the app.
func (i *identity) login(person, scope string, groups ...string) string {
	GinkgoHelper()
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": corp, "sub": person, "aud": "shop-app", "client_id": "shop-app", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		"scope": scope, "groups": groups,
	})
	token.Header["kid"], token.Header["typ"] = "users", "at+jwt"
	signed, err := token.SignedString(i.users)
	Expect(err).NotTo(HaveOccurred())
	return signed
}

// verified are the claims of a token that this JWK Set's keys signed, judged by
// another library than the one that made it.
func verified(token, set string) jwt.MapClaims {
	GinkgoHelper()
	var keys jose.JSONWebKeySet
	Expect(json.Unmarshal([]byte(set), &keys)).To(Succeed())
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		found := keys.Key(kid)
		Expect(found).To(HaveLen(1), "the key %q in %s", kid, set)
		return found[0].Key, nil
	}, jwt.WithIssuer(issuer), jwt.WithExpirationRequired(), jwt.WithValidMethods([]string{"ES256"}))
	Expect(err).NotTo(HaveOccurred())
	return claims
}
