// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"testing"
)

func TestExamplesOfPoliciesAndTestFilesAreRun(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "test", "testdata/good", "testdata/tests").must(t, exitOK)
	golden(t, "test-good.txt", r.out)
}

func TestAFailureShowsWhatWasExpectedWhatCameAndWhy(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "test", "testdata/failing").must(t, exitNo)
	golden(t, "test-failing.txt", r.out)
}

func TestAPolicyThatItsOwnExamplesKeepOutSaysSo(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "test", "testdata/gated").must(t, exitNo)
	golden(t, "test-gated.txt", r.out)
}

func TestWhatIsTestedCannotBeOverlooked(t *testing.T) {
	t.Parallel()
	const (
		head = "apiVersion: exchequer.dev/v1alpha1\nkind: PolicyTest\n"
		some = "examples:\n- {name: a, given: {client: a/b, issuer: c}, expect: {allowed: false}}\n"
	)
	for name, tc := range map[string]struct{ text, want string }{
		"a file that is no YAML":       {"a: [", "not YAML"},
		"another kind":                 {"apiVersion: exchequer.dev/v1alpha1\nkind: ExchangePolicy\nmetadata: {name: x}\n", "_test.yaml:2: ExchangePolicy: kind: expected PolicyTest"},
		"no manifests":                 {head + some, "_test.yaml:1: PolicyTest: manifests: expected a list of 1 to 256 files or directories"},
		"no examples":                  {head + "manifests: [.]\n", "PolicyTest: examples: expected a list of at least one example"},
		"manifests that are not there": {head + "manifests:\n- gone\n" + some, "_test.yaml:4: PolicyTest: manifests[0]: gone: no such file"},
		"a misspelt member":            {head + "manifests: [.]\nexamples:\n- name: a\n  given: {client: a/b, issuer: c}\n  expect: {allowed: false}\n  expects: {allowed: false}\n", "_test.yaml:8: PolicyTest: examples[0].expects: unknown field; did you mean expect?"},
		"a member of the wrong type":   {head + "manifests: [.]\nexamples:\n- name: a\n  given:\n    client: a/b\n    issuer: c\n    audience: x\n  expect: {allowed: false}\n", "_test.yaml:9: PolicyTest: examples[0].given.audience: expected a list, found text"},
		"a text instead of true":       {head + "manifests: [.]\nexamples:\n- name: a\n  given: {client: a/b, issuer: c}\n  expect:\n    allowed: 'yes'\n", "_test.yaml:8: PolicyTest: examples[0].expect.allowed: expected true or false, found text"},
		"a reason of an allowance":     {head + "manifests: [.]\nexamples:\n- name: a\n  given: {client: a/b, issuer: c}\n  expect: {allowed: true, reason: PolicyRule}\n", "examples[0].expect: reason is why an exchange is refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := exchequer(t, "", "test", file(t, "x_test.yaml", tc.text)).must(t, exitNo)
			says(t, r.out, tc.want, "✗ 1 problem with files")
		})
	}
}

func TestNoExamplesIsNoSuccess(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "test", "testdata/good/platform.yaml").must(t, exitNo)
	says(t, r.errs, "no examples found")
	exchequer(t, "", "test", "testdata/none").must(t, exitUsage)
	exchequer(t, "", "test", "testdata/none_test.yaml").must(t, exitUsage)
	exchequer(t, "", "test").must(t, exitUsage)
}

func TestOtherToolsTestsArePassedOver(t *testing.T) {
	t.Parallel()
	path := file(t, "other_test.yaml", "apiVersion: example.com/v1\nkind: Suite\n")
	exchequer(t, "", "test", "testdata/good", path).must(t, exitOK)
}

func TestTheJUnitReportHasEveryExample(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report.xml")
	exchequer(t, "", "test", "testdata/gated", "testdata/failing", "--junit", path).must(t, exitNo)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "test-junit.xml", string(b))
	var suites junitSuites
	if err := xml.Unmarshal(b, &suites); err != nil {
		t.Fatal(err)
	}
	if suites.Tests != 7 || suites.Failures != 3 || suites.Errors != 2 {
		t.Errorf("tests %d, failures %d, errors %d", suites.Tests, suites.Failures, suites.Errors)
	}
	exchequer(t, "", "test", "testdata/good", "--junit", filepath.Join(t.TempDir(), "no", "such", "directory")).must(t, exitUsage)
}

func TestTheReportOfTestsForPrograms(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "test", "testdata/gated", "-o", "json").must(t, exitNo)
	got := decode[testReport](t, r.out)
	if got.OK || got.Passed != 1 || got.Failed != 2 || len(got.Suites) != 2 || got.Suites[0].OutOfForce == "" {
		t.Errorf("report = %+v", got)
	}
	if c := got.Suites[0].Cases[1]; len(c.Trace) == 0 || c.Line == 0 {
		t.Errorf("case = %+v", c)
	}
}
