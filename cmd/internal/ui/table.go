// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"strings"
)

// Cell is one cell of a table.
type Cell struct {
	Text  string
	Style Style
}

// Text is a plain cell.
func Text(text string) Cell { return Cell{Text: text} }

// Table is rows under a header, in columns as wide as they need to be. A column
// in which no row has anything is left out.
type Table struct {
	// Header names the columns; nil for a table without.
	Header []string
	// Indent is written before every line.
	Indent string

	rows [][]Cell
}

// Row adds a row.
func (t *Table) Row(cells ...Cell) { t.rows = append(t.rows, cells) }

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// gap stands between two columns.
const gap = 2

// leastLast is the narrowest that the last column is broken to: narrower columns
// are harder to read than lines that the terminal breaks itself.
const leastLast = 24

// Table writes t. On a terminal the last column is broken to fit; elsewhere a
// row is one line.
func (s *Screen) Table(t *Table) {
	columns := t.columns()
	if len(columns) == 0 {
		return
	}
	widths := make([]int, len(columns))
	left := width(t.Indent)
	for n, c := range columns {
		if t.Header != nil {
			widths[n] = width(t.Header[c])
		}
		for _, row := range t.rows {
			widths[n] = max(widths[n], width(Safe(cellOf(row, c).Text)))
		}
		if n < len(columns)-1 {
			left += widths[n] + gap
		}
	}
	room := 0
	if s.width > 0 {
		room = max(s.width-left, leastLast)
	}
	if t.Header != nil {
		header := make([]Cell, len(t.Header))
		for i, h := range t.Header {
			header[i] = Cell{Text: h, Style: Dim}
		}
		s.row(t.Indent, header, columns, widths, left, 0)
	}
	for _, row := range t.rows {
		s.row(t.Indent, row, columns, widths, left, room)
	}
}

func (s *Screen) row(indent string, row []Cell, columns, widths []int, left, room int) {
	var b strings.Builder
	b.WriteString(indent)
	for n, c := range columns {
		cell := cellOf(row, c)
		text := Safe(cell.Text)
		if n < len(columns)-1 {
			b.WriteString(s.paint(cell.Style, text))
			b.WriteString(strings.Repeat(" ", widths[n]-width(text)+gap))
			continue
		}
		for i, line := range fold(text, room) {
			if i > 0 {
				b.WriteString("\n" + strings.Repeat(" ", left))
			}
			b.WriteString(s.paint(cell.Style, line))
		}
	}
	s.Line(strings.TrimRight(b.String(), " "))
}

// columns are those in which some row has something.
func (t *Table) columns() []int {
	var out []int
	most := len(t.Header)
	for _, row := range t.rows {
		most = max(most, len(row))
	}
	for c := range most {
		for _, row := range t.rows {
			if cellOf(row, c).Text != "" {
				out = append(out, c)
				break
			}
		}
	}
	return out
}

func cellOf(row []Cell, c int) Cell {
	if c >= len(row) {
		return Cell{}
	}
	return row[c]
}

// fold breaks text at spaces into lines of at most room columns; 0 is no limit.
func fold(text string, room int) []string {
	if room <= 0 || width(text) <= room {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		switch {
		case line == "":
			line = word
		case width(line)+1+width(word) <= room:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
