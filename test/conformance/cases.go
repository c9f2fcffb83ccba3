// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

//go:embed cases.txt
var list string

// Case is one numbered fault or rule.
type Case struct {
	// Number is F or R and a decimal number, F96 for example.
	Number string
	// Title says in a few words what the case is about.
	Title string
	// Status is empty when the case applies now and needs a test, Later when
	// it comes with a feature that is not served yet, or NotApplicable.
	Status Status
	// Reason says why there is a Status, for a reader.
	Reason string
}

// Status says whether a case needs a test today.
type Status string

// The values of Status. The empty one means that a test is needed.
const (
	Applies       Status = ""
	Later         Status = "later"
	NotApplicable Status = "not-applicable"
)

// Group is a chapter of the list.
type Group struct {
	// Letter is the chapter's short name, Title its heading.
	Letter, Title string
	// Cases are in the order of the list.
	Cases []Case
}

// Cases returns the project's list.
func Cases() ([]Group, error) { return parse(list) }

var numberForm = regexp.MustCompile(`^[FR][1-9][0-9]*$`)

// parse reads the format that the head of cases.txt describes. All mistakes
// are reported at once, each with its line.
func parse(text string) ([]Group, error) {
	p := reader{reasons: map[string]string{}, used: map[string]bool{}, seen: map[string]int{}}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		if err := p.line(n, strings.TrimSpace(lines.Text())); err != nil {
			p.errs = append(p.errs, fmt.Errorf("cases.txt:%d: %w", n, err))
		}
	}
	for key := range p.reasons {
		if !p.used[key] {
			p.errs = append(p.errs, fmt.Errorf("cases.txt: no case uses the reason %q", key))
		}
	}
	return p.groups, errors.Join(append(p.errs, lines.Err())...)
}

type reader struct {
	groups  []Group
	reasons map[string]string
	used    map[string]bool
	seen    map[string]int
	errs    []error
}

func (p *reader) line(n int, line string) error {
	switch {
	case line == "" || strings.HasPrefix(line, "# "), line == "#":
		return nil
	case strings.HasPrefix(line, "## "):
		letter, title, ok := strings.Cut(strings.TrimPrefix(line, "## "), " | ")
		if !ok {
			return fmt.Errorf("a group is `## letter | title`, found %q", line)
		}
		p.groups = append(p.groups, Group{Letter: letter, Title: title})
		return nil
	case strings.HasPrefix(line, "reason "):
		key, text, ok := strings.Cut(strings.TrimPrefix(line, "reason "), " = ")
		if !ok || text == "" {
			return fmt.Errorf("a reason is `reason key = text`, found %q", line)
		}
		p.reasons[key] = text
		return nil
	}
	return p.entry(n, line)
}

func (p *reader) entry(n int, line string) error {
	fields := strings.Split(line, " | ")
	if len(fields) < 2 || len(fields) > 3 || !numberForm.MatchString(fields[0]) || fields[1] == "" {
		return fmt.Errorf("a case is `number | title` or `number | title | status`, found %q", line)
	}
	c := Case{Number: fields[0], Title: fields[1]}
	if first, twice := p.seen[c.Number]; twice {
		return fmt.Errorf("%s stands in line %d already", c.Number, first)
	}
	p.seen[c.Number] = n
	if len(fields) == 3 {
		status, key, _ := strings.Cut(fields[2], ": ")
		c.Status, c.Reason = Status(status), p.reasons[key]
		p.used[key] = true
		if c.Status != Later && c.Status != NotApplicable {
			return fmt.Errorf("%s: the status is %q or %q with a reason, found %q", c.Number, Later, NotApplicable, fields[2])
		}
		if c.Reason == "" {
			return fmt.Errorf("%s: no reason is called %q", c.Number, key)
		}
	}
	if len(p.groups) == 0 {
		return fmt.Errorf("%s stands before the first group", c.Number)
	}
	g := &p.groups[len(p.groups)-1]
	g.Cases = append(g.Cases, c)
	return nil
}
