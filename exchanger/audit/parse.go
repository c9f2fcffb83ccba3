// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// line is a record as it stands in a file.
type line struct {
	Time           time.Time             `json:"time"`
	CorrelationID  string                `json:"correlationID"`
	Outcome        string                `json:"outcome"`
	Reason         policy.Reason         `json:"reason"`
	TokenService   string                `json:"tokenService"`
	Client         string                `json:"client"`
	Subject        Identity              `json:"subject"`
	Actor          Identity              `json:"actor"`
	Impersonator   *Impersonator         `json:"impersonator"`
	Targets        []policy.TargetPolicy `json:"targets"`
	Grant          string                `json:"grant"`
	Audience       []string              `json:"audience"`
	ScopeAsked     []string              `json:"scopeAsked"`
	ScopeGranted   []string              `json:"scopeGranted"`
	TokenType      policy.TokenType      `json:"tokenType"`
	Revision       uint64                `json:"revision"`
	KeyID          string                `json:"kid"`
	TokenID        string                `json:"jti"`
	Transaction    string                `json:"txn"`
	TokensIn       []string              `json:"tokensIn"`
	DurationMicros int64                 `json:"durationMicros"`
	Requested      string                `json:"requestedSubject"`
	StatedReason   string                `json:"statedReason"`
	Proof          struct {
		JKT      string `json:"jkt"`
		X5T      string `json:"x5t#S256"`
		Received string `json:"received"`
		Handover string `json:"handover"`
	} `json:"proof"`
	Check  string               `json:"check"`
	Detail string               `json:"detail"`
	Trace  []policy.TargetTrace `json:"trace"`
}

// Parse reads one line that [Record.AppendJSON] wrote. Everything that was asked
// for is in Audiences: a record does not tell the two parameters apart.
func Parse(b []byte) (*Record, error) {
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, fmt.Errorf("read an audit record: %w", err)
	}
	r := &Record{
		Time: l.Time, CorrelationID: l.CorrelationID, Reason: l.Reason, TokenService: l.TokenService,
		Client: l.Client, Subject: l.Subject, Actor: l.Actor, Impersonator: l.Impersonator,
		RequestedSubject: l.Requested, StatedReason: l.StatedReason,
		Proof:   policy.Proof{JKT: l.Proof.JKT, X5T: l.Proof.X5T, SubjectJKT: l.Proof.Received, HandoverJKT: l.Proof.Handover},
		Targets: l.Targets, Grant: l.Grant, Audiences: l.Audience,
		ScopeAsked: l.ScopeAsked, ScopeGranted: l.ScopeGranted, TokenType: l.TokenType, Revision: l.Revision,
		KeyID: l.KeyID, TokenID: l.TokenID, Transaction: l.Transaction,
		Duration: time.Duration(l.DurationMicros) * time.Microsecond,
		Check:    l.Check, Detail: l.Detail, Trace: l.Trace,
	}
	switch l.Outcome {
	case policy.Allowed.String():
		r.Outcome = policy.Allowed
	case policy.Unable.String():
		r.Outcome = policy.Unable
	case policy.Denied.String():
		r.Outcome = policy.Denied
	default:
		return nil, fmt.Errorf("read an audit record: outcome %q is none of allowed, unable and denied", l.Outcome)
	}
	for _, digest := range l.TokensIn {
		raw, err := hex.DecodeString(digest)
		if err != nil || len(raw) != sha256.Size {
			return nil, fmt.Errorf("read an audit record: tokensIn has %q, expected the hex of a SHA-256", digest)
		}
		r.TokensIn = append(r.TokensIn, [sha256.Size]byte(raw))
	}
	return r, nil
}
