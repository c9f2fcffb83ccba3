// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// recorded is what a record says of the request that was decided again.
type recorded struct {
	Outcome  string        `json:"outcome"`
	Reason   policy.Reason `json:"reason,omitempty"`
	Check    string        `json:"check,omitempty"`
	Revision uint64        `json:"revision"`
	// Same says that the decision is the one that is recorded.
	Same bool `json:"same"`
}

// replays says whether a recorded request is to be decided again.
func (f *explainFlags) replays() bool {
	return f.correlationID != "" && (f.manifests != "" || f.cluster)
}

// checkReplay finds flags that do not go with that: the record says who asked for
// what, and when.
func (f *explainFlags) checkReplay() error {
	for flag, given := range map[string]bool{
		"--client": f.client != "", "--token-service": f.tokenService != "", "--audience": len(f.audience) > 0, "--resource": len(f.resource) > 0,
		"--scope": f.scope != "", "--requested-token-type": f.requestedTokenType != "", "--time": f.at != "",
		"--requested-subject": f.requestedSubject != "", "--reason": f.reason != "",
		"--proof-jkt": f.proofJKT != "", "--proof-x5t": f.proofX5T != "", "--received-proof-jkt": f.receivedJKT != "",
	} {
		if given {
			return usage("%s: the record says who asked for what, and when: leave it out", flag)
		}
	}
	if f.audit == "-" && (f.subjectToken == "-" || f.subjectClaims == "-" || f.actor == "-") {
		return usage("standard input (-) can be only one of them")
	}
	return nil
}

// replay decides a recorded request again.
func (f *explainFlags) replay(ctx context.Context, stdin io.Reader, now func() time.Time) (*explanation, error) {
	record, err := f.record(stdin)
	if err != nil {
		return nil, err
	}
	switch {
	case record.Grant != oauth.GrantTokenExchange && record.Grant != oauth.GrantJWTBearer:
		return nil, usage("--correlation-id: only exchanges and assertions can be decided again, and that request was none (grant %q)", record.Grant)
	case strings.HasPrefix(record.Proof.JKT+record.Proof.X5T, "~"):
		return nil, usage("--correlation-id: the record has pseudonyms in the place of the keys that were proved, so that nobody can decide it again")
	case strings.HasPrefix(record.RequestedSubject, "~"):
		return nil, usage("--correlation-id: the record has a pseudonym in the place of the requested subject, so that nobody can decide it again")
	}
	again := *f
	again.client, again.tokenService, again.at = record.Client, record.TokenService, record.Time.Format(time.RFC3339Nano)
	again.scope, again.requestedTokenType = strings.Join(record.ScopeAsked, " "), tokenTypeOf(record.TokenType)
	again.requestedSubject, again.reason = record.RequestedSubject, record.StatedReason
	again.proofJKT, again.proofX5T, again.receivedJKT = record.Proof.JKT, record.Proof.X5T, record.Proof.SubjectJKT
	again.audience, again.recorded = record.Audiences, record
	if record.Grant == oauth.GrantJWTBearer && !policy.Class(f.tokenType).IsAssertion() {
		again.tokenType = string(policy.ClassJWTBearer)
	}
	r, err := explainRequest(ctx, stdin, &again, now)
	if err != nil {
		return nil, err
	}
	r.CorrelationID = record.CorrelationID
	r.compare(record)
	return r, nil
}

func tokenTypeOf(t policy.TokenType) string {
	switch t { //nolint:exhaustive // the flag takes these two by their words
	case policy.TypeAccessToken, policy.TypeJWT, "":
		return string(t)
	}
	return oauth.TokenTypeURN(t)
}

// apart tells the audiences and the resources of a record apart, which has both in one
// list: what is a resource of some client of the token service is one.
func apart(names []string, clients []policy.Client, service string) (audiences, resources []string) {
	for _, name := range names {
		resource := slices.ContainsFunc(clients, func(c policy.Client) bool {
			return c.TokenService == service && slices.Contains(c.Resources, name) && !slices.Contains(c.Audiences, name)
		})
		if resource {
			resources = append(resources, name)
		} else {
			audiences = append(audiences, name)
		}
	}
	return audiences, resources
}

// sameToken wants the very token of the request.
func sameToken(record *audit.Record, token string) error {
	if token == "" || slices.Contains(record.TokensIn, sha256.Sum256([]byte(token))) {
		return nil
	}
	return usage("--subject-token: it is not the token of that request: the record has no such SHA-256 in tokensIn")
}

// compare says whether what was decided is what is recorded.
func (r *explanation) compare(record *audit.Record) {
	was := recordExplanation(record)
	r.Recorded = &recorded{
		Outcome: was.Outcome, Reason: was.Reason, Check: was.Check, Revision: was.Revision,
		Same: r.Outcome == was.Outcome && r.Reason == was.Reason && r.Check == was.Check,
	}
	if r.Recorded.Same && was.Allowed && r.Token != nil && was.Token != nil {
		r.Recorded.Same = slices.Equal(r.Token.Policies, was.Token.Policies) && r.Token.Scope == was.Token.Scope
	}
	switch {
	case r.Recorded.Same:
		r.Notes = append(r.Notes, fmt.Sprintf("decided again, as it is recorded at revision %d", record.Revision))
	case was.Allowed:
		r.Notes = append(r.Notes, fmt.Sprintf("NOT as it is recorded at revision %d: allowed%s; were the manifests others then?", record.Revision, was.by()))
	default:
		r.Notes = append(r.Notes, fmt.Sprintf("NOT as it is recorded at revision %d: %s %s%s: %s", record.Revision, was.Outcome, was.Reason, was.at(), was.Detail))
	}
}
