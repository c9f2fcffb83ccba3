// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// today is the time of every run in these tests.
func today() time.Time { return time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC) }

// ran is how a run of the program ended.
type ran struct {
	code      int
	out, errs string
}

// exchequer runs the program as main does, with stdin.
func exchequer(t *testing.T, stdin string, args ...string) ran {
	t.Helper()
	return runAs(t, "exchequer", stdin, args...)
}

func runAs(t *testing.T, program, stdin string, args ...string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), invocation{program: program, args: args, in: strings.NewReader(stdin), out: &out, errs: &errs, now: today})
	return ran{code: code, out: out.String(), errs: errs.String()}
}

// must fails the test unless the run ended with code.
func (r ran) must(t *testing.T, code int) ran {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", r.code, code, r.out, r.errs)
	}
	return r
}

// says fails the test unless the text has every part.
func says(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

// golden compares text with a file, or writes the file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s (run with -update after looking at the difference)\ngot:\n%s\nwant:\n%s", path, text, want)
	}
	if strings.Contains(text, "\x1b") {
		t.Errorf("%s has terminal escapes, and nothing here is a terminal", name)
	}
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	return v
}

// file writes a file of its own for a test, and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
