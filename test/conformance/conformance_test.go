// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheListIsWellFormedAndComplete(t *testing.T) {
	t.Parallel()
	groups, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, g := range groups {
		for _, c := range g.Cases {
			seen[c.Number] = true
		}
	}
	for letter, last := range map[string]int{"F": 372, "R": 40} {
		for n := 1; n <= last; n++ {
			if number := fmt.Sprintf("%s%d", letter, n); !seen[number] {
				t.Errorf("%s is not on the list", number)
			}
		}
	}
}

func TestTheListRefusesWhatItsReaderCouldMisread(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"a number twice":            {"## A | a\nF1 | x\nF1 | y", "stands in line 2 already"},
		"an unknown reason":         {"## A | a\nF1 | x | later: soon", "no reason is called"},
		"a status without a reason": {"## A | a\nF1 | x | later", "no reason is called"},
		"an invented status":        {"reason r = because\n## A | a\nF1 | x | never: r", "the status is"},
		"a reason nobody uses":      {"reason r = because\n## A | a\nF1 | x", "no case uses"},
		"a case without a group":    {"F1 | x", "before the first group"},
		"a line of something else":  {"## A | a\nX1 | x", "a case is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error that says %q", err, tc.want)
			}
		})
	}
}

func TestScanReadsNamesOfTestsAndNothingElse(t *testing.T) {
	t.Parallel()
	// The numbers are assembled, or this very test would claim them.
	f := func(n int) string { return fmt.Sprint("F", n) }
	source := "package x\n" +
		"// " + f(1) + " in a comment proves nothing.\n" +
		"func Test" + f(2) + "IsAName(t *testing.T) {\n" +
		"\tt.Run(\"" + f(3) + ": a subtest\", nil)\n" +
		"\tt.Run(prefix+\"more of " + f(4) + "\", nil)\n" +
		"\t_ = map[string]int{\"sentence about " + f(5) + "\": 1}\n" +
		"\t_ = []row{{name: \"also " + f(6) + "\"}, {\"" + f(7) + ", " + f(8) + ": both\", 1}}\n" +
		"\tt.Error(\"message about " + f(9) + "\")\n" +
		"\t_ = \"" + f(10) + "0 is the size\"\n" +
		"\tt.Run(\"PDF" + f(11) + " is a word\", nil)\n" +
		"}\n" +
		"func Test_" + f(12) + "(t *testing.T) {}\n"
	claims, err := Scan(fstest.MapFS{
		"a/x_test.go":          {Data: []byte(source)},
		"a/x.go":               {Data: []byte("package x\nvar _ = \"" + f(20) + ": not a test\"\n")},
		"a/testdata/y_test.go": {Data: []byte("package y\nfunc Test" + f(21) + "(t *testing.T) {}\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range claims {
		got = append(got, c.Number)
	}
	slices.Sort(got)
	want := []string{f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(12)}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("claims %v, want %v", got, want)
	}
	if c := claims[0]; c.File != "a/x_test.go" || c.Line != 3 || c.Test == "" {
		t.Errorf("the first claim is %+v, want its file, line 3 and function", c)
	}
}

func TestTheReportTellsEveryContradiction(t *testing.T) {
	t.Parallel()
	groups := []Group{{Letter: "A", Title: "a", Cases: []Case{
		{Number: "F1", Title: "covered"},
		{Number: "F2", Title: "missing"},
		{Number: "F3", Title: "planned", Status: Later, Reason: "later"},
		{Number: "F4", Title: "planned and there", Status: Later, Reason: "later"},
		{Number: "F5", Title: "wrongly excused", Status: NotApplicable, Reason: "no"},
		{Number: "F6", Title: "rightly excused", Status: NotApplicable, Reason: "no"},
	}}}
	r := Join(groups, []Claim{{Number: "F1"}, {Number: "F4"}, {Number: "F5"}, {Number: "F9"}})
	want := []string{"F2 (missing)", "F5 (wrongly excused)", "names F9"}
	if len(r.Problems) != len(want) {
		t.Fatalf("problems: %q, want %d", r.Problems, len(want))
	}
	for i, w := range want {
		if !strings.Contains(r.Problems[i], w) {
			t.Errorf("problem %d is %q, want it to name %q", i, r.Problems[i], w)
		}
	}
}
