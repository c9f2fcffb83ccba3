// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/x509"

	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/saml"
)

// samlMetadata writes the SAML metadata of a token service; false when it has no key
// that makes XML signatures.
func samlMetadata(ring *keys.Ring, service, issuer, endpoint string) ([]byte, bool) {
	current, ok := ring.Current(service)
	if !ok {
		return nil, false
	}
	var certificates []*x509.Certificate
	for _, c := range current.Certificates() {
		certificates = append(certificates, c.Certificate)
	}
	if len(certificates) == 0 {
		return nil, false
	}
	document, err := saml.Metadata(issuer, endpoint, certificates)
	return document, err == nil
}
