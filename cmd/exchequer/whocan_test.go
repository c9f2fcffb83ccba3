// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestWhoCanFollowsChains(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "who-can", "testdata/chain", "--audience", "hr/files").must(t, exitOK)
	golden(t, "who-can-chain.txt", r.out)
	r = exchequer(t, "", "who-can", "testdata/chain", "--audience", "hr/files", "--hops", "2").must(t, exitNo)
	says(t, r.out, "nobody can get a token for hr/files")
}

func TestWhoCanTellsDirectAccessByAnyNameOfTheTarget(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "who-can", "testdata/good", "--audience", "media/images", "--scope", "images").must(t, exitOK)
	golden(t, "who-can.txt", r.out)
	got := decode[whoCanReport](t, exchequer(t, "", "who-can", "testdata/good", "--audience", "media/images-resource", "-o", "json").must(t, exitOK).out)
	if got.Target != "media/images-resource" || len(got.Paths) == 0 || got.Cut {
		t.Errorf("got %+v", got)
	}
}

func TestWhoCanTakesAValueOfAParametricScope(t *testing.T) {
	t.Parallel()
	exchequer(t, "", "who-can", "testdata/chain", "--audience", "media/gateway", "--scope", "org:acme").must(t, exitOK)
	exchequer(t, "", "who-can", "testdata/chain", "--audience", "media/gateway", "--scope", "org").must(t, exitNo)
	exchequer(t, "", "who-can", "testdata/chain", "--audience", "media/gateway", "--scope", "read:acme").must(t, exitNo)
}

func TestWhoCanNeedsAQuestion(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no target":            {[]string{"who-can", "testdata/good"}, "--audience is missing"},
		"an unknown target":    {[]string{"who-can", "testdata/good", "--audience", "media/none"}, "nobody in force has the name media/none"},
		"an unknown service":   {[]string{"who-can", "testdata/good", "--audience", "media/images", "--token-service", "x"}, "in TokenService x"},
		"no manifests":         {[]string{"who-can", "--audience", "media/images"}, "DIR is missing"},
		"too many hops":        {[]string{"who-can", "testdata/good", "--audience", "media/images", "--hops", "99"}, "expected 1 to 8"},
		"manifests in pieces":  {[]string{"who-can", "testdata/broken", "--audience", "media/images"}, "before this is mended"},
		"a directory too many": {[]string{"who-can", "a", "b", "--audience", "x"}, "accepts at most 1 arg"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := exchequer(t, "", tc.args...).must(t, exitUsage)
			says(t, r.errs, tc.want)
		})
	}
}
