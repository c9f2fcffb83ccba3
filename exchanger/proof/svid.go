// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package proof

import (
	"crypto/x509"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// spiffeScheme is how a SPIFFE ID begins.
const spiffeScheme = "spiffe://"

// maxSPIFFEID bounds a SPIFFE ID (SPIFFE ID, section 2.3: 2048 bytes at most); an
// ExchangeClient can declare 512.
const maxSPIFFEID = 512

// ParseSPIFFEID reads a SPIFFE ID of a workload, and returns its trust domain
// (SPIFFE ID, section 2): no port, no user, no query, no fragment, no empty or dot
// segment, and a path.
func ParseSPIFFEID(id string) (trustDomain string, ok bool) {
	rest, ok := strings.CutPrefix(id, spiffeScheme)
	domain, path, hasPath := strings.Cut(rest, "/")
	if !ok || !hasPath || len(id) > maxSPIFFEID || domain == "" || strings.Trim(domain, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return "", false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." ||
			strings.Trim(segment, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
			return "", false
		}
	}
	return domain, true
}

// SPIFFEID is the SPIFFE ID in a certificate; false when it has none and is no
// X.509-SVID at all. An SVID has exactly one URI (X.509-SVID, section 2).
func (c *Certificate) SPIFFEID() (id, trustDomain string, ok bool) {
	if len(c.Leaf.URIs) != 1 {
		return "", "", false
	}
	id = c.Leaf.URIs[0].String()
	trustDomain, ok = ParseSPIFFEID(id)
	return id, trustDomain, ok
}

// SVID verifies the certificate as an X.509-SVID of a trust domain: its chain by the
// domain's own authorities, and its uses (X.509-SVID, sections 4 and 5).
func (c *Certificate) SVID(authorities *x509.CertPool, now time.Time) *policy.Refusal {
	if ref := c.Chain(authorities, now); ref != nil {
		return ref
	}
	usage := c.Leaf.KeyUsage
	if usage&x509.KeyUsageDigitalSignature == 0 || usage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return untrusted("its key usage is not that of a workload's X.509-SVID")
	}
	return nil
}
