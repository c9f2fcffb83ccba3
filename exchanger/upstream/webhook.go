// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
)

// APIVersion is the apiVersion of every review.
const APIVersion = "webhook.exchequer.dev/v1alpha1"

// The kinds of review.
const (
	VerifyReview    = "VerifyReview"
	DirectoryReview = "DirectoryReview"
	TargetReview    = "TargetReview"
)

// VerifyRequest asks what a token is.
type VerifyRequest struct {
	TokenService string `json:"tokenService"`
	// TrustedIssuer is the name of the one that asks.
	TrustedIssuer string `json:"trustedIssuer"`
	// TokenType is the subject_token_type that selected it.
	TokenType string `json:"tokenType"`
	Token     string `json:"token"`
}

// Verified is what a webhook says of a token that it vouches for.
type Verified struct {
	Claims map[string]any
}

// Verify sends a VerifyReview. A token that is not authenticated is [*Refused].
func (c *Client) Verify(ctx context.Context, s *Server, r *VerifyRequest) (*Verified, error) {
	var v *Verified
	err := c.review(ctx, s, VerifyReview, r, []string{"authenticated", "claims", "error"}, func(response map[string]any) (err error) {
		v, err = readVerified(response)
		return err
	})
	return v, err
}

func readVerified(response map[string]any) (*Verified, error) {
	authenticated, ok := response["authenticated"].(bool)
	claims, has := response["claims"].(map[string]any)
	switch {
	case !ok:
		return nil, failed(ResultMalformed, "response.authenticated of its review is not a boolean")
	case !authenticated || said(response):
		return nil, &Refused{}
	case !has:
		return nil, failed(ResultMalformed, "response.claims of its review is not an object")
	}
	return &Verified{Claims: claims}, nil
}

// DirectoryRequest asks what a directory knows of a subject.
type DirectoryRequest struct {
	TokenService  string `json:"tokenService"`
	TrustedIssuer string `json:"trustedIssuer"`
	// Subject is the subject as the issuer's mapping gives it, without the prefix.
	Subject string `json:"subject"`
	// Claims are the claims of the verified token; absent when a subject is looked up
	// of which there is no token.
	Claims map[string]any `json:"claims,omitempty"`
}

// Entry is what a directory knows. A nil member was not said.
type Entry struct {
	Subject  string
	Username string
	Groups   []string
	// Extra values are strings or []string.
	Extra map[string]any
}

// Directory sends a DirectoryReview. A subject that the directory does not want is
// [*Refused].
func (c *Client) Directory(ctx context.Context, s *Server, r *DirectoryRequest) (*Entry, error) {
	var e *Entry
	err := c.review(ctx, s, DirectoryReview, r, []string{"subject", "username", "groups", "extra", "error"}, func(response map[string]any) (err error) {
		e, err = readEntry(response)
		return err
	})
	return e, err
}

func readEntry(response map[string]any) (*Entry, error) {
	if said(response) {
		return nil, &Refused{}
	}
	e := &Entry{}
	ok := text(response, "subject", &e.Subject) && text(response, "username", &e.Username) && list(response["groups"], &e.Groups)
	if extra, there := response["extra"]; ok && there && extra != nil {
		all, isMap := extra.(map[string]any)
		e.Extra, ok = map[string]any{}, isMap
		for _, key := range slices.Sorted(maps.Keys(all)) {
			var many []string
			one, isText := all[key].(string)
			switch {
			case isText:
				e.Extra[key] = one
			case all[key] != nil && list(all[key], &many):
				e.Extra[key] = many
			default:
				ok = false
			}
		}
	}
	if !ok {
		return nil, failed(ResultMalformed, "response of its review is not what a DirectoryReview has")
	}
	return e, nil
}

// TargetRequest asks for a token of another server's.
type TargetRequest struct {
	TokenService string `json:"tokenService"`
	// ExternalTarget is the name of the one that asks.
	ExternalTarget string   `json:"externalTarget"`
	Audiences      []string `json:"audiences"`
	Scopes         []string `json:"scopes"`
	// Client is the client_id of who asked.
	Client string `json:"client"`
	// Subject is whom the token is to be about.
	Subject TargetSubject `json:"subject"`
	// Actor is who acts for the subject; nil where nobody does.
	Actor *TargetSubject `json:"actor,omitempty"`
	// Assertion is a JWT of the token service for this webhook; with `forward` it is
	// absent, and SubjectToken is the caller's own token.
	Assertion    string `json:"assertion,omitempty"`
	SubjectToken string `json:"subjectToken,omitempty"`
}

// TargetSubject is whom a token is to be about, as policies see it.
type TargetSubject struct {
	Issuer   string   `json:"issuer"`
	Subject  string   `json:"subject"`
	Username string   `json:"username,omitempty"`
	Groups   []string `json:"groups,omitempty"`
}

// Target sends a TargetReview. A request that the webhook does not want is
// [*Refused].
func (c *Client) Target(ctx context.Context, s *Server, r *TargetRequest) (*Token, error) {
	var t *Token
	members := []string{"token", "issuedTokenType", "tokenType", "expiresIn", "scope", "error"}
	err := c.review(ctx, s, TargetReview, r, members, func(response map[string]any) (err error) {
		t, err = readTarget(response)
		return err
	})
	return t, err
}

func readTarget(response map[string]any) (*Token, error) {
	if said(response) {
		return nil, &Refused{}
	}
	body := map[string]any{"token_type": "Bearer"}
	for from, to := range map[string]string{"token": "access_token", "issuedTokenType": "issued_token_type", "tokenType": "token_type", "expiresIn": "expires_in", "scope": "scope"} {
		if v, there := response[from]; there {
			body[to] = v
		}
	}
	return readToken(body)
}

// review sends one review and reads its response, which may have no other members
// than these: one that we do not understand could be one that takes something back.
func (c *Client) review(ctx context.Context, s *Server, kind string, request any, members []string, understand func(map[string]any) error) error {
	body, err := json.Marshal(map[string]any{"apiVersion": APIVersion, "kind": kind, "request": request})
	if err != nil {
		return failed(ResultMalformed, "the review cannot be written as JSON")
	}
	return c.ask(ctx, s, &question{json: body}, func(a *answer) error {
		response, ok := a.body["response"].(map[string]any)
		switch {
		case a.body["apiVersion"] != APIVersion || a.body["kind"] != kind:
			return failed(ResultMalformed, "its review is not of the apiVersion and kind that were sent")
		case !ok:
			return failed(ResultMalformed, "its review has no object response")
		}
		for name := range response {
			if !slices.Contains(members, name) {
				return failed(ResultMalformed, "response of its review has a member that there is not")
			}
		}
		return understand(response)
	})
}

// said says whether a response has an error. One that is no string is one too.
func said(response map[string]any) bool {
	e, there := response["error"]
	return there && e != nil && e != ""
}

func text(response map[string]any, name string, to *string) bool {
	v, there := response[name]
	if !there || v == nil {
		return true
	}
	s, ok := v.(string)
	*to = s
	return ok
}

// maxList bounds a list of groups: what a token may have, too.
const maxList = math.MaxInt16

func list(v any, to *[]string) bool {
	if v == nil {
		return true
	}
	all, ok := v.([]any)
	if !ok || len(all) > maxList {
		return false
	}
	out := make([]string, 0, len(all))
	for _, each := range all {
		s, ok := each.(string)
		if !ok {
			return false
		}
		out = append(out, s)
	}
	*to = out
	return true
}
