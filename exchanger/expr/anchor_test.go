// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// A pattern that is wrapped in anchors as text can be escaped from: by an
// alternative, by a line end, by closing the group that was put around it.
func TestF128FullMatchCannotBeEscapedFrom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		subject, pattern string
		want             bool
	}{
		"the whole text":                  {"repo:org/app", "repo:org/.*", true},
		"something before it":             {"evil-repo:org/app", "repo:org/.*", false},
		"an alternative at the beginning": {"a-evil", "a|b", false},
		"an alternative at the end":       {"evil-b", "a|b", false},
		"an alternative as a whole":       {"b", "a|b", true},
		"a line end behind it":            {"a\n", "a", false},
		"a line of its own":               {"evil\na", "(?m)^a$", false},
		"a dot that is meant":             {"loginXcorp", "login\\\\.corp", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := New().Compile(policy.EnvUser, policy.WantBool, "subject.subject.fullMatch('"+c.pattern+"')")
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Eval(&policy.Facts{Subject: &policy.Token{Subject: c.subject}})
			if err != nil || got != c.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	t.Run("a pattern that closes the group around it", func(t *testing.T) {
		t.Parallel()
		if _, err := New().Compile(policy.EnvUser, policy.WantBool, "subject.subject.fullMatch('x)|(.*')"); err == nil {
			t.Error("it compiled: alone it is no pattern")
		}
	})
}
