// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"slices"
)

// Result is a case and the tests that name it.
type Result struct {
	Case
	Claims []Claim
}

// Covered reports whether a test names the case.
func (r Result) Covered() bool { return len(r.Claims) > 0 }

// Missing reports whether the case needs a test and has none.
func (r Result) Missing() bool { return !r.Covered() && r.Status == Applies }

// Chapter is a group with its results.
type Chapter struct {
	Letter, Title string
	Results       []Result
}

// Report joins the list with the claims of the tests.
type Report struct {
	Chapters []Chapter
	// Problems are contradictions: a case without test or reason, a case that
	// is not applicable and has a test, a test that names no known case.
	Problems []string
}

// Join makes the report.
func Join(groups []Group, claims []Claim) Report {
	byNumber := map[string][]Claim{}
	for _, c := range claims {
		byNumber[c.Number] = append(byNumber[c.Number], c)
	}
	var report Report
	for _, g := range groups {
		chapter := Chapter{Letter: g.Letter, Title: g.Title}
		for _, c := range g.Cases {
			r := Result{Case: c, Claims: byNumber[c.Number]}
			delete(byNumber, c.Number)
			chapter.Results = append(chapter.Results, r)
			switch {
			case r.Missing():
				report.Problems = append(report.Problems, fmt.Sprintf("%s (%s) has neither a test nor a reason", c.Number, c.Title))
			case r.Covered() && c.Status == NotApplicable:
				report.Problems = append(report.Problems, fmt.Sprintf("%s (%s) is said not to apply, but %s proves it", c.Number, c.Title, r.Claims[0].where()))
			}
		}
		report.Chapters = append(report.Chapters, chapter)
	}
	for number, left := range byNumber {
		report.Problems = append(report.Problems, fmt.Sprintf("%s names %s, which is not on the list", left[0].where(), number))
	}
	slices.Sort(report.Problems[len(report.Problems)-len(byNumber):])
	return report
}

func (c Claim) where() string { return fmt.Sprintf("%s:%d", c.File, c.Line) }
