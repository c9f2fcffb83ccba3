// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"
)

// TypeHeaderTransaction is the typ of a transaction token
// (draft-ietf-oauth-transaction-tokens).
const TypeHeaderTransaction = "txntoken+jwt"

const (
	// maxTransactionLife bounds a transaction token: it lives as long as the calls of
	// one request, whatever lifetimes access tokens have.
	maxTransactionLife = 5 * time.Minute
	// maxWorkloads bounds how often a transaction token is replaced. Sixteen workloads
	// that each ask for one are a long way; each costs up to 256 bytes in the token.
	maxWorkloads = 16
)

// The claims of transaction tokens that no policy can set.
const (
	claimWorkload  = "req_wl"
	claimWorkloads = "req_wl_chain"
	claimDetails   = "tctx"
	claimContext   = "rctx"
)

// Transaction is what only a transaction token says.
type Transaction struct {
	// Details (tctx) are what the transaction is about, and never change; Context (rctx)
	// is where the request came from.
	Details map[string]any
	Context map[string]any
	// Workloads are the clients that asked for a token of the transaction, the first
	// one first, the asking one last.
	Workloads []string
}

// transaction holds a request for a transaction token against what the draft wants of
// every one, and keeps such a token out of everything else: it says what a call is
// about, and opens nothing.
func (d *deciding) transaction() *Refusal {
	r := d.request
	before := r.Subject.Class == ClassTransaction
	if r.TokenType != TypeTransaction {
		switch {
		case before:
			return deny(TokenTypeNotGranted, "a transaction token is replaced by a transaction token, and by nothing else")
		case r.Details != nil || r.Context != nil:
			return deny(ParameterUnsupported, "request_details and request_context belong to a requested_token_type of txn_token")
		}
		return nil
	}
	switch {
	case r.Client.Public:
		return deny(ClientGrant, "transaction tokens are for workloads that authenticate, and "+d.client.spec.ID+" is public")
	case len(r.Audiences) != 1 || len(r.Resources) > 0:
		return deny(FormInvalid, "a transaction token is for one trust domain: send its name as the one audience, and no resource")
	case !r.ScopesGiven:
		return deny(FormInvalid, "a transaction token needs scope: what the transaction is for")
	case before && !slices.Equal(r.Subject.Audiences, r.Audiences):
		return deny(TargetNotGranted, "a transaction token is replaced for its own trust domain only")
	case before && r.Details != nil:
		return deny(FormInvalid, "request_details: what a transaction is about does not change when its token is replaced")
	case before && len(workloadsOf(r.Subject)) >= maxWorkloads:
		return deny(PolicyRule, "the transaction token was replaced 15 times, which is the most")
	}
	return nil
}

// workloadsOf are the workloads that a transaction token of ours tells of.
func workloadsOf(t *Token) []string {
	list, _ := stringList(t.Claims[claimWorkloads])
	return list
}

// transact writes into the grant what only transaction tokens say. What a replaced
// token said of the transaction stays; where the request came from may be told anew.
func (d *deciding) transact(g *Grant) *Refusal {
	r := d.request
	if r.TokenType != TypeTransaction {
		return nil
	}
	if len(g.Scopes) == 0 {
		return combined(ScopeNotGranted, "a transaction token needs a scope, and none that stands in a token is left")
	}
	for i := range g.Claims {
		switch g.Claims[i].Name {
		case claimWorkload, claimWorkloads, claimDetails, claimContext:
			return combined(ClaimInvalid, "claim "+g.Claims[i].Name+" is the transaction token's own")
		}
	}
	t := &Transaction{Details: r.Details, Context: r.Context}
	if r.Subject.Class == ClassTransaction {
		t.Details, _ = r.Subject.Claims[claimDetails].(map[string]any)
		if t.Context == nil {
			t.Context, _ = r.Subject.Claims[claimContext].(map[string]any)
		}
		t.Workloads = append(t.Workloads, workloadsOf(r.Subject)...)
	}
	t.Workloads = append(t.Workloads, d.client.spec.ID)
	g.Transaction = t
	return nil
}

// longest is the most that a type of token may live, whatever policies say; zero is
// no further bound. An ID-JAG is made for one request at another domain's server.
func (t TokenType) longest() time.Duration {
	switch t {
	case TypeTransaction:
		return maxTransactionLife
	case TypeIDJAG:
		return MaxAssertionLife
	case TypeAccessToken, TypeJWT, TypeIDToken, TypeSAML2, TypeHandover, TypeRefreshToken:
	}
	return 0
}
