// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package law

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fuzzTargets returns "./package Target" for every fuzz target, sorted.
func fuzzTargets(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, f := range goFiles(t) {
		for name := range f.syntax.Scope.Objects {
			if f.test && strings.HasPrefix(name, "Fuzz") {
				out = append(out, "./"+path.Dir(f.path)+" "+name)
			}
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		t.Fatal("no fuzz target found")
	}
	return out
}

func corpus(target string) string {
	pkg, name, _ := strings.Cut(target, " ")
	return path.Join(pkg, "testdata", "fuzz", name)
}

// `go test` runs what stands there, and refuses a file that does not fit its
// target: being there is enough to be run.
func TestF364EveryFuzzTargetHasInputsInTheRepository(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, target := range fuzzTargets(t) {
		dir := corpus(target)
		known[dir] = true
		files, err := os.ReadDir(filepath.Join(root(t), dir))
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no inputs in %s (%v); run: make fuzz && make fuzz-keep", target, dir, err)
		}
		for _, f := range files {
			if content := read(t, path.Join(dir, f.Name())); !bytes.HasPrefix(content, []byte("go test fuzz v1\n")) {
				t.Errorf("%s/%s is no input of a fuzz target", dir, f.Name())
			}
		}
	}
	// A target that was renamed takes its inputs along, crashers above all.
	var folders []string
	for _, depth := range []string{"*", "*/*", "*/*/*", "*/*/*/*"} {
		found, err := filepath.Glob(filepath.Join(root(t), filepath.FromSlash(depth), "testdata", "fuzz", "*"))
		if err != nil {
			t.Fatal(err)
		}
		folders = append(folders, found...)
	}
	for _, folder := range folders {
		rel, err := filepath.Rel(root(t), folder)
		if err != nil || !known[filepath.ToSlash(rel)] {
			t.Errorf("%s belongs to no fuzz target: its inputs are never run", rel)
		}
	}
}

// Pull requests and nights take their targets from this list.
func TestF364TheFuzzScriptRunsEveryTarget(t *testing.T) {
	t.Parallel()
	script := exec.CommandContext(t.Context(), "bash", filepath.Join(root(t), "hack", "fuzz.sh"), "--list")
	out, err := script.Output()
	if err != nil {
		t.Fatalf("hack/fuzz.sh --list: %v", err)
	}
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(got)
	if want := fuzzTargets(t); !slices.Equal(got, want) {
		t.Errorf("hack/fuzz.sh --list gives\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
