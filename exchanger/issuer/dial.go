// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"crypto/x509"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
)

// Way is how this process reaches other servers; the zero value is directly.
type Way struct {
	// Proxy is what connections leave through, save to those with AllowedCIDRs
	// (egress.Rules.Direct); nil for none. RootCAs are who may sign its certificate.
	Proxy   *Proxy
	RootCAs *x509.CertPool
	// Resolver and Dial replace the network; nil for the system's.
	Resolver egress.Resolver
	Dial     egress.DialFunc
}

// Dialer returns what dials addresses that the rules allow, and no others. It has
// the shape that http.Transport wants.
func (w Way) Dialer(rules egress.Rules) egress.DialFunc {
	if w.Proxy != nil && !rules.Direct() {
		return (&tunnel{proxy: w.Proxy, rules: rules, roots: w.RootCAs, resolver: w.Resolver, dial: w.Dial}).DialContext
	}
	return (&egress.Dialer{Rules: rules, Resolver: w.Resolver, Dial: w.Dial}).DialContext
}

// Classify gives an error of a connection that Dialer made, or did not make, its
// place in the closed set. duringTLS says that the handshake was what failed.
func Classify(err error, duringTLS bool) Result { return classify(err, duringTLS) }
