// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package proof

import (
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Received verifies a proof that a client received at its own resource together
// with the token that it presents (subject_token_proof): that the caller of that
// resource had the token's key, a minute ago at most. resources are the client's.
//
// A nonce in it is the resource's own, and nothing to us. There is no way to ask for
// another proof here: where the store cannot tell whether it was used, nobody can.
func (v *Verifier) Received(resources []string, proof, token string, now time.Time) (*Possession, *policy.Refusal) {
	c, ref := read(proof)
	if ref == nil {
		switch {
		case c.hash != hashOf(token):
			ref = invalid("ath is missing, or is not of the subject token")
		case !below(c.uri, resources):
			ref = invalid("htu is none of the resources of the asking client")
		default:
			ref = c.recent(now)
		}
	}
	if ref == nil && c.made.Before(v.uses.Since()) {
		ref = invalid("it was made before this process started, which does not know whether it was used already; a shared store would know")
	}
	if ref != nil {
		ref.Detail = "subject_token_proof: " + ref.Detail
		return nil, ref
	}
	return &Possession{
		JKT: c.key, id: "received " + c.key + " " + c.id, made: c.made, until: c.made.Add(window), received: true, uses: v.uses,
	}, nil
}
