// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/analysis"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// mostRows bounds a table for people; -o json has all.
const mostRows = 200

// accessRow is access that differs in subject and scope only.
type accessRow struct {
	service, client, subject, target, scope, policies, conditions string
}

// accessRows puts access together that differs in class, issuer or scope only, so
// that people read one line for one thing.
func accessRows(list []analysis.Granted) []accessRow {
	var rows []accessRow
	at := map[accessRow]int{}
	merge := func(r accessRow, field func(*accessRow) *string, sep string) {
		key := r
		*field(&key) = ""
		if i, ok := at[key]; ok {
			*field(&rows[i]) += sep + *field(&r)
			return
		}
		at[key] = len(rows)
		rows = append(rows, r)
	}
	for i := range list {
		g := &list[i]
		scope := g.Scope
		if scope == "" {
			scope = "(none)"
		}
		merge(accessRow{
			service: g.TokenService, client: g.Client, subject: g.Subject.String(), target: g.Target, scope: scope,
			policies: strings.Join(g.Policies, ", "), conditions: strings.Join(g.Conditions, "; "),
		}, func(r *accessRow) *string { return &r.scope }, " ")
	}
	first := rows
	rows, at = nil, map[accessRow]int{}
	for _, r := range first {
		merge(r, func(r *accessRow) *string { return &r.subject }, ", ")
	}
	for i := range rows {
		rows[i].subject = shortened(rows[i].subject)
	}
	slices.SortStableFunc(rows, func(a, b accessRow) int {
		return cmp.Or(cmp.Compare(a.target, b.target), cmp.Compare(a.client, b.client))
	})
	return rows
}

// shortened says the classes of one issuer once: "corp AccessToken|JWT".
func shortened(subjects string) string {
	var out []string
	for s := range strings.SplitSeq(subjects, ", ") {
		issuer, class, _ := strings.Cut(s, " ")
		if n := len(out); n > 0 && issuer != policy.SelfIssuer && strings.HasPrefix(out[n-1], issuer+" ") {
			out[n-1] += "|" + class
			continue
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func (r *diffReport) print(s *ui.Screen) {
	for _, n := range r.Notes {
		s.Line(s.Paint(ui.Warn, "! "), ui.Safe(n))
	}
	if r.Same {
		s.Line(s.Paint(ui.Good, "✓ no difference"), ui.Safe(": "+r.Old+" and "+r.New+" decide every request the same"))
		return
	}
	r.printAccess(s, "gained", "+ ", ui.Good, r.Gained, r.GainedOmitted)
	r.printAccess(s, "lost", "- ", ui.Bad, r.Lost, r.LostOmitted)
	r.printReach(s, "gained", ui.Cell{Text: "+", Style: ui.Good}, r.ReachGained)
	r.printReach(s, "lost", ui.Cell{Text: "-", Style: ui.Bad}, r.ReachLost)
	if r.ReachCut {
		s.Line(s.Paint(ui.Warn, "! "), ui.Safe(cutNote))
		s.Line()
	}
	r.printChanged(s)
	r.printExamples(s)
	s.Line(s.Paint(ui.Strong, "✗ "+r.summary()))
}

func (r *diffReport) summary() string {
	chains := ""
	if n, m := len(r.ReachGained), len(r.ReachLost); n+m > 0 {
		chains = fmt.Sprintf(" (through chains %d gained, %d lost)", n, m)
	}
	return fmt.Sprintf("%d gained, %d lost%s, %s, %s",
		len(r.Gained)+r.GainedOmitted, len(r.Lost)+r.LostOmitted, chains, count(len(r.Changed), "changed condition"), count(len(r.Examples), "example")+" with another answer")
}

// cutNote is said where a search for chains was cut short.
const cutNote = "there are more chains of exchanges than a search looks at: of those that are not told nothing is known"

// reachRow is what a chain gives, for people: classes and scopes in one row.
type reachRow struct{ client, subject, target, scope, way string }

func reachRows(list []analysis.Reach) []reachRow {
	var granted []analysis.Granted
	for i := range list {
		c := &list[i]
		granted = append(granted, analysis.Granted{
			Access:   analysis.Access{TokenService: c.TokenService, Client: c.Client, Subject: c.Subject, Target: c.Target, Scope: c.Scope},
			Policies: []string{way(c.Steps)},
		})
	}
	rows := accessRows(granted)
	out := make([]reachRow, 0, len(rows))
	for _, r := range rows {
		out = append(out, reachRow{r.client, r.subject, r.target, r.scope, r.policies})
	}
	return out
}

// way is a chain in one line: who holds the token after each step.
func way(steps []analysis.Step) string {
	parts := make([]string, 0, len(steps))
	for i := range steps {
		parts = append(parts, steps[i].Client+" ("+strings.Join(policiesOf(&steps[i]), ", ")+")")
	}
	return strings.Join(parts, " → ")
}

func (r *diffReport) printReach(s *ui.Screen, what string, sign ui.Cell, list []analysis.Reach) {
	if len(list) == 0 {
		return
	}
	s.Line(s.Paint(ui.Strong, "reach "+what+", through chains of exchanges"))
	t := &ui.Table{Header: []string{"", "CLIENT", "TOKEN OF", "TARGET", "SCOPE", "WHO ASKS, BY WHICH POLICY"}}
	rows := reachRows(list)
	for _, row := range rows[:min(len(rows), mostRows)] {
		t.Row(sign, ui.Text(row.client), ui.Text(row.subject), ui.Text(row.target), ui.Text(row.scope), ui.Text(row.way))
	}
	s.Table(t)
	more(s, len(rows))
	s.Line()
}

func (r *diffReport) printAccess(s *ui.Screen, what, sign string, style ui.Style, list []analysis.Granted, omitted int) {
	if len(list) == 0 {
		return
	}
	s.Line(s.Paint(ui.Strong, "access "+what))
	t := &ui.Table{Header: []string{"", "CLIENT", "TOKEN OF", "TARGET", "SCOPE", "POLICY", "CONDITIONS"}}
	rows := accessRows(list)
	for _, row := range rows[:min(len(rows), mostRows)] {
		t.Row(ui.Cell{Text: strings.TrimSpace(sign), Style: style}, ui.Text(row.client), ui.Text(row.subject), ui.Text(row.target),
			ui.Text(row.scope), ui.Text(row.policies), ui.Cell{Text: row.conditions, Style: ui.Dim})
	}
	s.Table(t)
	more(s, len(rows))
	if omitted > 0 {
		s.Linef("  and %d more that no report lists", omitted)
	}
	s.Line()
}

func (r *diffReport) printChanged(s *ui.Screen) {
	if len(r.Changed) == 0 {
		return
	}
	s.Line(s.Paint(ui.Strong, "changed conditions"))
	t := &ui.Table{Header: []string{"", "OBJECT", "FIELD", "EFFECT", "WAS", "IS"}}
	for i := range r.Changed[:min(len(r.Changed), mostRows)] {
		c := &r.Changed[i]
		t.Row(changeSign(c), ui.Text(c.Object), ui.Text(c.Field), effectCell(c.Effect), ui.Text(strings.Join(c.Before, " ")), ui.Text(strings.Join(c.After, " ")))
	}
	s.Table(t)
	more(s, len(r.Changed))
	s.Line()
}

func changeSign(c *analysis.Change) ui.Cell {
	switch c.What {
	case analysis.ObjectAdded:
		return ui.Cell{Text: "+", Style: ui.Good}
	case analysis.ObjectRemoved:
		return ui.Cell{Text: "-", Style: ui.Bad}
	}
	return ui.Cell{Text: "~", Style: ui.Warn}
}

func effectCell(e analysis.Effect) ui.Cell {
	if e == analysis.Narrows {
		return ui.Cell{Text: string(e)}
	}
	return ui.Cell{Text: string(e), Style: ui.Warn}
}

func (r *diffReport) printExamples(s *ui.Screen) {
	if len(r.Examples) == 0 {
		return
	}
	s.Line(s.Paint(ui.Strong, "examples with another answer"))
	t := &ui.Table{Header: []string{"POLICY", "EXAMPLE", "WAS", "IS"}}
	for _, e := range r.Examples[:min(len(r.Examples), mostRows)] {
		style := ui.Bad
		if e.Allowed {
			style = ui.Good
		}
		t.Row(ui.Text(e.Policy), ui.Text(e.Example), ui.Text(e.Before), ui.Cell{Text: e.After, Style: style})
	}
	s.Table(t)
	more(s, len(r.Examples))
	s.Line()
}
