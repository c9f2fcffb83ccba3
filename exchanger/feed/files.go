// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFiles bounds a directory: far above any real one, it stops a walk that was
// pointed at the wrong place.
const maxFiles = 10000

// Files lists the manifests under the given files and directories, sorted:
// *.yaml, *.yml and *.json. Names that start with a dot are passed over, so that
// the hidden folders of a mounted ConfigMap are read through its links, once.
func Files(roots ...string) ([]string, error) {
	var out []string
	for _, root := range roots {
		info, err := os.Stat(root)
		if err != nil {
			return nil, fmt.Errorf("manifests %s: %w", root, errors.Unwrap(err))
		}
		if !info.IsDir() {
			out = append(out, root)
			continue
		}
		found, err := walk(root)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func walk(root string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(root+string(filepath.Separator), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") && path != root+string(filepath.Separator) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.IsDir() || !isManifest(path) {
			return nil
		}
		if len(out) >= maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		out = append(out, path)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("manifests %s: %w", root, err)
	}
	return out, nil
}

func isManifest(path string) bool {
	switch filepath.Ext(path) {
	case ".yaml", ".yml", ".json":
		base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		return base != "kustomization" && !strings.HasSuffix(base, "_test")
	}
	return false
}

// IsTestFile says whether a file holds PolicyTests: its name ends in _test.yaml.
func IsTestFile(path string) bool {
	return strings.HasSuffix(path, "_test.yaml") || strings.HasSuffix(path, "_test.yml")
}

// ReadFile reads one file of manifests within the bounds.
func ReadFile(path string) ([]*Object, []Problem) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, []Problem{{File: path, Line: 1, Message: "cannot be read: " + unwrapped(err)}}
	}
	if info.Size() > maxFileBytes || !info.Mode().IsRegular() {
		return nil, []Problem{{File: path, Line: 1, Message: fmt.Sprintf("not a regular file of at most %d bytes", maxFileBytes)}}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, []Problem{{File: path, Line: 1, Message: "cannot be read: " + unwrapped(err)}}
	}
	return ParseManifests(path, data)
}

func unwrapped(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return err.Error()
}
