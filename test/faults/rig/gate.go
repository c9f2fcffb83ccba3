// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// Gate is an HTTP proxy before the API server that sees each request, so that a
// test can strike at a chosen one. It ends TLS with a certificate of its own and
// passes credentials on.
type Gate struct {
	server *httptest.Server

	mu     sync.Mutex
	before func(*http.Request) error
	after  func(*http.Request, int)
	writes int
}

// NewGate is a gate before the cluster's API server; it ends with the cluster.
func (c *Cluster) NewGate() (*Gate, error) {
	ca, err := c.Plane.Authority()
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	target := &url.URL{Scheme: "https", Host: c.Plane.Address()}
	g := &Gate{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64},
		FlushInterval: -1, // a watch's events must not wait for the next
		ErrorLog:      log.New(io.Discard, "", 0),
		ModifyResponse: func(r *http.Response) error {
			g.mu.Lock()
			after := g.after
			g.mu.Unlock()
			if after != nil {
				after(r.Request, r.StatusCode)
			}
			return nil
		},
	}
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		before := g.before
		if IsWrite(r) {
			g.writes++
		}
		g.mu.Unlock()
		if before != nil {
			if err := before(r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	g.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	g.server.StartTLS()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closers = append(c.closers, func() {
		g.server.CloseClientConnections()
		g.server.Close()
	})
	return g, nil
}

// Address is the host and port that it listens on.
func (g *Gate) Address() string { return strings.TrimPrefix(g.server.URL, "https://") }

// Authority is the PEM of its certificate.
func (g *Gate) Authority() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.server.Certificate().Raw})
}

// Before is called with each request before it is passed on; one that it returns
// an error for is answered with 500 instead. After is called with each answer
// before it is passed back. Either may be nil.
func (g *Gate) Before(before func(*http.Request) error, after func(*http.Request, int)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.before, g.after = before, after
}

// IsWrite says whether a request changes something.
func IsWrite(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	return true
}

// SecretWritten is the name of the Secret that a request writes, "" when it
// writes none. A create names it in its body only: then it is "(new)".
func SecretWritten(r *http.Request) string {
	if !IsWrite(r) {
		return ""
	}
	_, name, found := strings.Cut(r.URL.Path, "/secrets")
	switch {
	case !found:
		return ""
	case name == "":
		return "(new)"
	}
	return strings.TrimPrefix(name, "/")
}
