// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var proof = regexp.MustCompile("`([a-z0-9/]+)#([^`]+)`")

func TestTheFeaturesSayOnlyWhatATestProves(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/features.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for n, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| feature") {
			continue
		}
		rows++
		m := proof.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("docs/features.md:%d: a feature without a test", n+1)
			continue
		}
		if !saysIn(t, m[1], m[2]) {
			t.Errorf("docs/features.md:%d: no test below %s says %q", n+1, m[1], m[2])
		}
	}
	if rows < 40 {
		t.Errorf("%d features, expected the whole page", rows)
	}
}

// saysIn reports whether a test file of a folder has the words in the name of a
// test: of a function, or of a case.
func saysIn(t *testing.T, folder, words string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`func ` + regexp.QuoteMeta(words) + `\(|"[^"\n]*` + regexp.QuoteMeta(words) + `[^"\n]*"|func Test` + regexp.QuoteMeta(words) + `[A-Z]`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if name.Match(text) {
			return true
		}
	}
	return false
}
