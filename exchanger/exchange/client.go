// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"crypto/sha256"

	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof/certname"
)

func (x *exchange) authenticate(ctx context.Context) *policy.Refusal {
	p := x.params
	c := clientauth.Credentials{ClientID: p.ClientID, ClientSecret: p.ClientSecret, AssertionType: p.ClientAssertionType, Assertion: p.ClientAssertion, Certificate: certificateOf(x.call)}
	var ref *policy.Refusal
	c.BasicID, c.BasicSecret, c.BasicPresent, ref = oauth.ParseBasic(x.call.Authorization)
	if ref != nil {
		return ref
	}
	id := c.ClientID
	if c.BasicPresent {
		id = c.BasicID
	}
	if _, known := x.call.Service.Client(id); known {
		x.record.Client = id
	}
	if c.Assertion != "" {
		// Nobody has vouched yet for whom it names, and a signature is not found by
		// guessing. Counted by its digest, one that is sent over and over locks out
		// itself alone, and nobody else who comes from the same address.
		x.assertion = sha256.Sum256([]byte(c.Assertion))
		id = string(x.assertion[:])
	} else if c.ClientSecret == "" && !c.BasicPresent {
		// The same for a certificate. Without any credential there is nothing to guess:
		// whoever names a public client must not lock out all others who do.
		if id = ""; c.Certificate != nil {
			id = certname.Thumbprint(c.Certificate.Leaf)
		}
	}
	if x.Failures != nil && !x.Failures.Allow(id, x.call.Peer, x.now) {
		return limited("too many failed authentications")
	}
	x.client, ref = x.Clients.Authenticate(ctx, x.call.Service, c, x.now)
	if ref != nil {
		if x.Failures != nil && ref.Outcome == policy.Denied && ref.Reason != policy.FormInvalid {
			x.Failures.Failed(id, x.call.Peer, x.now)
		}
		return ref
	}
	x.record.Client = x.client.ID
	x.later(x.client.Consume)
	s := x.call.Service.Spec()
	if x.Rates != nil && s.ClientRate > 0 && !x.Rates.Allow(s.Name, x.client.ID, s.ClientRate, s.ClientBurst, x.now) {
		return limited("limits.requestsPerSecond of TokenService " + s.Name)
	}
	return nil
}

func limited(detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Denied, Reason: policy.RateLimited, Check: "rate", Detail: detail}
}
