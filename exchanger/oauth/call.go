// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/netip"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Call is one request to a token endpoint, as the transport hands it over: what
// was sent, by whom, and the snapshot that decides it from beginning to end.
type Call struct {
	// Snapshot was loaded once for this request; Service is the token service of
	// it whose endpoint was asked.
	Snapshot *policy.Snapshot
	Service  *policy.TokenService
	// Body is the form, at most 64 KiB. It is valid until Exchange returns.
	Body []byte
	// Authorization is the header's value, empty when absent. It has been checked
	// that there is at most one.
	Authorization string
	// HasDPoP says that a DPoP header was sent.
	HasDPoP bool
	// CorrelationID is ours: 128 random bits or more, printable ASCII.
	CorrelationID string
	// Peer is the address of the connection, never a header's.
	Peer netip.Addr
	// Start is when the request's header had been read.
	Start time.Time
}

// Answer is how a call ended: a Response, or the Refusal that says why not.
// Neither is a bug, and is answered as one.
type Answer struct {
	Response *Response
	Refusal  *policy.Refusal
	// RetryAfter, in seconds, replaces the constant of the refusal's reason when
	// it is positive.
	RetryAfter int
}
