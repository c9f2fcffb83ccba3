// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Bounds of what a token may say. A token has at most 16 KiB, so these only keep
// one claim from filling it: 16,384 / 8 bytes for the shortest useful list entry
// with quotes and comma is about 2,000, of which half is left for the rest.
const (
	maxIdentity = 255
	maxList     = 1000
	maxEntry    = 1024
)

// registered reads the registered claims (RFC 7519 section 4.1, RFC 9068, OpenID
// Connect azp) into t. Types are strict: nothing is coerced.
func registered(t *Token, issuer string) *Refusal {
	c := t.Claims
	iss, ok := issuedBy(c, issuer)
	if !ok {
		return deny(IssuerUnknown, "iss is not byte for byte the issuer's URL")
	}
	t.RawIssuer = iss
	sub, ok := c["sub"].(string)
	if !ok || sub == "" || len(sub) > maxIdentity || hasControl(sub) {
		return deny(TokenMalformed, "sub must be a string of 1 to 255 bytes without control characters")
	}
	t.RawSubject = sub
	for _, step := range [...]func(*Token) *Refusal{times, audiences, parties, tokenID, chainClaims} {
		if ref := step(t); ref != nil {
			return ref
		}
	}
	return nil
}

// times reads exp, iat and nbf. Whether they hold, alone and together, hangs on the
// time of the request.
func times(t *Token) *Refusal {
	for _, f := range [...]struct {
		name     string
		required bool
		to       *time.Time
	}{{"exp", true, &t.ExpiresAt}, {"iat", true, &t.IssuedAt}, {"nbf", false, &t.NotBefore}} {
		v, present := t.Claims[f.name]
		if !present {
			if f.required {
				return deny(TokenMalformed, f.name+" is missing")
			}
			continue
		}
		at, ok := numericDate(v)
		if !ok {
			return deny(TokenMalformed, f.name+" is not a NumericDate")
		}
		*f.to = at
	}
	return nil
}

// numericDate reads a NumericDate (RFC 7519 section 2): a JSON number within what
// a double counts exactly, from 1970 to 9999. The fraction is dropped.
func numericDate(v any) (time.Time, bool) {
	const last = 253402300799 // 9999-12-31T23:59:59Z
	var sec int64
	switch n := v.(type) {
	case int64:
		sec = n
	case float64:
		if math.IsNaN(n) || n < 0 || n > last {
			return time.Time{}, false
		}
		sec = int64(n)
	default:
		return time.Time{}, false
	}
	if sec < 0 || sec > last {
		return time.Time{}, false
	}
	return time.Unix(sec, 0).UTC(), true
}

func audiences(t *Token) *Refusal {
	v, present := t.Claims["aud"]
	if !present {
		return nil
	}
	list, ok := stringList(v)
	if !ok || len(list) == 0 || slices.Contains(list, "") {
		return deny(TokenMalformed, "aud must be a string or a list of strings, none empty")
	}
	t.Audiences = list
	return nil
}

// parties reads azp and client_id. Two that differ, or a list, leave it open whom
// the token was issued to: refused.
func parties(t *Token) *Refusal {
	for _, name := range [...]string{"azp", "client_id"} {
		v, present := t.Claims[name]
		if !present {
			continue
		}
		s, ok := v.(string)
		if !ok || s == "" || len(s) > maxEntry {
			return deny(SubjectAudience, name+" is not one string")
		}
		if t.ClientID != "" && t.ClientID != s {
			return deny(SubjectAudience, "azp and client_id differ")
		}
		t.ClientID = s
	}
	return nil
}

func tokenID(t *Token) *Refusal {
	v, present := t.Claims["jti"]
	if !present {
		return nil
	}
	s, ok := v.(string)
	if !ok || len(s) > maxIdentity || hasControl(s) {
		return deny(TokenMalformed, "jti must be a string of at most 255 bytes")
	}
	t.TokenID = s
	return nil
}

// chainClaims notes the claims that tell of other parties and of bindings, so
// that no check can overlook them.
func chainClaims(t *Token) *Refusal {
	for _, f := range [...]struct {
		name string
		to   *map[string]any
	}{{"act", &t.Act}, {"may_act", &t.MayAct}, {"impersonator", &t.Impersonator}} {
		v, present := t.Claims[f.name]
		if !present {
			continue
		}
		m, ok := v.(map[string]any)
		if !ok {
			return deny(TokenMalformed, f.name+" is not an object")
		}
		*f.to = m
	}
	if cnf, bound := t.Claims["cnf"]; bound {
		t.Confirmed, t.Confirmation = true, readConfirmation(cnf)
	}
	t.MayAct = withIssuer(t.MayAct, t.RawIssuer)
	return nil
}

// withIssuer spells out the issuer that a may_act without iss means, the token's
// own: on the next hop the token's issuer is another.
func withIssuer(mayAct map[string]any, iss string) map[string]any {
	_, sub := mayAct["sub"]
	_, has := mayAct["iss"]
	if !sub || has {
		return mayAct
	}
	mayAct = maps.Clone(mayAct)
	mayAct["iss"] = iss
	return mayAct
}

// stringList reads a string, or a list of strings, with its bounds.
func stringList(v any) ([]string, bool) {
	switch x := v.(type) {
	case string:
		return []string{x}, len(x) <= maxEntry
	case []any:
		if len(x) > maxList {
			return nil, false
		}
		out := make([]string, len(x))
		for i, e := range x {
			s, ok := e.(string)
			if !ok || len(s) > maxEntry {
				return nil, false
			}
			out[i] = s
		}
		return out, true
	}
	return nil, false
}

// scopeList reads scopes as a space-separated string (RFC 8693 section 4.2) or as
// a list, without duplicates, in order.
func scopeList(v any) ([]string, bool) {
	var parts []string
	switch x := v.(type) {
	case string:
		if len(x) > maxEntry*4 {
			return nil, false
		}
		parts = strings.Fields(x)
	case []any:
		list, ok := stringList(x)
		if !ok {
			return nil, false
		}
		parts = list
	default:
		return nil, false
	}
	if len(parts) > maxList {
		return nil, false
	}
	out := make([]string, 0, len(parts))
	for _, s := range parts {
		if s == "" || strings.ContainsAny(s, " \t\r\n") {
			return nil, false
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, true
}

func sameSet(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}
