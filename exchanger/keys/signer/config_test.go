// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	fake "github.com/exchequer-dev/exchequer/test/fakes/signer"
)

// authority issues certificates for a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.pem, _, a.certificate, a.key = issue(t, nil, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// leaf returns a certificate for localhost and its key, in PEM.
func (a *authority) leaf(t *testing.T) (certificate, key string) {
	t.Helper()
	certificate, key, _, _ = issue(t, a, &x509.Certificate{
		DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return certificate, key
}

func issue(t *testing.T, by *authority, template *x509.Certificate) (certificate, private string, parsed *x509.Certificate, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(1), pkix.Name{CommonName: "test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signing := template, key
	if by != nil {
		parent, signing = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signing)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", b), parsed, key
}

func TestASignerAtAPortIsReachedByMutualTLSOnly(t *testing.T) {
	t.Parallel()
	ours, stranger := newAuthority(t), newAuthority(t)
	certificate, key := ours.leaf(t)
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(ours.certificate)
	s := fake.StartTLS(t, &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
	})
	s.Offer(t, "k", "ES256")
	mine, myKey := ours.leaf(t)
	theirs, theirKey := stranger.leaf(t)
	for name, tc := range map[string]struct {
		config Config
		ok     bool
	}{
		"with both":                             {Config{s.Address, ours.pem, mine, myKey}, true},
		"a signer of another authority":         {Config{s.Address, stranger.pem, mine, myKey}, false},
		"a client certificate of another":       {Config{s.Address, ours.pem, theirs, theirKey}, false},
		"an address that is not in certificate": {Config{strings.Replace(s.Address, "localhost", "127.0.0.1", 1), ours.pem, mine, myKey}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := New(tc.config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			_, _, err = c.FetchKeys(t.Context())
			if (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrUnavailable) {
				t.Errorf("error %v, want success %v", err, tc.ok)
			}
		})
	}
	for name, c := range map[string]Config{
		"no CA bundle":                  {s.Address, "", mine, myKey},
		"no certificate":                {s.Address, ours.pem, "", ""},
		"a certificate of another key":  {s.Address, ours.pem, mine, theirKey},
		"no port":                       {"localhost", ours.pem, mine, myKey},
		"no host":                       {":1", ours.pem, mine, myKey},
		"port 0":                        {"localhost:0", ours.pem, mine, myKey},
		"a URL":                         {"https://localhost:1", ours.pem, mine, myKey},
		"nothing":                       {},
		"a relative socket":             {Address: "unix://run/s"},
		"a socket that climbs":          {Address: "unix:///run/../s"},
		"a socket with a long path":     {Address: "unix:///" + strings.Repeat("s", 107)},
		"certificates on a unix socket": {Address: "unix:///run/s", CABundle: ours.pem},
		"another scheme of gRPC":        {Address: "passthrough:///localhost:1", CABundle: ours.pem, Certificate: mine, PrivateKey: myKey},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			t.Parallel()
			if err := c.Validate(); err == nil {
				t.Error("accepted")
			}
		})
	}
	t.Run("F320: the client's key prints as nothing", func(t *testing.T) {
		t.Parallel()
		c := Config{s.Address, ours.pem, mine, myKey}
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c)
		for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%s %q %x", c, c, c), log.String()} {
			if strings.Contains(text, "PRIVATE") || strings.Contains(text, fmt.Sprintf("%x", "PRIVATE")) {
				t.Errorf("printed: %s", text)
			}
		}
	})
}
