// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package law

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors are the versions below which a dependency has a known hole that a
// token service meets.
var floors = map[string]struct{ version, why string }{
	"github.com/russellhaering/goxmldsig": {"v1.6.0", "before it a signature with two references vouches for what it is not over (CVE-2026-33487)"},
	"github.com/go-jose/go-jose/v4": {
		"v4.1.4", "before it a crafted JWE panics while being decrypted (CVE-2026-34986), and before v4.0.5 a token of many dots eats memory (CVE-2025-27144)",
	},
}

func TestF372DependenciesAreAboveTheirFloors(t *testing.T) {
	t.Parallel()
	required := requirements(t)
	for mod, floor := range floors {
		got, ok := required[mod]
		if !ok {
			t.Errorf("go.mod does not require %s any more: remove its floor, or find what replaced it", mod)
			continue
		}
		if older(got, floor.version) {
			t.Errorf("go.mod requires %s %s, older than %s: %s", mod, got, floor.version, floor.why)
		}
	}
}

func TestF372TheImageIsBuiltByAToolchainThatTheModuleAsksFor(t *testing.T) {
	t.Parallel()
	directive := submatch(t, "go.mod", `(?m)^go (\S+)$`)
	if older("v"+directive, "v1.26.0") {
		t.Errorf("go.mod says go %s; the module needs 1.26 or newer", directive)
	}
	builder := submatch(t, "Dockerfile", `(?m)^FROM (?:--platform=\S+ )?golang:([0-9.]+)\S* AS build$`)
	if older("v"+builder, "v"+directive) {
		t.Errorf("Dockerfile builds with Go %s, go.mod asks for %s", builder, directive)
	}
}

func TestVersionsAreComparedByNumber(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"v4.1.4", "v4.1.4", false},
		{"v4.1.3", "v4.1.4", true},
		{"v4.1.10", "v4.1.4", false},
		{"v4.0.99", "v4.1.4", true},
		{"v5.0.0", "v4.1.4", false},
		{"v1.26", "v1.26.0", false},
	} {
		if got := older(tc.a, tc.b); got != tc.want {
			t.Errorf("older(%s, %s) = %v, want %v", tc.a, tc.b, got, tc.want)
		}
	}
}

func TestF368GoModReplacesNothing(t *testing.T) {
	t.Parallel()
	if line := regexp.MustCompile(`(?m)^\s*replace\b.*|^.*=>.*$`).Find(read(t, "go.mod")); line != nil {
		t.Errorf("go.mod: %q: whoever installs with `go install` gets another program than we tested", line)
	}
}

func TestTheImageCanBeBuiltFromWhatItCopies(t *testing.T) {
	t.Parallel()
	dockerfile := read(t, "Dockerfile")
	for _, m := range regexp.MustCompile(`(?m)^COPY (\S.*) \S+$`).FindAllSubmatch(dockerfile, -1) {
		for _, source := range strings.Fields(string(m[1])) {
			if strings.HasPrefix(source, "--from=") {
				break // of an earlier stage
			}
			if _, err := os.Stat(filepath.Join(root(t), source)); err != nil {
				t.Errorf("Dockerfile copies %s, which is not there", source)
			}
		}
	}
	if !bytes.Contains(dockerfile, []byte("./cmd/...")) || !bytes.Contains(dockerfile, []byte("CGO_ENABLED=0")) {
		t.Error("Dockerfile must build ./cmd/... without cgo")
	}
	stages := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllSubmatch(dockerfile, -1)
	if last := string(stages[len(stages)-1][1]); !strings.HasPrefix(last, "gcr.io/distroless/static") || !strings.HasSuffix(last, ":nonroot") {
		t.Errorf("the image is based on %s, want distroless static as non-root", last)
	}
	if !regexp.MustCompile(`(?m)^USER [1-9]\d*:[1-9]\d*$`).Match(dockerfile) {
		t.Error("Dockerfile must name a numeric user, which runAsNonRoot can check")
	}
}

// The allow-list of .dockerignore is checked against what the programs import,
// because nothing else notices a missing directory before the image is built.
func TestTheImageGetsEveryPackageThatProgramsImport(t *testing.T) {
	t.Parallel()
	var allowed []string
	for line := range strings.Lines(string(read(t, ".dockerignore"))) {
		if dir, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			allowed = append(allowed, path.Join(module, dir))
		}
	}
	g := importGraph(t)
	for from := range g {
		if !matches("./cmd/...", from) {
			continue
		}
		for _, chain := range append(g.reach(from, true), []string{from}) {
			pkg := chain[len(chain)-1]
			if within(module, pkg) && !slices.ContainsFunc(allowed, func(a string) bool { return within(a, pkg) }) {
				t.Errorf(".dockerignore leaves out %s, which is imported by %s", pkg, strings.Join(chain, " → "))
			}
		}
	}
}

// What is written on one machine must make sense on the next.
func TestNoFileNamesAPathOfSomebodysMachine(t *testing.T) {
	t.Parallel()
	private := regexp.MustCompile(`(?:^|[\s"'(=:` + "`" + `])(/(?:home|Users|work|tmp/w)/[A-Za-z0-9._-]+)`)
	top := root(t)
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != top && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil || info.Size() > 1<<20 {
			return err
		}
		content, err := os.ReadFile(p)
		if err != nil || bytes.IndexByte(content, 0) >= 0 {
			return err // not text
		}
		if m := private.FindSubmatch(content); m != nil {
			rel, _ := filepath.Rel(top, p)
			t.Errorf("%s mentions %s: a path that others do not have", rel, m[1])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func requirements(t *testing.T) map[string]string {
	t.Helper()
	required := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\s*(\S+\.\S+/\S+) (v\S+)`).FindAllSubmatch(read(t, "go.mod"), -1) {
		required[string(m[1])] = string(m[2])
	}
	return required
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func submatch(t *testing.T, name, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindSubmatch(read(t, name))
	if m == nil {
		t.Fatalf("%s has no line like %s", name, pattern)
	}
	return string(m[1])
}

// older compares released versions, v<major>.<minor>.<patch>, by number.
func older(a, b string) bool { return slices.Compare(numbers(a), numbers(b)) < 0 }

func numbers(version string) []int {
	out := make([]int, 3)
	release, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	for i, part := range strings.SplitN(release, ".", 3) {
		n, err := strconv.Atoi(part)
		if err != nil {
			n = -1 // not a release: older than any
		}
		out[i] = n
	}
	return out
}
