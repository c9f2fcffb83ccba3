// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/exchequer-dev/exchequer/exchanger/keys/signer/address"
)

// Config says where a signer is and how to reach it. Printing one shows the
// address only.
type Config struct {
	// Address is unix:///path, or host:port.
	Address string `json:"address"`
	// CABundle verifies the signer at host:port: certificates in PEM.
	CABundle string `json:"caBundle,omitempty"`
	// Certificate and PrivateKey are shown to the signer at host:port, in PEM.
	Certificate string `json:"certificate,omitempty"`
	PrivateKey  string `json:"privateKey,omitempty"`
}

// String is the address.
func (c Config) String() string { return c.Address }

// Format hides the private key from every verb of package fmt.
func (c Config) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.Address) }

// LogValue hides the private key from slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.Address) }

// Validate reports a signer that cannot be reached as it is described.
func (c Config) Validate() error {
	_, _, err := c.dial()
	return err
}

// dial returns gRPC's target and the credentials.
func (c Config) dial() (string, credentials.TransportCredentials, error) {
	local, err := address.Parse(c.Address)
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("the signer's address: %w", err)
	case local && c.CABundle+c.Certificate+c.PrivateKey != "":
		return "", nil, errors.New("the signer's address: certificates have no effect on a unix socket")
	case local:
		// Who may connect is what the socket's directory says.
		return c.Address, insecure.NewCredentials(), nil
	}
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return "", nil, errors.New("the signer's address: expected host:port")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(c.CABundle)) {
		return "", nil, errors.New("the signer's CA bundle: expected certificates in PEM: a signer at host:port is reached by mutual TLS only")
	}
	pair, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.PrivateKey))
	if err != nil {
		return "", nil, errors.New("the client certificate for the signer: expected a certificate and its private key in PEM")
	}
	return "dns:///" + c.Address, credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: host,
	}), nil
}
