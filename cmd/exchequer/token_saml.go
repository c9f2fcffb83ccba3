// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/saml"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
)

// decodeAssertion shows a SAML assertion as claims, which is how the exchange sees
// it. One that the exchange would not read is not shown: what it says depends on who
// reads it.
func decodeAssertion(token string, now time.Time) (*decodedToken, error) {
	document, err := saml.Parse(token, 0)
	if err != nil {
		return nil, usage("this is neither a JWT nor a SAML assertion that the exchange would read: %w", err)
	}
	d := &decodedToken{Header: map[string]any{"type": "SAML 2.0 assertion"}}
	said, err := document.Unverified()
	if err != nil {
		return nil, usage("the exchange would not accept this SAML assertion: %w", err)
	}
	d.Header["recipient"] = said.Recipient
	if said.OneTimeUse {
		d.Header["oneTimeUse"] = true
	}
	d.Claims = subject.AssertionClaims(said)
	d.Times = decodedTimes(d.Claims, now)
	return d, nil
}
