// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package proof

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// MaxChain is how many certificates a chain may have, the client's own and the
// authority among them.
const MaxChain = 4

// Certificate is a client certificate as the transport hands it over: the holder of
// its key is at the other end, and nothing is verified about the certificate yet.
type Certificate struct {
	Leaf *x509.Certificate
	// Intermediates are what the client sent besides, in its order.
	Intermediates []*x509.Certificate
}

// Chain verifies that one of the authorities vouches for the certificate now, for
// the purpose of TLS clients, over at most [MaxChain] certificates. Authorities are
// roots whoever signed them.
func (c *Certificate) Chain(authorities *x509.CertPool, now time.Time) *policy.Refusal {
	if authorities == nil {
		return untrusted("nobody declared an authority for client certificates")
	}
	if 1+len(c.Intermediates) > MaxChain {
		return untrusted("the chain has more than four certificates")
	}
	between := x509.NewCertPool()
	for _, i := range c.Intermediates {
		between.AddCert(i)
	}
	chains, err := c.Leaf.Verify(x509.VerifyOptions{
		Roots: authorities, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	switch {
	case err != nil:
		return untrusted(whyNot(err))
	case !slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool { return len(chain) <= MaxChain }):
		return untrusted("the chain has more than four certificates")
	case c.Leaf.IsCA:
		return untrusted("it is an authority's, not a client's")
	}
	return nil
}

// Alone verifies what can be told of a certificate that is known by its hash: that
// it is good now, and for TLS clients.
func (c *Certificate) Alone(now time.Time) *policy.Refusal {
	switch {
	case now.Before(c.Leaf.NotBefore) || now.After(c.Leaf.NotAfter):
		return untrusted(outOfTime)
	case !forClients(c.Leaf):
		return untrusted(otherPurpose)
	}
	return nil
}

// forClients says whether the certificate is for TLS clients: one that names no
// purpose is for any (RFC 5280, section 4.2.1.12).
func forClients(cert *x509.Certificate) bool {
	if len(cert.ExtKeyUsage) == 0 && len(cert.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny)
}

const (
	outOfTime    = "it has expired, or is not valid yet"
	otherPurpose = "its purposes (extended key usage) do not include clientAuth"
)

// whyNot says in our words why a chain does not hold: errors of crypto/x509 quote
// the certificate.
func whyNot(err error) string {
	switch e := err.(type) { //nolint:errorlint // Verify wraps none of them
	case x509.CertificateInvalidError:
		switch e.Reason { //nolint:exhaustive // every other reason is about the chain as a whole
		case x509.Expired:
			return outOfTime
		case x509.IncompatibleUsage:
			return otherPurpose
		case x509.TooManyIntermediates:
			return "the chain is longer than an authority allows"
		}
	case x509.UnknownAuthorityError:
		return "none of the declared authorities vouches for it"
	}
	return "its chain does not verify"
}

func untrusted(detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Denied, Reason: policy.ClientCredentials, Detail: "client certificate: " + detail}
}
