// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "testing"

func TestADirectoryIsAskedForThoseAloneWhoMayRequestSubjects(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*ImpersonationGrantSpec)
		client  string
		person  *Token
		subject string
		want    bool
	}{
		"somebody whom a grant names, about somebody whom none knows": {nil, "shop/frontend", sam(), "corp:ghost", true},
		"about somebody whom the grant knows":                         {nil, "shop/frontend", sam(), "corp:boss", false},
		"somebody whom no grant names":                                {nil, "shop/frontend", alice(), "corp:ghost", false},
		"through a client that no grant names":                        {nil, "shop/other", sam(), "corp:ghost", false},
		"under a grant that has ended":                                {func(g *ImpersonationGrantSpec) { g.NotAfter = now() }, "shop/frontend", sam(), "corp:ghost", false},
		"under a grant for subject tokens alone":                      {func(g *ImpersonationGrantSpec) { g.FromRequest = false }, "shop/frontend", sam(), "corp:ghost", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := world()
			if g := granting(spec); c.change != nil {
				c.change(g)
			}
			svc, _ := mustCompile(t, spec).Service("default")
			if got := svc.WantsDirectory(c.client, c.person, c.subject, now()); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
