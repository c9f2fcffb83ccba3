// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command coverage-spec prints, for every numbered case of test/conformance,
// the test that names it or the reason why there is none.
//
//	coverage-spec            the whole table, by group
//	coverage-spec -missing   only the cases that need a test and have none
//	coverage-spec -check     exit 1 when the list and the tests contradict each other
//	coverage-spec -quiet     the totals only
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/exchequer-dev/exchequer/test/conformance"
)

func main() {
	check := flag.Bool("check", false, "exit 1 when a case has neither test nor reason, or both")
	quiet := flag.Bool("quiet", false, "print totals and problems only")
	missing := flag.Bool("missing", false, "print only the cases that need a test and have none")
	root := flag.String("root", ".", "top of the repository")
	flag.Parse()

	report, err := load(*root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "coverage-spec:", err)
		os.Exit(2)
	}
	p := printer{w: os.Stdout, colour: term.IsTerminal(int(os.Stdout.Fd())), quiet: *quiet, missing: *missing}
	p.report(report)
	if *check && len(report.Problems) > 0 {
		for _, problem := range report.Problems {
			fmt.Fprintln(os.Stderr, "coverage-spec:", problem)
		}
		os.Exit(1)
	}
}

func load(root string) (conformance.Report, error) {
	groups, err := conformance.Cases()
	if err != nil {
		return conformance.Report{}, err
	}
	claims, err := conformance.Scan(os.DirFS(root))
	if err != nil {
		return conformance.Report{}, fmt.Errorf("read the tests: %w", err)
	}
	return conformance.Join(groups, claims), nil
}

type printer struct {
	w              io.Writer
	colour         bool
	quiet, missing bool
}

const (
	bold   = "1"
	green  = "32"
	red    = "31"
	yellow = "33"
	dim    = "2"
)

// in wraps text into a colour, on a terminal.
func (p printer) in(colour, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

type totals struct{ covered, later, out, missing int }

func (t totals) String() string {
	return fmt.Sprintf("%d with a test, %d later, %d not applicable, %d without a test", t.covered, t.later, t.out, t.missing)
}

func (p printer) report(r conformance.Report) {
	var all totals
	for _, chapter := range r.Chapters {
		sum := count(chapter)
		all.covered += sum.covered
		all.later += sum.later
		all.out += sum.out
		all.missing += sum.missing
		if p.quiet || p.missing && sum.missing == 0 {
			continue
		}
		fmt.Fprintf(p.w, "%s\n", p.in(bold, fmt.Sprintf("%s  %s (%v)", chapter.Letter, chapter.Title, sum)))
		for _, result := range chapter.Results {
			if !p.missing || result.Missing() {
				p.result(result)
			}
		}
		fmt.Fprintln(p.w)
	}
	fmt.Fprintf(p.w, "%s %v\n", p.in(bold, "all:"), all)
}

func (p printer) result(r conformance.Result) {
	mark, proof := p.in(dim, "·"), p.in(dim, string(r.Status)+": "+r.Reason)
	switch {
	case r.Covered():
		c := r.Claims[0]
		mark, proof = p.in(green, "✓"), fmt.Sprintf("%s:%d %s", c.File, c.Line, c.Test)
		if more := len(r.Claims) - 1; more > 0 {
			proof += fmt.Sprintf(" (+%d)", more)
		}
	case r.Missing():
		mark, proof = p.in(red, "✗"), p.in(yellow, "no test")
	}
	// Titles are counted in runes: they are padded for the eye.
	pad := strings.Repeat(" ", max(0, 70-len([]rune(r.Title))))
	fmt.Fprintf(p.w, "  %s %-5s %s%s  %s\n", mark, r.Number, r.Title, pad, proof)
}

func count(chapter conformance.Chapter) totals {
	var t totals
	for _, r := range chapter.Results {
		switch {
		case r.Covered():
			t.covered++
		case r.Status == conformance.Later:
			t.later++
		case r.Status == conformance.NotApplicable:
			t.out++
		default:
			t.missing++
		}
	}
	return t
}
