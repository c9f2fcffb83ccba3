// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestCheckOfGoodManifestsShowsEveryObject(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "check", "testdata/good").must(t, exitOK)
	golden(t, "check-good.txt", r.out)
}

func TestCheckTellsEveryProblemWithItsLine(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "check", "testdata/broken").must(t, exitNo)
	golden(t, "check-broken.txt", r.out)
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	place := regexp.MustCompile(`^testdata/broken/[a-z]+\.yaml:[0-9]+: `)
	for _, l := range lines[:len(lines)-1] {
		if !place.MatchString(l) {
			t.Errorf("the line does not begin with file:line: %s", l)
		}
	}
}

func TestCheckVerboseShowsConditionsBesideProblems(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "check", "-v", "testdata/broken").must(t, exitNo)
	golden(t, "check-broken-verbose.txt", r.out)
}

func TestCheckTellsProgramsTheSame(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "check", "testdata/broken", "-o", "json").must(t, exitNo)
	report := decode[checkReport](t, r.out)
	if report.OK || report.Files != 3 || len(report.Problems) < 6 || len(report.Objects) == 0 {
		t.Errorf("report = %+v", report)
	}
	p := report.Problems[0]
	if p.File != "testdata/broken/media.yaml" || p.Line != 10 || p.Object != "ExchangePolicy/media/x" || p.Field != "spec.target.clients[0].colour" {
		t.Errorf("problem = %+v", p)
	}
	y := exchequer(t, "", "check", "testdata/broken", "-o", "yaml").must(t, exitNo)
	says(t, y.out, "ok: false", "  line: 10\n", "object: ExchangePolicy/media/x")
}

func TestCheckTakesItsArgumentsAsOneSet(t *testing.T) {
	t.Parallel()
	exchequer(t, "", "check", "testdata/good/platform.yaml", "testdata/good/media.yaml", "testdata/good/shop.yaml").must(t, exitOK)
	r := exchequer(t, "", "check", "testdata/good/media.yaml").must(t, exitNo)
	says(t, r.out, "testdata/good/media.yaml:5: ", "TokenService")
}

func TestCheckPassesOverWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "check", "-v", "testdata/good").must(t, exitOK)
	says(t, r.out, "testdata/good/shop.yaml:25: note: Deployment/shop/frontend: passed over: apps/v1 is not of exchequer.dev")
}

func TestCheckOfTheSamplesIsClean(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "check", "../../config/samples").must(t, exitOK)
	says(t, r.out, "no problems")
}

func TestCheckOfTheQuickstartIsClean(t *testing.T) {
	t.Parallel()
	exchequer(t, "", "check", "../../docs/examples/quickstart/manifests").must(t, exitOK)
}

func TestCheckNeedsSomethingToCheck(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no argument":          {[]string{"check"}, "requires at least 1 arg"},
		"a missing directory":  {[]string{"check", "testdata/none"}, "no such file"},
		"an empty directory":   {[]string{"check", t.TempDir()}, "no manifests in"},
		"an unknown flag":      {[]string{"check", "testdata/good", "--colour"}, "unknown flag: --colour"},
		"an unknown format":    {[]string{"check", "testdata/good", "-o", "xml"}, "expected table, json, yaml"},
		"an unknown command":   {[]string{"cheque"}, `unknown command "cheque"`},
		"a command not served": {[]string{"login"}, `unknown command "login"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := exchequer(t, "", tc.args...).must(t, exitUsage)
			says(t, r.errs, "error: ", tc.want, "--help")
			if r.out != "" {
				t.Errorf("standard output has %q", r.out)
			}
		})
	}
}

func TestNothingInAManifestCanMoveTheCursor(t *testing.T) {
	t.Parallel()
	path := file(t, "evil.yaml", "apiVersion: exchequer.dev/v1alpha1\nkind: \"x\\e[2Jy\"\nmetadata: {namespace: a, name: b}\n")
	r := exchequer(t, "", "check", path).must(t, exitNo)
	if strings.Contains(r.out, "\x1b") {
		t.Errorf("an escape came through: %q", r.out)
	}
}
