// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Screen is where a report is written: a terminal, or a file or pipe that gets
// the same words without colour.
type Screen struct {
	out   io.Writer
	color bool
	// width is the terminal's, 0 where lines are never broken.
	width int
}

// NewScreen looks at what is on the other end of out. getenv is os.Getenv.
func NewScreen(out io.Writer, getenv func(string) string) *Screen {
	s := &Screen{out: out}
	f, isFile := out.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return s
	}
	s.color = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	if w, _, err := term.GetSize(int(f.Fd())); err == nil {
		s.width = w
	}
	return s
}

// Style is what a piece of text means, not how it looks.
type Style uint8

// The styles.
const (
	Plain Style = iota
	Good
	Bad
	Warn
	Dim
	Strong
)

// Paint gives text the look of a style, where there is colour. The text is made
// safe on the way.
func (s *Screen) Paint(style Style, text string) string {
	return s.paint(style, Safe(text))
}

func (s *Screen) paint(style Style, safe string) string {
	if !s.color || safe == "" {
		return safe
	}
	code := ""
	switch style {
	case Plain:
		return safe
	case Good:
		code = "32"
	case Bad:
		code = "31"
	case Warn:
		code = "33"
	case Dim:
		code = "2"
	case Strong:
		code = "1"
	}
	return "\x1b[" + code + "m" + safe + "\x1b[0m"
}

// Line writes one line of styled pieces.
func (s *Screen) Line(pieces ...string) {
	fmt.Fprintln(s.out, strings.Join(pieces, ""))
}

// Linef writes one plain line; its arguments are made safe as a whole.
func (s *Screen) Linef(format string, args ...any) {
	s.Line(Safe(fmt.Sprintf(format, args...)))
}

// Safe makes text harmless for a terminal: control characters, direction
// overrides and everything else that is not printed are written as \u escapes;
// line breaks become spaces.
func Safe(text string) string {
	if !strings.ContainsFunc(text, unprintable) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		case unprintable(r):
			if r > 0xffff {
				fmt.Fprintf(&b, `\U%08x`, r)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// width counts the columns of text that has no escapes: wide and combining
// characters are rare in names, and counted as one.
func width(text string) int { return utf8.RuneCountInString(text) }
