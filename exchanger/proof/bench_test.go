// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package proof_test

import (
	"crypto/x509"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/proof"
)

// A proof costs one signature check; what stands beside it in a request is checked
// from a cache.
func BenchmarkDPoP(b *testing.B) {
	svc, v := service(b, "default"), verifier(b)
	endpoints, headers := proof.Endpoints(svc, "token"), []string{made(b, nil)}
	for b.Loop() {
		if _, ref := v.DPoP(svc, endpoints, headers, nil, now); ref != nil {
			b.Fatal(ref)
		}
	}
}

// A certificate costs a check for each one above it.
func BenchmarkChain(b *testing.B) {
	root := anAuthority(b, nil, "root")
	between := anAuthority(b, root, "between")
	c, authorities := &proof.Certificate{Leaf: issue(b, between, nil).cert, Intermediates: []*x509.Certificate{between.cert}}, pool(root)
	for b.Loop() {
		if ref := c.Chain(authorities, now); ref != nil {
			b.Fatal(ref)
		}
	}
}
