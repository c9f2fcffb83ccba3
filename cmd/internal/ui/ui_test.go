// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func none(string) string { return "" }

func TestTextIsMadeSafeForATerminal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"plain":                    {"corp:alice ✓ é", "corp:alice ✓ é"},
		"an escape":                {"a\x1b[2Jb", `a\u001b[2Jb`},
		"a C1 control":             {"a\u009bb", `a\u009bb`},
		"a direction override":     {"a\u202eb", `a\u202eb`},
		"a zero width space":       {"a\u200bb", `a\u200bb`},
		"a line break":             {"a\nb\tc", "a b c"},
		"bytes that are no UTF-8":  {"a\xffb", "a\ufffdb"},
		"beyond the basic plane":   {"a\U000e0001b", `a\U000e0001b`},
		"nothing":                  {"", ""},
		"a bell and a back space":  {"\a\b", `\u0007\u0008`},
		"a no-break space escapes": {"a\u00a0b", `a\u00a0b`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Safe(tc.in); got != tc.want {
				t.Errorf("Safe(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func FuzzSafeTextHasNothingThatATerminalObeys(f *testing.F) {
	f.Add("a\x1b[2J\u202e\x9b")
	f.Fuzz(func(t *testing.T, s string) {
		got := Safe(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unprintable) {
			t.Errorf("Safe(%q) = %q", s, got)
		}
	})
}

func TestColourIsForTerminalsOnly(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	for name, s := range map[string]*Screen{"a buffer": NewScreen(&bytes.Buffer{}, none), "a pipe": NewScreen(w, none)} {
		if s.color || s.width != 0 || s.Paint(Bad, "x") != "x" {
			t.Errorf("%s is taken for a terminal", name)
		}
	}
	s := &Screen{out: &bytes.Buffer{}, color: true}
	if got := s.Paint(Bad, "x\x1b"); got != "\x1b[31mx\\u001b\x1b[0m" {
		t.Errorf("painted %q", got)
	}
	if s.Paint(Plain, "x") != "x" || s.Paint(Good, "") != "" {
		t.Error("there is nothing to paint")
	}
}

func TestATerminalWithoutColourStaysPlain(t *testing.T) {
	t.Parallel()
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatalf("a pseudo-terminal is needed to try one: %v", err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	if !NewScreen(tty, none).color {
		t.Error("a terminal has no colour")
	}
	for name, env := range map[string][2]string{"NO_COLOR": {"NO_COLOR", "1"}, "a dumb terminal": {"TERM", "dumb"}} {
		getenv := func(k string) string {
			if k == env[0] {
				return env[1]
			}
			return ""
		}
		if NewScreen(tty, getenv).color {
			t.Errorf("%s is not heeded", name)
		}
	}
}

func TestATableHasColumnsAsWideAsTheyNeed(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := NewScreen(&out, none)
	table := &Table{Header: []string{"NAME", "EMPTY", "DETAIL"}, Indent: "  "}
	table.Row(Text("a"), Cell{}, Text("one two three"))
	table.Row(Text("long\nname"), Cell{}, Text("ü"))
	table.Row(Text("short row"))
	s.Table(table)
	want := "  NAME       DETAIL\n  a          one two three\n  long name  ü\n  short row\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
	out.Reset()
	s.Table(&Table{Header: []string{"NOTHING"}})
	if out.Len() != 0 || table.Len() != 3 {
		t.Errorf("an empty table is %q", out.String())
	}
}

func TestOnATerminalTheLastColumnIsBroken(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &Screen{out: &out, width: 40}
	table := &Table{Header: []string{"NAME", "DETAIL"}}
	table.Row(Text("12345678901234"), Text("the quick brown fox jumps over the lazy dog"))
	s.Table(table)
	pad := strings.Repeat(" ", 16)
	want := "NAME" + strings.Repeat(" ", 12) + "DETAIL\n12345678901234  the quick brown fox\n" + pad + "jumps over the lazy dog\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestATreeShowsWhatIsBelowWhat(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	root := &Node{Label: []Cell{Text("root"), {}, Text("label")}}
	a := root.Add(Text("a"))
	a.Add(Text("a1")).Add(Text("a11"))
	root.Add(Text("b\x1b"))
	NewScreen(&out, none).Tree(root)
	want := "root label\n├─ a\n│  └─ a1\n│     └─ a11\n└─ b\\u001b\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestAFormatIsOneOfThoseThatThereAre(t *testing.T) {
	t.Parallel()
	f := NewFormat(TableFormat, JSONFormat)
	if f.String() != "table" || f.Type() != "table|json" {
		t.Errorf("%s of %s", f, f.Type())
	}
	if err := f.Set("yaml"); err == nil || f.Set("json") != nil || f.String() != "json" {
		t.Errorf("%v, %s", err, f)
	}
}

func TestReportsForProgramsSayTheSameInJSONAndYAML(t *testing.T) {
	t.Parallel()
	v := struct {
		Rule string `json:"rule"`
		List []int  `json:"list"`
	}{"a && b <c>", []int{1}}
	for format, want := range map[string]string{
		JSONFormat: "{\n  \"rule\": \"a && b <c>\",\n  \"list\": [\n    1\n  ]\n}\n",
		YAMLFormat: "list:\n- 1\nrule: a && b <c>\n",
	} {
		var out bytes.Buffer
		if err := Encode(&out, format, v); err != nil || out.String() != want {
			t.Errorf("%s: %v\n%s", format, err, out.String())
		}
	}
	if err := Encode(&bytes.Buffer{}, JSONFormat, func() {}); err == nil {
		t.Error("a function was encoded")
	}
}

func TestProgressIsShownWhenPatienceEnds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	failed := errors.New("failed")
	if err := Progress(&out, "wait", func() error { return failed }); !errors.Is(err, failed) || out.Len() != 0 {
		t.Errorf("%v, %q", err, out.String())
	}
	if err := progress(&out, "wait", func() error { return nil }, time.Hour); err != nil || out.Len() != 0 {
		t.Errorf("%v, %q", err, out.String())
	}
	shown := &seen{told: make(chan struct{})}
	err := progress(shown, "fetch", func() error { <-shown.told; return failed }, time.Millisecond)
	if !errors.Is(err, failed) || !strings.HasPrefix(shown.String(), "\r\x1b[Kfetch … 0s") || !strings.HasSuffix(shown.String(), "\r\x1b[K") {
		t.Errorf("%v, %q", err, shown.String())
	}
}

// seen tells when something was first written to it.
type seen struct {
	bytes.Buffer
	told chan struct{}
	once bool
}

func (s *seen) Write(p []byte) (int, error) {
	if !s.once {
		s.once = true
		defer close(s.told)
	}
	return s.Buffer.Write(p)
}
