// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
)

// Egress is how a program that fetches issuers' keys leaves the cluster. The
// environment's HTTPS_PROXY and SSL_CERT_FILE mean nothing: a proxy resolves names
// where nobody checks the addresses.
type Egress struct {
	proxy, file string

	// Proxy and Roots are what Check has read; nil where nothing was said.
	Proxy *issuer.Proxy
	Roots *x509.CertPool
}

// Add adds --egress-proxy and --egress-ca.
func (e *Egress) Add(f *pflag.FlagSet) {
	f.StringVar(&e.proxy, "egress-proxy", "", "proxy through which issuers are asked: http://host:port or https://host:port; those with network.allowedCIDRs are asked directly")
	f.StringVar(&e.file, "egress-ca", "", "PEM file of who may sign for issuers, and for the proxy, besides the system's authorities")
}

// Check reads what was set; it is a check for [Parse].
func (e *Egress) Check() error {
	var errs []error
	if e.proxy != "" {
		var err error
		if e.Proxy, err = issuer.ParseProxy(e.proxy); err != nil {
			errs = append(errs, fmt.Errorf("--egress-proxy: %w", err))
		}
	}
	if e.file != "" {
		var err error
		if e.Roots, err = readRoots(e.file); err != nil {
			errs = append(errs, fmt.Errorf("--egress-ca: %w", err))
		}
	}
	return errors.Join(errs...)
}

func readRoots(file string) (*x509.CertPool, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	bundle, err := io.ReadAll(io.LimitReader(f, issuer.MaxBundleBytes+1)) // one more is refused as too large
	if err != nil {
		return nil, err
	}
	return issuer.ParseRoots(bundle)
}
