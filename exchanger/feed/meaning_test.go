// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"slices"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestTheMeaningOfAPolicyIsWhatItGrants(t *testing.T) {
	t.Parallel()
	of := func(change func(*policy.Policy)) *policy.Spec {
		p := policy.Policy{
			Namespace: "media", Name: "images", Clients: []string{"shop/app"}, Targets: []string{"media/images"},
			SubjectIssuers: []string{"corp"}, Scopes: []string{"images"},
		}
		change(&p)
		return &policy.Spec{Policies: []policy.Policy{p}}
	}
	tests := map[string]struct {
		change func(*policy.Policy)
		want   []string
	}{
		"with scopes": {func(*policy.Policy) {}, []string{
			"shop/app may exchange tokens of corp for media/images with at most images (policy media/images)",
		}},
		"own tokens": {func(p *policy.Policy) { p.SubjectIssuers, p.SelfOrigins, p.Scopes = nil, []string{"corp", "east"}, nil }, []string{
			"shop/app may exchange tokens of this service (first from corp, east) for media/images without scope (policy media/images)",
		}},
		"a policy in Audit mode grants nothing":             {func(p *policy.Policy) { p.AuditOnly = true }, nil},
		"a policy whose issuers are all gone takes nothing": {func(p *policy.Policy) { p.SubjectIssuers = nil }, nil},
		"a policy whose clients are all gone serves nobody": {func(p *policy.Policy) { p.Clients = nil }, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Meaning(of(test.change)); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestTheMeaningOfAllClientsAndAllTargetsIsSortedAndSaidOnce(t *testing.T) {
	t.Parallel()
	got := Meaning(&policy.Spec{Policies: []policy.Policy{
		{Namespace: "media", Name: "z", AllClients: true, Targets: []string{"media/b", "media/a"}, SubjectIssuers: []string{"corp"}},
		{Namespace: "media", Name: "a", Clients: []string{"shop/x", "shop/x"}, Targets: []string{"media/a"}, SubjectIssuers: []string{"corp"}},
	}})
	want := []string{
		"every client may exchange tokens of corp for media/a without scope (policy media/z)",
		"every client may exchange tokens of corp for media/b without scope (policy media/z)",
		"shop/x may exchange tokens of corp for media/a without scope (policy media/a)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheDifferenceOfTwoMeanings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after, gained, lost []string }{
		"nothing at all": {},
		"the first":      {nil, []string{"a", "b"}, []string{"a", "b"}, nil},
		"the last":       {[]string{"a", "b"}, nil, nil, []string{"a", "b"}},
		"the same":       {[]string{"a", "b"}, []string{"a", "b"}, nil, nil},
		"some of both":   {[]string{"a", "b", "d"}, []string{"b", "c", "e"}, []string{"c", "e"}, []string{"a", "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gained, lost := Difference(c.before, c.after)
			if !slices.Equal(gained, c.gained) || !slices.Equal(lost, c.lost) {
				t.Errorf("gained %q, lost %q, want %q and %q", gained, lost, c.gained, c.lost)
			}
		})
	}
}
