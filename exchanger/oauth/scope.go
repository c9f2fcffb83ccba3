// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Bounds on scope: 64 entries are checked against each policy of each target,
// and 4 KiB is 64 entries of the 63 characters that a long name has.
const (
	maxScopeBytes = 4 << 10
	maxScopes     = 64
)

// ParseScope reads a scope parameter (RFC 6749 section 3.3): NQCHAR tokens, one
// space between them. The result has no duplicates and keeps the order; an empty
// string is nil.
func ParseScope(s string) ([]string, *policy.Refusal) {
	if s == "" {
		return nil, nil
	}
	if len(s) > maxScopeBytes {
		return nil, invalid("scope is longer than 4 KiB")
	}
	n := strings.Count(s, " ") + 1
	if n > maxScopes {
		return nil, invalid("scope has more than 64 entries")
	}
	for i := range len(s) {
		if c := s[i]; c != ' ' && (c < '!' || c > '~' || c == '"' || c == '\\') {
			return nil, refuse(policy.ScopeUnknown, "scope has a character that no scope has")
		}
	}
	out := make([]string, 0, n)
	for token := range strings.SplitSeq(s, " ") {
		if token == "" {
			return nil, refuse(policy.ScopeUnknown, "scope has a space too many: one between two scopes, none around them")
		}
		if !slices.Contains(out, token) {
			out = append(out, token)
		}
	}
	return out, nil
}
