// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"slices"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
	"github.com/exchequer-dev/exchequer/exchanger/proof/certname"
)

// verifyProof verifies what the request proves to possess: a DPoP key, a client
// certificate, or both. What it used up once is used up at the end.
func (x *exchange) verifyProof(context.Context) *policy.Refusal {
	defer func() { x.record.Proof = x.proof }()
	p, svc := x.params, x.call.Service
	x.proof.HandoverJKT = p.HandoverJKT
	if c := certificateOf(x.call); c != nil && c.Alone(x.now) == nil {
		// Whoever vouches for it, its key is at the other end: that is what a token is
		// bound to (RFC 8705, section 3).
		x.proof.X5T = certname.Thumbprint(c.Leaf)
	}
	if len(x.call.DPoP) > 0 {
		held, ref := x.Proofs.DPoP(svc, proof.Endpoints(svc, endpointOf(x.call.Ask)), x.call.DPoP, []string{p.SubjectToken, p.ActorToken}, x.now)
		if ref != nil {
			return ref
		}
		x.proof.JKT, x.fresh = held.JKT, held.ByNonce()
		x.possession(held)
	}
	if p.SubjectTokenProof == "" {
		return nil
	}
	asking, ok := svc.Client(x.client.ID)
	if !ok {
		return nil // Decide says so.
	}
	held, ref := x.Proofs.Received(asking.Spec().Resources, p.SubjectTokenProof, p.SubjectToken, x.now)
	if ref != nil {
		return ref
	}
	x.proof.SubjectJKT = held.JKT
	x.possession(held)
	return nil
}

// endpointOf is what stands behind the issuer in the address that a proof is for.
func endpointOf(ask oauth.Ask) string {
	if ask == oauth.AskLink {
		return "links"
	}
	return "token"
}

// possession uses a proof up before the client's own credential: a client that is
// asked for another proof sends the same assertion again.
func (x *exchange) possession(held *proof.Possession) {
	use := func(ctx context.Context) *policy.Refusal { return held.Consume(ctx, x.call.Service, x.client.ID) }
	x.uses = slices.Insert(x.uses, 0, use)
}

// nonce is what the DPoP-Nonce header says: a new one where one was asked for, and
// where one was used, so that the next request has it at once (RFC 9449, section 8.2).
func (x *exchange) nonce(ref *policy.Refusal) string {
	if x.fresh || ref != nil && ref.Reason == policy.ProofNonce {
		return x.Proofs.Nonce(x.call.Service, x.now)
	}
	return ""
}

// certificateOf is the client's TLS certificate; nil when it showed none.
func certificateOf(call *oauth.Call) *proof.Certificate {
	if len(call.Certificates) == 0 {
		return nil
	}
	return &proof.Certificate{Leaf: call.Certificates[0], Intermediates: call.Certificates[1:]}
}

// presentation is the token_type of an access token: how it is to be shown (RFC
// 9449, section 5; RFC 6750).
func presentation(g *policy.Grant) string {
	kind := oauth.TokenTypeFor(g.TokenType)
	if kind == oauth.TokenTypeBearer && g.Confirmation.JKT != "" {
		return oauth.TokenTypeDPoP
	}
	return kind
}
