// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// print shows every example, and of those that failed what was expected, what
// came, and the trace.
func (r *testReport) print(s *ui.Screen) {
	for _, p := range r.Problems {
		s.Line(located(s, ui.Bad, "", p))
	}
	for _, n := range r.Notes {
		s.Line(s.Paint(ui.Warn, "! "), ui.Safe(n))
	}
	for i := range r.Suites {
		s.Tree(r.Suites[i].tree())
	}
	s.Line(r.summary(s))
}

func (r *testReport) summary(s *ui.Screen) string {
	total := r.Passed + r.Failed
	var bad []string
	if r.Failed > 0 {
		bad = append(bad, fmt.Sprintf("%d of %s failed", r.Failed, count(total, "example")))
	}
	if n := len(r.Problems); n > 0 {
		bad = append(bad, count(n, "problem")+" with files")
	}
	switch {
	case len(bad) > 0:
		return s.Paint(ui.Bad, "✗ "+strings.Join(bad, ", "))
	case total == 0:
		return s.Paint(ui.Bad, "✗ no examples")
	}
	return s.Paint(ui.Good, "✓ "+count(total, "example")+" passed")
}

func (t *testSuite) tree() *ui.Node {
	root := &ui.Node{Label: []ui.Cell{{Text: t.Name, Style: ui.Strong}}}
	if t.OutOfForce != "" {
		root.Label = append(root.Label, ui.Cell{Text: "(not in force: " + t.OutOfForce + ")", Style: ui.Warn})
	}
	for i := range t.Cases {
		c := &t.Cases[i]
		if c.passed() {
			root.Add(ui.Cell{Text: "✓", Style: ui.Good}, ui.Text(c.Name))
			continue
		}
		n := root.Add(ui.Cell{Text: "✗", Style: ui.Bad}, ui.Text(c.Name), ui.Cell{Text: fmt.Sprintf("%s:%d", t.File, c.Line), Style: ui.Dim})
		if c.Found == "" {
			n.Add(ui.Cell{Text: "not judged:", Style: ui.Dim}, ui.Text(c.Message))
			continue
		}
		n.Add(ui.Cell{Text: "expected", Style: ui.Dim}, ui.Text(c.Expected))
		n.Add(ui.Cell{Text: "found", Style: ui.Dim}, ui.Text(c.Found))
		for k := range c.Trace {
			traceTree(n, &c.Trace[k])
		}
	}
	return root
}

func traceTree(n *ui.Node, trace *policy.TargetTrace) {
	target := n.Add(ui.Cell{Text: "target", Style: ui.Dim}, ui.Text(trace.Target))
	for _, p := range trace.Policies {
		text := p.Outcome
		if p.Check != "" {
			text += " at " + p.Check + ": " + string(p.Reason)
		}
		if p.Detail != "" {
			text += ", " + p.Detail
		}
		if p.Policy == trace.Chosen {
			text = "chosen"
		}
		target.Add(ui.Text(p.Policy), ui.Text(text))
	}
	if len(trace.Policies) == 0 {
		target.Add(ui.Text("no policy names this client and this target"))
	}
}

// The JUnit XML that CI systems read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		File     string      `xml:"file,attr,omitempty"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		File      string        `xml:"file,attr,omitempty"`
		Line      int           `xml:"line,attr,omitempty"`
		Failure   *junitMessage `xml:"failure"`
		Error     *junitMessage `xml:"error"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",cdata"`
	}
)

// writeJUnit writes the report for CI. A file that cannot be read is an error of
// a suite of its own, so that it cannot be overlooked.
func writeJUnit(path string, r *testReport) error {
	all := junitSuites{Name: "exchequer test"}
	if len(r.Problems) > 0 {
		suite := junitSuite{Name: "files"}
		for _, p := range r.Problems {
			suite.Cases = append(suite.Cases, junitCase{
				Name: p.File, ClassName: "files", File: p.File, Line: p.Line, Error: &junitMessage{Message: p.String()},
			})
		}
		all.add(suite)
	}
	for i := range r.Suites {
		t := &r.Suites[i]
		suite := junitSuite{Name: t.Name, File: t.File}
		for n := range t.Cases {
			suite.Cases = append(suite.Cases, t.Cases[n].junit(t))
		}
		all.add(suite)
	}
	b, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	b = append([]byte(xml.Header), append(b, '\n')...)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return usage("--junit: %w", err)
	}
	return nil
}

func (c *testCase) junit(t *testSuite) junitCase {
	out := junitCase{Name: c.Name, ClassName: t.Name, File: t.File, Line: c.Line}
	m := &junitMessage{Message: c.Message, Text: fmt.Sprintf("expected %s\nfound %s\n%s", c.Expected, c.Found, traceText(c.Trace))}
	if c.Found == "" && t.OutOfForce != "" {
		m.Text = t.OutOfForce
	}
	switch c.Verdict {
	case translate.ExampleFailed:
		out.Failure = m
	case translate.ExampleUnknown:
		out.Error = m
	case translate.ExamplePassed:
	}
	return out
}

func traceText(trace []policy.TargetTrace) string {
	var b strings.Builder
	for i := range trace {
		fmt.Fprintf(&b, "target %s\n", trace[i].Target)
		for _, p := range trace[i].Policies {
			fmt.Fprintf(&b, "  %s: %s %s %s %s\n", p.Policy, p.Outcome, p.Check, p.Reason, p.Detail)
		}
	}
	return b.String()
}

func (all *junitSuites) add(s junitSuite) {
	s.Tests = len(s.Cases)
	for i := range s.Cases {
		if s.Cases[i].Failure != nil {
			s.Failures++
		}
		if s.Cases[i].Error != nil {
			s.Errors++
		}
	}
	all.Tests += s.Tests
	all.Failures += s.Failures
	all.Errors += s.Errors
	all.Suites = append(all.Suites, s)
}
