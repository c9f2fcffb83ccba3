// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/base64"
	"errors"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// readProof looks whether an example proves keys that a token can be bound to.
func readProof(p *v1alpha1.ExampleProof) error {
	if p == nil {
		return nil
	}
	given := 0
	for _, thumbprint := range [...]string{p.JKT, p.X5TS256, p.Received} {
		switch {
		case thumbprint == "":
		case !isThumbprint(thumbprint):
			return errors.New("given.proof: expected SHA-256 thumbprints of 43 base64url characters")
		default:
			given++
		}
	}
	switch {
	case given == 0:
		return errors.New("given.proof: expected one of jkt, x5t#S256 and received")
	case p.Received != "" && p.JKT == "":
		return errors.New("given.proof.received stands beside jkt: a key that replaces another one")
	}
	return nil
}

// isThumbprint says whether a text is a SHA-256 as cnf has it: of a key (RFC 7638) or
// of a certificate (RFC 8705).
func isThumbprint(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 32
}
