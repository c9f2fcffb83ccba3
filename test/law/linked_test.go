// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package law

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the lists in testdata/linked")

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath string
	Name       string
	Standard   bool
	Module     *struct{ Path string }
	Imports    []string
	Deps       []string
}

// powers are imports by which a package can do what Go's types do not show.
var powers = []string{"unsafe", "os/exec", "plugin", "net/http/pprof", "C"}

// What is linked into a program is what can be attacked in it: a package that
// comes or goes is a line that a reviewer sees, whichever dependency brought
// it. The versions stand in go.mod.
func TestF363WhatIsLinkedIntoAProgramIsReviewed(t *testing.T) {
	t.Parallel()
	for program, got := range linkedPrograms(t) {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", "linked", program+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; write it with: go test ./test/law -run F363 -args -update", err)
			}
			if diff := lineDiff(string(want), got); diff != "" {
				t.Errorf("other packages than %s says are linked into %s:\n%s\nIf they are wanted, write it anew and have it reviewed: go test ./test/law -run F363 -args -update",
					file, program, diff)
			}
		})
	}
}

func TestTheListOfAProgramThatIsGoneIsGone(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "linked", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if _, err := os.Stat(filepath.Join(root(t), "cmd", name, "main.go")); err != nil {
			t.Errorf("%s is the list of no program: remove it", file)
		}
	}
}

func TestTheListsDifferByLine(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ want, got, diff string }{
		"the same":          {"a\nb\n", "a\nb\n", ""},
		"a package more":    {"m\n  a\n", "m\n  a\n  b\n", "+ m: b"},
		"a package less":    {"m\n  a\n  b\n", "m\n  b\n", "- m: a"},
		"another power":     {"m\n  a\n", "m\n  a (unsafe)\n", "- m: a\n+ m: a (unsafe)"},
		"in another module": {"m\n  a\nn\n", "m\nn\n  a\n", "- m: a\n+ n: a"},
		"a module more":     {"m\n  a\n", "m\n  a\nn\n  .\n", "+ n: .\n+ n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := lineDiff(tc.want, tc.got); !sameLines(got, tc.diff) {
				t.Errorf("got\n%s\nwant\n%s", got, tc.diff)
			}
		})
	}
}

// linkedPrograms returns the list of every program of cmd/, as the image holds
// it: for Linux, without cgo. The go command's answer hangs on the sources and
// on go.mod, which are read here so that a cached result is not reused.
func linkedPrograms(t *testing.T) map[string]string {
	t.Helper()
	goFiles(t)
	read(t, "go.mod")
	read(t, "go.sum")
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Name,Standard,Module,Imports,Deps", "./cmd/...")
	list.Dir = root(t)
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", list, err, stderr.Bytes())
	}
	packages := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
	programs := map[string]string{}
	for _, p := range packages {
		if p.Name == "main" {
			programs[filepath.Base(p.ImportPath)] = linkedList(p, packages)
		}
	}
	if len(programs) == 0 {
		t.Fatal("found no program in cmd/")
	}
	return programs
}

func linkedList(program listed, packages map[string]listed) string {
	byModule := map[string][]string{}
	for _, dep := range program.Deps {
		p := packages[dep]
		if p.Standard || p.Module == nil || p.Module.Path == module {
			continue // the toolchain's own, and ours, which the rest of this package judges
		}
		name := strings.TrimPrefix(strings.TrimPrefix(dep, p.Module.Path), "/")
		if name == "" {
			name = "."
		}
		var has []string
		for _, power := range powers {
			if slices.Contains(p.Imports, power) {
				has = append(has, power)
			}
		}
		if len(has) > 0 {
			name += " (" + strings.Join(has, ", ") + ")"
		}
		byModule[p.Module.Path] = append(byModule[p.Module.Path], "  "+name)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# Packages of others in %s, by module; in parentheses what they import of %s.\n",
		filepath.Base(program.ImportPath), strings.Join(powers, ", "))
	for _, m := range slices.Sorted(maps.Keys(byModule)) {
		slices.Sort(byModule[m])
		fmt.Fprintf(&out, "%s\n%s\n", m, strings.Join(byModule[m], "\n"))
	}
	return out.String()
}

// lineDiff returns the packages that one list has and the other has not.
func lineDiff(want, got string) string {
	a, b := qualified(want), qualified(got)
	var out []string
	for _, line := range a {
		if !slices.Contains(b, line) {
			out = append(out, "- "+line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			out = append(out, "+ "+line)
		}
	}
	return strings.Join(out, "\n")
}

// qualified puts its module before every package.
func qualified(list string) []string {
	var out []string
	mod := ""
	for line := range strings.Lines(list) {
		line = strings.TrimRight(line, "\n")
		if name, ok := strings.CutPrefix(line, "  "); ok {
			line = mod + ": " + name
		} else {
			mod = line
		}
		out = append(out, line)
	}
	return out
}

func sameLines(a, b string) bool {
	return slices.Equal(slices.Sorted(strings.Lines(a+"\n")), slices.Sorted(strings.Lines(b+"\n")))
}
