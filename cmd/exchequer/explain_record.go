// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// maxRecord bounds one line of an audit file: 16 targets and 64 scopes of 2 KiB
// each, and a trace of 16 times 100 policies of 200 bytes, are below 512 KiB.
const maxRecord = 512 << 10

// explainRecord tells what the record of a request says.
func explainRecord(stdin io.Reader, f *explainFlags) (*explanation, error) {
	record, err := f.record(stdin)
	if err != nil {
		return nil, err
	}
	return recordExplanation(record), nil
}

// record finds the record of a request in an audit file.
func (f *explainFlags) record(stdin io.Reader) (*audit.Record, error) {
	from := stdin
	if f.audit != "-" {
		file, err := os.Open(f.audit)
		if err != nil {
			return nil, usage("--audit: %w", err)
		}
		defer func() { _ = file.Close() }()
		from = file
	}
	return findRecord(from, f.correlationID)
}

// findRecord reads line by line. Lines that are no records, such as other
// programs write to the same stream, are passed over.
func findRecord(from io.Reader, id string) (*audit.Record, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 64<<10), maxRecord)
	want := []byte(id)
	records := 0
	for lines.Scan() {
		line := lines.Bytes()
		if !bytes.Contains(line, []byte(`"correlationID"`)) {
			continue
		}
		records++
		if !bytes.Contains(line, want) {
			continue
		}
		r, err := audit.Parse(line)
		if err == nil && r.CorrelationID == id {
			return r, nil
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, usage("--audit: a line has more than %d bytes: this is no file of audit records", maxRecord)
	case err != nil:
		return nil, usage("--audit: %w", err)
	case records == 0:
		return nil, usage("--audit: no audit records in it: expected lines of JSON as the exchanger writes them")
	}
	return nil, usage("--correlation-id: none of %s has it; is this the file of that replica and that day?", count(records, "record"))
}

func recordExplanation(a *audit.Record) *explanation {
	r := &explanation{
		Allowed: a.Outcome == policy.Allowed, Outcome: a.Outcome.String(), Reason: a.Reason, Check: a.Check, Detail: a.Detail,
		CorrelationID: a.CorrelationID, Revision: a.Revision, Time: a.Time, TokenService: a.TokenService, Client: a.Client,
		Asked: asked{Audience: a.Audiences, Resource: a.Resources, Scope: a.ScopeAsked, TokenType: a.TokenType, Subject: a.RequestedSubject, Reason: a.StatedReason}, Targets: a.Trace,
	}
	if a.Subject.Subject != "" {
		r.Subject = &explainedSubject{Issuer: a.Subject.Issuer, Subject: a.Subject.Subject}
	}
	if a.Actor.Subject != "" {
		r.Actor = &explainedSubject{Issuer: a.Actor.Issuer, Subject: a.Actor.Subject}
	}
	if r.Allowed {
		names := make([]string, 0, len(a.Targets))
		for _, t := range a.Targets {
			names = append(names, t.Target)
		}
		r.Token = &explainedToken{
			Audience: names, Scope: strings.Join(a.ScopeGranted, " "), Policies: a.Targets,
			Impersonator: (*policy.Impersonator)(a.Impersonator),
			TokenID:      a.TokenID, KeyID: a.KeyID, Transaction: a.Transaction,
		}
	}
	return r
}
