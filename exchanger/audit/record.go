// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/sha256"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Record is everything that is kept about one request. Members that are not
// known (a client that never authenticated, a token that was never verified)
// are left at their zero value.
type Record struct {
	// Time is when the request arrived.
	Time          time.Time
	CorrelationID string
	Outcome       policy.Outcome
	Reason        policy.Reason
	TokenService  string
	// Client is the authenticated client's ID, or the known client that failed to
	// authenticate.
	Client       string
	Subject      Identity
	Actor        Identity
	Impersonator *Impersonator
	// RequestedSubject is whom the request asked to be impersonated, and StatedReason
	// why; they are written when the request has them.
	RequestedSubject string
	StatedReason     string
	// Proof has the keys that the request proved to have; it is written when there
	// are any.
	Proof   policy.Proof
	Targets []policy.TargetPolicy
	Grant   string
	// Endpoint is which endpoint was asked, empty for the token endpoint. It is not
	// written: Grant has the same word.
	Endpoint string
	// Audiences and Resources are as asked; they share the key audience.
	Audiences    []string
	Resources    []string
	ScopeAsked   []string
	ScopeGranted []string
	TokenType    policy.TokenType
	// Revision is the snapshot's that decided.
	Revision uint64
	// KeyID and TokenID are kid and jti of the token that was issued.
	KeyID       string
	TokenID     string
	Transaction string
	// TokensIn are the digests of all credentials and tokens that were presented.
	TokensIn [][sha256.Size]byte
	Duration time.Duration

	// Check and Detail say which check refused and what it found; Trace has every
	// policy that was considered. They are written for refusals only.
	Check  string
	Detail string
	Trace  []policy.TargetTrace
}

// Identity is a subject or an actor: the mapped subject under its TrustedIssuer.
type Identity struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"sub"`
}

// Impersonator is who acted under an ImpersonationGrant.
type Impersonator struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"`
	Grant    string `json:"grant"`
}
