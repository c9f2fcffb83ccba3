// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// where asks the script of a checkout for its folder of programs.
func where(t *testing.T, checkout, cache string) (folder string, built bool) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(checkout, "hack", "cluster", "build.sh"), "--where", "test")
	command.Env = append(os.Environ(), "EXCHEQUER_CACHE="+cache)
	var errs bytes.Buffer
	command.Stderr = &errs
	out, err := command.Output()
	folder = strings.TrimSpace(string(out))
	if !strings.HasPrefix(folder, cache+"/") {
		t.Fatalf("build.sh --where test: expected a folder in %s, found %q (%v)\n%s", cache, folder, err, errs.String())
	}
	return folder, err == nil
}

// checkout copies what the script reads.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []string{"hack/cluster", "hack/tools"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS("../../"+part)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAnEmptyCacheIsToldAndNothingIsBuilt(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	if folder, built := where(t, "../..", cache); built {
		t.Errorf("an empty cache was said to hold %s", folder)
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) > 0 {
		t.Errorf("asking where wrote into the cache: %v, %v", left, err)
	}
}

func TestTheCacheIsKeyedByThePins(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	before, _ := where(t, checkout(t), cache)
	if again, _ := where(t, checkout(t), cache); again != before {
		t.Errorf("two checkouts with equal pins have two folders: %s and %s", before, again)
	}
	for _, file := range []string{"kubernetes/go.mod", "kubernetes/go.sum", "etcd/go.mod", "helm/go.sum"} {
		t.Run("another "+file, func(t *testing.T) {
			t.Parallel()
			dir := checkout(t)
			f, err := os.OpenFile(filepath.Join(dir, "hack/tools", file), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString("\n// another pin\n"); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if after, _ := where(t, dir, cache); after == before {
				t.Errorf("%s changed, and the folder is still %s", file, after)
			}
		})
	}
	t.Run("another module is no pin of the tests", func(t *testing.T) {
		t.Parallel()
		dir := checkout(t)
		if err := os.WriteFile(filepath.Join(dir, "hack/tools/coredns/go.sum"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if after, _ := where(t, dir, cache); after != before {
			t.Errorf("coredns changed, and the tests' folder went from %s to %s", before, after)
		}
	})
}
