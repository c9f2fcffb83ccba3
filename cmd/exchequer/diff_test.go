// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDiffFollowsChains(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/chain/all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Without the gateway's own policy nobody gets any further than the gateway.
	text := strings.Replace(string(b), "metadata: {namespace: media, name: gateway-gets-images}\nspec:", "metadata: {namespace: media, name: gateway-gets-images}\nspec:\n  suspend: true", 1)
	old := file(t, "all.yaml", text)
	r := exchequer(t, "", "diff", old, "testdata/chain/all.yaml").must(t, exitNo)
	golden(t, "diff-chain.txt", r.out)
	r = exchequer(t, "", "diff", "testdata/chain/all.yaml", old, "-o", "markdown").must(t, exitNo)
	says(t, r.out, "#### Lost through chains of exchanges", "hr/files")
}

// changed copies the good manifests and replaces text in them.
func changed(t *testing.T, replace ...string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no manifests", err)
	}
	r := strings.NewReplacer(replace...)
	found := len(replace) == 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text := r.Replace(string(b))
		found = found || text != string(b)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("%q is nowhere in testdata/good", replace)
	}
	return dir
}

// anonymous takes the path of a temporary directory out of a report.
func anonymous(text, dir string) string { return strings.ReplaceAll(text, dir, "NEW") }

func press() []string {
	return []string{"'corp:staff' in subject.groups", "'corp:press' in subject.groups", "message: staff only", "message: press only", "groups: [staff]", "groups: [press]"}
}

func TestDiffOfTheSameSaysSo(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "diff", "testdata/good", "testdata/good").must(t, exitOK)
	says(t, r.out, "✓ no difference")
	r = exchequer(t, "", "diff", "testdata/good", changed(t), "-o", "json").must(t, exitOK)
	if got := decode[diffReport](t, r.out); !got.Same || !got.Empty() {
		t.Errorf("got %+v", got)
	}
}

func TestDiffOfAChangedRuleIsAChangedConditionAndItsExamplesFlip(t *testing.T) {
	t.Parallel()
	dir := changed(t, press()...)
	r := exchequer(t, "", "diff", "testdata/good", dir).must(t, exitNo)
	golden(t, "diff-rule.txt", anonymous(r.out, dir))
	if strings.Contains(r.out, "access gained") || strings.Contains(r.out, "access lost") {
		t.Error("a rule is a condition, not access")
	}
}

func TestDiffTellsWhoGainsAndWhoLoses(t *testing.T) {
	t.Parallel()
	dir := changed(t, "metadata: {namespace: shop, name: resting}\nspec:\n  suspend: true", "metadata: {namespace: shop, name: resting}\nspec:",
		"clients: [{namespace: shop, name: frontend}]\n  subject: {issuers", "clients: [{namespace: shop, name: resting}]\n  subject: {issuers")
	r := exchequer(t, "", "diff", "testdata/good", dir).must(t, exitNo)
	golden(t, "diff-access.txt", anonymous(r.out, dir))
	back := exchequer(t, "", "diff", dir, "testdata/good", "-o", "json").must(t, exitNo)
	there := exchequer(t, "", "diff", "testdata/good", dir, "-o", "json").must(t, exitNo)
	a, b := decode[diffReport](t, there.out), decode[diffReport](t, back.out)
	if len(a.Gained) != len(b.Lost) || len(a.Lost) != len(b.Gained) || len(a.Gained) == 0 || len(a.Lost) == 0 {
		t.Errorf("there: %d gained, %d lost; back: %d gained, %d lost", len(a.Gained), len(a.Lost), len(b.Gained), len(b.Lost))
	}
}

func TestDiffForACommentIsMarkdownThatManifestsCannotWrite(t *testing.T) {
	t.Parallel()
	dir := changed(t, "message: staff only", `message: "@everyone | [x](https://evil.example) <b>`+"`"+`"`)
	r := exchequer(t, "", "diff", "testdata/good", dir, "-o", "markdown").must(t, exitNo)
	golden(t, "diff.md", anonymous(r.out, dir))
	for _, bad := range []string{"@everyone", "[x]", "<b>"} {
		if strings.Contains(r.out, bad) {
			t.Errorf("%q came through", bad)
		}
	}
}

func TestDiffNeverShowsASecret(t *testing.T) {
	t.Parallel()
	dir := changed(t, "a-secret-for-tests-0123456789abcdef", "another-secret-of-tests-0123456789")
	r := exchequer(t, "", "diff", "testdata/good", dir, "-o", "yaml").must(t, exitNo)
	says(t, r.out, "field: secretDigests", "a secret")
	if strings.Contains(r.out, "tests-0123456789") {
		t.Error("the secret is in the report")
	}
}

func TestDiffNeedsManifestsThatCanBeRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"one argument":        {[]string{"diff", "testdata/good"}, "accepts 2 arg(s)"},
		"a missing directory": {[]string{"diff", "testdata/good", "testdata/none"}, "no such file"},
		"an unparsable file":  {[]string{"diff", "testdata/good", "testdata/broken"}, "is not known before this is mended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := exchequer(t, "", tc.args...).must(t, exitUsage)
			says(t, r.errs, tc.want)
		})
	}
}

func TestDiffSaysThatAProblemTookAccessAway(t *testing.T) {
	t.Parallel()
	dir := changed(t, "'corp:staff' in subject.groups", "'corp:staff' in subject.groop")
	r := exchequer(t, "", "diff", "testdata/good", dir).must(t, exitNo)
	says(t, r.out, "access lost", "what a problem is about is not in force", "ExchangePolicy/media/frontend-gets-images")
}
