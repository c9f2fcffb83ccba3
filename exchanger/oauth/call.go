// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/x509"
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
	// Ask is which endpoint was asked.
	Ask Ask
	// Body is the form, at most 64 KiB. It is valid until Exchange returns.
	Body []byte
	// Authorization is the header's value, empty when absent. It has been checked
	// that there is at most one.
	Authorization string
	// DPoP are the values of the DPoP headers; more than one is a mistake.
	DPoP []string
	// Certificates are the client's TLS certificates as they were presented, its own
	// first; nil when it showed none. That the client has the key was proved by the
	// handshake; who vouches for it was not looked at.
	Certificates []*x509.Certificate
	// CorrelationID is ours: 128 random bits or more, printable ASCII.
	CorrelationID string
	// Peer is the address of the connection, never a header's.
	Peer netip.Addr
	// Start is when the request's header had been read.
	Start time.Time
}

// Answer is how a call ended: a Response or a Document, or the Refusal that says why not.
// Neither is a bug, and is answered as one.
type Answer struct {
	Response *Response
	// Document is the answer of the other endpoints; it may be empty, and is not nil.
	Document []byte
	Refusal  *policy.Refusal
	// Grant is that of the request, as far as it could be read.
	Grant policy.GrantType
	// DPoPNonce is a nonce for the next DPoP proof, empty for none.
	DPoPNonce string
	// RetryAfter, in seconds, replaces the constant of the refusal's reason when
	// it is positive.
	RetryAfter int
}
