// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// tree is a directory for a test.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) tree {
	t.Helper()
	return tree{t, t.TempDir()}
}

func (d tree) path(name string) string { return filepath.Join(d.root, name) }

func (d tree) write(name, content string) {
	d.t.Helper()
	d.must(os.MkdirAll(filepath.Dir(d.path(name)), 0o700))
	d.must(os.WriteFile(d.path(name), []byte(content), 0o600))
}

func (d tree) folder(name string) {
	d.t.Helper()
	d.must(os.MkdirAll(d.path(name), 0o700))
}

// link makes name a link to target, replacing another one in one step.
func (d tree) link(name, target string) {
	d.t.Helper()
	d.must(os.Symlink(target, d.path(name+".new")))
	d.must(os.Rename(d.path(name+".new"), d.path(name)))
}

func (d tree) remove(name string) {
	d.t.Helper()
	d.must(os.RemoveAll(d.path(name)))
}

func (d tree) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// files lists what Files finds, without the root.
func (d tree) files() []string {
	d.t.Helper()
	found, err := Files(d.root)
	d.must(err)
	for i := range found {
		rel, err := filepath.Rel(d.root, found[i])
		d.must(err)
		found[i] = rel
	}
	return found
}

func TestWhichFilesAreManifests(t *testing.T) {
	t.Parallel()
	d := newTree(t)
	for _, name := range []string{
		"b.yaml", "a.yml", "c.json", "deep/er/d.yaml", // these
		"kustomization.yaml", "kustomization.yml", "README.md", "x.yaml~", "x.yaml.bak", "policies_test.yaml", "more_test.yml", // not these
		".hidden.yaml", ".git/config.yaml", "deep/.hidden/e.yaml", "UPPER.YAML", "yaml", "..data.yaml",
	} {
		d.write(name, "")
	}
	d.folder("folder.yaml")
	d.write("folder.yaml/f.yaml", "")
	want := []string{"a.yml", "b.yaml", "c.json", "deep/er/d.yaml", "folder.yaml/f.yaml"}
	if got := d.files(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	t.Run("a file that is named is taken, whatever its name", func(t *testing.T) {
		got, err := Files(d.path("README.md"), d.path("b.yaml"), d.path("b.yaml"), d.path("deep"))
		if want := []string{d.path("README.md"), d.path("b.yaml"), d.path("deep/er/d.yaml")}; err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
	t.Run("what is not there is told once", func(t *testing.T) {
		_, err := Files(d.path("nowhere"))
		if want := "manifests " + d.path("nowhere") + ": no such file or directory"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

func TestLinksAreFollowedAndLeadNowhereTwice(t *testing.T) {
	t.Parallel()
	t.Run("a mounted ConfigMap is read once, through its links", func(t *testing.T) {
		t.Parallel()
		d := newTree(t)
		d.write("..2030_01_01/a.yaml", "")
		d.write("..2030_01_01/team/b.yaml", "")
		d.link("..data", "..2030_01_01")
		d.link("a.yaml", "..data/a.yaml")
		d.link("team", "..data/team")
		if got, want := d.files(), []string{"a.yaml", "team/b.yaml"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("a link to a folder above is not followed", func(t *testing.T) {
		t.Parallel()
		d := newTree(t)
		d.write("a/x.yaml", "")
		d.link("a/up", "..")
		d.link("a/self", ".")
		d.link("a/round", d.path("a/self/up"))
		if got, want := d.files(), []string{"a/x.yaml"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("the root may be a link", func(t *testing.T) {
		t.Parallel()
		d := newTree(t)
		d.write("real/x.yaml", "")
		d.link("current", "real")
		got, err := Files(d.path("current"))
		if want := []string{d.path("current/x.yaml")}; err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
	t.Run("a few links cannot be a million folders", func(t *testing.T) {
		t.Parallel()
		d := newTree(t)
		for i := range 24 {
			d.folder(fmt.Sprintf("%02d", i))
			d.link(fmt.Sprintf("%02d/left", i), fmt.Sprintf("../%02d", i+1))
			d.link(fmt.Sprintf("%02d/right", i), fmt.Sprintf("../%02d", i+1))
		}
		d.folder("24")
		if _, err := Files(d.root); err == nil || !strings.Contains(err.Error(), "more than 10000 folders") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAFileThatIsNoneIsAProblemAndNotAWait(t *testing.T) {
	t.Parallel()
	d := newTree(t)
	d.must(syscall.Mkfifo(d.path("pipe.yaml"), 0o600))
	d.link("dangling.yaml", "nowhere")
	d.link("round.yaml", "round.yaml")
	d.write("large.yaml", "")
	d.must(os.Truncate(d.path("large.yaml"), maxFileBytes+1))
	d.link("zero.yaml", "/dev/zero")
	for name, want := range map[string]string{
		"pipe.yaml":     "cannot be read: it is not a regular file",
		"zero.yaml":     "cannot be read: it is not a regular file",
		"dangling.yaml": "cannot be read: no such file or directory",
		"round.yaml":    "cannot be read: too many levels of symbolic links",
		"large.yaml":    "the file has more than the 16777216 bytes that are read: split it",
	} {
		t.Run(name, func(t *testing.T) {
			if !slices.Contains(d.files(), name) {
				t.Error("it is passed over in silence")
			}
			objects, problems := ReadFile(d.path(name))
			if len(objects) != 0 || len(problems) != 1 || problems[0].Message != want || problems[0].File != d.path(name) {
				t.Errorf("%d objects, problems %v, want %s", len(objects), problems, want)
			}
		})
	}
}

func moved(from, to string) error { return os.Rename(from, to) }
