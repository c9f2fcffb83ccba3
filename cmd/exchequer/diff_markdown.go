// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/analysis"
)

// mostComment bounds a table of a comment: a row has about 300 bytes, there are
// six tables, and a comment on GitHub has room for 65,536 characters.
const mostComment = 30

// markdown writes the report as a comment. Everything that stands in a manifest
// may be somebody's who wants more than a comment: it goes in as code of which no
// character is Markdown.
func (r *diffReport) markdown(out io.Writer) error {
	var b strings.Builder
	b.WriteString("### Access\n\n")
	if r.Same {
		b.WriteString("No difference: every request is decided the same.\n")
	} else {
		b.WriteString("**" + r.summary() + "**\n")
	}
	for _, n := range r.Notes {
		b.WriteString("\n> " + code(n) + "\n")
	}
	commentAccess(&b, "Gained", r.Gained, r.GainedOmitted)
	commentAccess(&b, "Lost", r.Lost, r.LostOmitted)
	commentReach(&b, "Gained through chains of exchanges", r.ReachGained)
	commentReach(&b, "Lost through chains of exchanges", r.ReachLost)
	if r.ReachCut {
		b.WriteString("\n> " + code(cutNote) + "\n")
	}
	comment(&b, "Changed conditions", []string{"", "Object", "Field", "Effect", "Was", "Is"}, len(r.Changed), func(i int) []string {
		c := &r.Changed[i]
		return []string{changeSign(c).Text, code(c.Object), code(c.Field), string(c.Effect), code(strings.Join(c.Before, " ")), code(strings.Join(c.After, " "))}
	})
	comment(&b, "Examples with another answer", []string{"Policy", "Example", "Was", "Is"}, len(r.Examples), func(i int) []string {
		e := &r.Examples[i]
		return []string{code(e.Policy), code(e.Example), code(e.Before), code(e.After)}
	})
	_, err := io.WriteString(out, b.String())
	return err
}

func commentAccess(b *strings.Builder, title string, list []analysis.Granted, omitted int) {
	rows := accessRows(list)
	comment(b, title, []string{"Client", "Token of", "Target", "Scope", "Policy", "Conditions"}, len(rows), func(i int) []string {
		r := rows[i]
		return []string{code(r.client), code(r.subject), code(r.target), code(r.scope), code(r.policies), code(r.conditions)}
	})
	if omitted > 0 {
		fmt.Fprintf(b, "\nAnd %d more that no report lists.\n", omitted)
	}
}

func commentReach(b *strings.Builder, title string, list []analysis.Reach) {
	rows := reachRows(list)
	comment(b, title, []string{"Client", "Token of", "Target", "Scope", "Who asks, by which policy"}, len(rows), func(i int) []string {
		r := rows[i]
		return []string{code(r.client), code(r.subject), code(r.target), code(r.scope), code(r.way)}
	})
}

// comment writes one table.
func comment(b *strings.Builder, title string, header []string, rows int, row func(int) []string) {
	if rows == 0 {
		return
	}
	fmt.Fprintf(b, "\n#### %s\n\n| %s |\n|%s\n", title, strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for i := range min(rows, mostComment) {
		b.WriteString("| " + strings.Join(row(i), " | ") + " |\n")
	}
	if more := rows - mostComment; more > 0 {
		fmt.Fprintf(b, "\nAnd %d more: `exchequer diff` shows them.\n", more)
	}
}

// longestCode is the longest text of a cell.
const longestCode = 300

// code is text that means nothing to a reader of Markdown: every character that
// could is written as its number, within a code element, where names of people
// are no mentions either.
func code(text string) string {
	if text == "" {
		return ""
	}
	text = ui.Safe(text)
	if runes := []rune(text); len(runes) > longestCode {
		text = string(runes[:longestCode]) + "…"
	}
	var b strings.Builder
	b.WriteString("<code>")
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == ' ', r == '/', r == '-', r == '.', r == ',', r > 0x7f:
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "&#%d;", r)
		}
	}
	b.WriteString("</code>")
	return b.String()
}
