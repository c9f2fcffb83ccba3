// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFiles bounds a directory: far above any real one, it stops a walk that was
// pointed at the wrong place.
const maxFiles = 10000

// maxFolders bounds the folders of a directory: links can make a few of them look
// like millions.
const maxFolders = 10000

// Files lists the manifests under the given files and directories, sorted:
// *.yaml, *.yml and *.json. Names that start with a dot are passed over, so that
// the hidden folders of a mounted ConfigMap are read through its links, once;
// links to folders are followed, because its folders are such links.
func Files(roots ...string) ([]string, error) {
	w := &walk{}
	for _, root := range roots {
		if err := w.root(root); err != nil {
			var at *fs.PathError
			if errors.As(err, &at) && filepath.Clean(at.Path) == filepath.Clean(root) {
				err = at.Err // the path stands before it already
			}
			return nil, fmt.Errorf("manifests %s: %w", root, err)
		}
	}
	slices.Sort(w.files)
	return slices.Compact(w.files), nil
}

// walk is what was found on the way through directories.
type walk struct {
	files   []string
	folders []string
}

func (w *walk) root(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		w.files = append(w.files, root)
		return nil
	}
	return w.folder(root, nil)
}

// folder walks one folder. above are the folders that it lies in, as they really
// are: a link back to one of them leads nowhere new.
func (w *walk) folder(path string, above []string) error {
	actual, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if actual, err = filepath.Abs(actual); err != nil {
		return err
	}
	if slices.Contains(above, actual) {
		return nil
	}
	if w.folders = append(w.folders, path); len(w.folders) > maxFolders {
		return fmt.Errorf("more than %d folders", maxFolders)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	above = append(slices.Clip(above), actual)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := w.entry(filepath.Join(path, e.Name()), e, above); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(path string, e fs.DirEntry, above []string) error {
	isFolder := e.IsDir()
	if e.Type()&fs.ModeSymlink != 0 {
		// A link to nothing is a file that cannot be read, and is told as one.
		info, err := os.Stat(path)
		isFolder = err == nil && info.IsDir()
	}
	switch {
	case isFolder:
		return w.folder(path, above)
	case !isManifest(path):
		return nil
	}
	if w.files = append(w.files, path); len(w.files) > maxFiles {
		return fmt.Errorf("more than %d files", maxFiles)
	}
	return nil
}

func isManifest(path string) bool {
	switch ext := filepath.Ext(path); ext {
	case ".yaml", ".yml", ".json":
		return strings.TrimSuffix(filepath.Base(path), ext) != "kustomization" && !IsTestFile(path)
	}
	return false
}

// IsTestFile says whether a file holds PolicyTests: its name ends in _test.yaml.
func IsTestFile(path string) bool {
	return strings.HasSuffix(path, "_test.yaml") || strings.HasSuffix(path, "_test.yml")
}

// ReadFile reads one file of manifests within the bounds.
func ReadFile(path string) ([]*Object, []Problem) {
	data, err := read(path)
	if err != nil {
		return nil, []Problem{{File: path, Line: 1, Message: "cannot be read: " + unwrapped(err)}}
	}
	return ParseManifests(path, data)
}

// read reads one byte more than the bound at most, so that the bound is seen.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file") // Opening a pipe would wait for a writer.
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxFileBytes+1))
}

func unwrapped(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return err.Error()
}
