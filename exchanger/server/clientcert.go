// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/netip"
	"slices"

	"github.com/exchequer-dev/exchequer/exchanger/proof"
)

// ClientCertificates says which proxies end TLS before us, and in which header they
// hand on the certificate that the client showed them. The zero value trusts none.
type ClientCertificates struct {
	Header  proof.Header
	Proxies []netip.Prefix
}

// trusts says whether the other end of a connection is such a proxy.
func (c *ClientCertificates) trusts(peer netip.Addr) bool {
	return c.Header != proof.HeaderNone && peer.IsValid() &&
		slices.ContainsFunc(c.Proxies, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// asking asks every client for a certificate and takes whatever comes, also none:
// whom a certificate authenticates, and whether its chain holds, is told by the
// client's declaration and not by the handshake, which proves that the other end has
// the key. A client without one is served as before.
func asking(c *tls.Config) *tls.Config {
	if c == nil {
		return nil
	}
	c = c.Clone()
	c.ClientAuth = tls.RequestClientCert
	return c
}

// certificates are those that the client showed: to us or, where the connection is a
// declared proxy's, to that. The proxy's own certificate is never the client's, and
// the header of anybody else is not read (F70).
func (s *Server) certificates(r *http.Request, peer netip.Addr) ([]*x509.Certificate, *rejection) {
	declared := &s.config.ClientCertificates
	if !declared.trusts(peer) {
		if r.TLS == nil {
			return nil, nil
		}
		return r.TLS.PeerCertificates, nil
	}
	c, err := declared.Header.Forwarded(r.Header.Values)
	switch {
	case err != nil:
		return nil, reject(http.StatusBadRequest, "The proxy's header with the client certificate cannot be read.")
	case c == nil:
		return nil, nil
	}
	return append([]*x509.Certificate{c.Leaf}, c.Intermediates...), nil
}
