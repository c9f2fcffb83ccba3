// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// TLSFiles are a serving certificate chain and its key, in PEM.
type TLSFiles struct {
	Certificate string
	Key         string
}

// Check says whether the pair can be loaded; no files at all are plain HTTP.
func (f TLSFiles) Check() error {
	if f == (TLSFiles{}) {
		return nil
	}
	return (&certificate{files: f}).load()
}

// reloadInterval is how soon a rotated certificate is used. Files are read and
// compared rather than watched: it works the same for a file, a symlink that is
// swapped and a volume of a Secret, and reading twice 4 KiB costs nothing.
const reloadInterval = 10 * time.Second

// serving returns the TLS configuration, nil for plain HTTP, and the function
// that keeps its certificate current until its context ends.
func (s *Server) serving() (*tls.Config, func(context.Context), error) {
	files := s.config.TLS
	if files == (TLSFiles{}) {
		return nil, func(context.Context) {}, nil
	}
	c := &certificate{files: files}
	if err := c.load(); err != nil {
		return nil, nil, err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		// For TLS 1.2 forward secrecy and AEAD only; 1.3 has nothing else.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
	return config, func(ctx context.Context) { s.keepCurrent(ctx, c) }, nil
}

// keepCurrent loads the pair again when it changes. One that does not load is
// reported, and the one before stays in use.
func (s *Server) keepCurrent(ctx context.Context, c *certificate) {
	ticker := time.NewTicker(reloadInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := c.load(); err != nil {
				s.config.Metrics.CertificateFailed()
				s.log.ErrorContext(ctx, "the serving certificate was not loaded; the one before stays in use", "error", err)
			}
		}
	}
}

// certificate is the pair in use.
type certificate struct {
	files   TLSFiles
	cert    []byte
	key     []byte
	current atomic.Pointer[tls.Certificate]
}

func (c *certificate) load() error {
	cert, err := os.ReadFile(c.files.Certificate)
	if err != nil {
		return fmt.Errorf("read the serving certificate: %w", err)
	}
	key, err := os.ReadFile(c.files.Key)
	if err != nil {
		return fmt.Errorf("read the serving key: %w", err)
	}
	if bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("load the serving certificate %s with the key %s: %w", c.files.Certificate, c.files.Key, err)
	}
	c.cert, c.key = cert, key
	c.current.Store(&pair)
	return nil
}
