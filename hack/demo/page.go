// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// page is what the reader sees, and the tally of what was checked.
type page struct {
	out      io.Writer
	terminal bool
	chapters int
	passed   int
	failed   []string
}

const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	green = "\x1b[32m"
	red   = "\x1b[31m"
	cyan  = "\x1b[36m"
	plain = "\x1b[0m"
)

// onTerminal says whether colour helps: on a terminal, unless NO_COLOR is set.
func onTerminal(f *os.File) bool {
	if _, set := os.LookupEnv("NO_COLOR"); set || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *page) colour(code, text string) string {
	if !p.terminal {
		return text
	}
	return code + text + plain
}

func (p *page) prologue() {
	p.line("%s", p.colour(bold, "An app hands a picture service a token for the pictures, and for nothing else"))
	p.line(`
   corporate issuer
      │
      │ images contacts
      ▼
   the app ──── images contacts ───► Exchequer
   the app ◄─── images ───────────── Exchequer
      │
      │ images
      ▼
   photo lab ─────┬──► images API     ✓
   (third party)  └──► contacts API   ✗`)
}

func (p *page) epilogue() {
	p.line("")
	if len(p.failed) == 0 {
		p.line("%s", p.colour(green, fmt.Sprintf("All %d checks came out as they should.", p.passed)))
		p.line("Next: docs/getting-started.md does the same by hand.\nThe manifests are in hack/demo/manifests.")
		return
	}
	p.line("%s", p.colour(red, fmt.Sprintf("%d of %d checks did not come out as they should:", len(p.failed), len(p.failed)+p.passed)))
	for _, f := range p.failed {
		p.line("   ✗ %s", f)
	}
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// chapter begins a numbered part.
func (p *page) chapter(title string) {
	p.chapters++
	p.line("\n%s", p.colour(bold, fmt.Sprintf("%d. %s", p.chapters, title)))
}

// say tells, indented, what happens.
func (p *page) say(format string, args ...any) {
	for l := range strings.Lines(fmt.Sprintf(format, args...)) {
		l = strings.TrimRight(l, "\n")
		p.wrapped(l, hang(l))
	}
}

// quote shows what a program or a server said, apart from what the demo says.
func (p *page) quote(text string) {
	for l := range strings.Lines(strings.TrimRight(text, "\n")) {
		l = strings.TrimRight(l, "\n ")
		below := len(l) - len(strings.TrimLeft(l, " ")) + 2
		for _, part := range wrap(l, columns-len("   | "), below) {
			p.line("   %s", p.colour(cyan, strings.TrimRight("│ "+part, " ")))
		}
	}
}

// check is one fact of the story. It is printed as what it turned out to be.
func (p *page) check(ok bool, fact string, found any) {
	if ok {
		p.passed++
		p.wrapped(p.colour(green, "✓")+" "+fact, 2)
		return
	}
	text := fmt.Sprintf("%s (found: %v)", fact, found)
	p.failed = append(p.failed, text)
	p.wrapped(p.colour(red, "✗")+" "+text, 2)
}

// claimOrder is the order in which a person reads claims.
var claimOrder = []string{"iss", "sub", "aud", "client_id", "azp", "scope", "groups", "iat", "nbf", "exp", "jti", "txn", "xqr"}

// token shows a token decoded: its header on one line, its claims one by one.
func (p *page) token(t *token) {
	p.say("%s %s", p.colour(faint, "token    "), short(t.raw, 30))
	h, err := json.Marshal(t.header)
	if err != nil {
		h = []byte("?")
	}
	p.say("%s %s", p.colour(faint, "header   "), strings.ReplaceAll(string(h), `,"`, `, "`))
	names := make([]string, 0, len(t.claims))
	for name := range t.claims {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		p.say("%s %s", p.colour(faint, fmt.Sprintf("%-9s", name)), t.show(name))
	}
}

func rank(claim string) int {
	if i := slices.Index(claimOrder, claim); i >= 0 {
		return i
	}
	return len(claimOrder)
}

// columns is how wide the page is: what a terminal has when nobody asked it.
const columns = 78

// wrapped writes one line of text, and goes on below it where it is too long.
func (p *page) wrapped(text string, below int) {
	for _, part := range wrap(text, columns-3, below) {
		p.line("   %s", part)
	}
}

// gap stands between a name and what is said of it.
var gap = regexp.MustCompile(`^(?:\x1b\[[0-9]+m)?([^ ]+ {2,})`)

// hang is where a line goes on: below the text of a name, else where it began.
func hang(text string) int {
	if m := gap.FindStringSubmatch(text); m != nil {
		return len(m[1])
	}
	return 0
}

// wrap breaks a line that is wider than width at spaces, and indents what follows.
// A word that is wider stays whole.
func wrap(text string, width, below int) []string {
	indent := strings.Repeat(" ", below)
	text = strings.TrimRight(text, " ")
	var parts []string
	for {
		at := breakAt(text, width)
		if at < 0 {
			return append(parts, text)
		}
		parts = append(parts, strings.TrimRight(text[:at], " "))
		text = indent + strings.TrimLeft(text[at:], " ")
	}
}

// breakAt finds the last space within width, or the first one after it; -1 when
// the text fits, or is one word. Colour takes no room.
func breakAt(text string, width int) int {
	last, column, escape, begun := -1, 0, false, false
	for i, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			if r == ' ' && begun && (column <= width || last < 0) {
				last = i
			}
			begun = begun || r != ' '
			column++
		}
	}
	if column <= width {
		return -1
	}
	return last
}

// waiting shows that something takes a while: a clock on a terminal, a line now
// and then elsewhere. The returned function ends it.
func (p *page) waiting(what string) (done func()) {
	start, stop, ended := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		every := 15 * time.Second
		if p.terminal {
			every = time.Second
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				if p.terminal {
					fmt.Fprint(p.out, "\r\x1b[K")
				}
				return
			case <-tick.C:
				if s := time.Since(start); p.terminal {
					fmt.Fprintf(p.out, "\r   %s %s", what, s.Round(time.Second))
				} else {
					p.line("   %s %s", what, s.Round(time.Second))
				}
			}
		}
	}()
	return func() { close(stop); <-ended }
}

// short cuts what only a machine reads.
func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return fmt.Sprintf("%s… (%d characters)", s[:n], len(s))
}
