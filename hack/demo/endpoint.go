// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// workload is a client with its secret.
type workload struct{ id, secret string }

// request is what a workload asks for.
type request struct {
	by              workload
	token           *token
	audience, scope string
}

const tokenType = "urn:ietf:params:oauth:token-type:access_token"

func (r *request) form() url.Values {
	return url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":      {r.token.raw},
		"subject_token_type": {tokenType},
		"audience":           {r.audience},
		"scope":              {r.scope},
	}
}

// answer is what came back, whichever it was.
type answer struct {
	status  int
	noStore bool

	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int    `json:"expires_in"`
	Scope           string `json:"scope"`

	Error         string `json:"error"`
	Description   string `json:"error_description"`
	CorrelationID string `json:"correlation_id"`
}

// send posts the request to the token endpoint (RFC 8693 section 2.1).
func (s *story) send(ctx context.Context, r *request) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.issuer+"/token", strings.NewReader(r.form().Encode()))
	if err != nil {
		return nil, fmt.Errorf("ask for a token: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// RFC 6749 section 2.3.1: both are form-encoded before they become Basic.
	req.SetBasicAuth(url.QueryEscape(r.by.id), url.QueryEscape(r.by.secret))
	res, err := s.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for a token: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	a := &answer{status: res.StatusCode, noStore: res.Header.Get("Cache-Control") == "no-store"}
	if err := json.NewDecoder(http.MaxBytesReader(nil, res.Body, 1<<20)).Decode(a); err != nil {
		return nil, fmt.Errorf("read the answer to a token request (%s): %w", res.Status, err)
	}
	s.asked++
	return a, nil
}

// record is an audit record, as far as the story looks at it.
type record struct {
	CorrelationID string   `json:"correlationID"`
	Outcome       string   `json:"outcome"`
	Reason        string   `json:"reason"`
	Client        string   `json:"client"`
	ScopeAsked    []string `json:"scopeAsked"`
	ScopeGranted  []string `json:"scopeGranted"`
	JTI           string   `json:"jti"`
	Targets       []struct {
		Target string `json:"target"`
		Policy string `json:"policy"`
	} `json:"targets"`
}

// records reads the audit file.
func (s *story) records() ([]record, error) {
	f, err := os.Open(s.auditFile)
	if err != nil {
		return nil, fmt.Errorf("read the audit records: %w", err)
	}
	defer func() { _ = f.Close() }()
	var all []record
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("read audit record %d: %w", len(all)+1, err)
		}
		all = append(all, r)
	}
	return all, lines.Err()
}

// everythingWritten is all that the server wrote: records and messages.
func (s *story) everythingWritten() (string, error) {
	b, err := os.ReadFile(s.auditFile)
	if err != nil {
		return "", fmt.Errorf("read the audit records: %w", err)
	}
	return string(b) + s.serving.words(), nil
}
