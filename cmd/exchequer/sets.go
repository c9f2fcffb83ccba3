// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/feed"
)

// set is a set of manifests that mean something together.
type set struct {
	// name is what it is called in a report, paths the files and directories it has.
	name  string
	paths []string
}

// setsIn finds the sets of manifests among files and directories: all of them
// together, but for every folder below which a test takes its manifests from alone.
// Such a folder is a world of its own, with its own TokenService: the samples of
// many stories can lie side by side.
func setsIn(roots []string) ([]set, error) {
	var tests []string
	for _, root := range roots {
		if feed.IsTestFile(root) {
			continue
		}
		found, err := testFiles(root)
		if err != nil {
			return nil, usage("%w", err)
		}
		for _, f := range found {
			if filepath.Dir(f) != filepath.Clean(root) {
				tests = append(tests, f)
			}
		}
	}
	worlds := map[string][]string{}
	for _, test := range tests {
		folder := filepath.Dir(test)
		if paths, ok := ownManifests(test); ok {
			worlds[folder] = append(worlds[folder], paths...)
		}
	}
	common := set{name: strings.Join(roots, ", "), paths: roots}
	if len(worlds) == 0 {
		return []set{common}, nil
	}
	files, err := feed.Files(roots...)
	if err != nil {
		return nil, usage("%w", err)
	}
	common.paths = slices.DeleteFunc(files, func(f string) bool {
		for folder := range worlds {
			if within(folder, f) {
				return true
			}
		}
		return false
	})
	var out []set
	if len(common.paths) > 0 {
		out = append(out, common)
	}
	for folder, paths := range worlds {
		slices.Sort(paths)
		out = append(out, set{name: folder, paths: slices.Compact(paths)})
	}
	slices.SortStableFunc(out[min(1, len(common.paths)):], func(a, b set) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// ownManifests are the manifests that a test names; false when it is no test of
// ours, or names some outside its own folder.
func ownManifests(test string) ([]string, bool) {
	objects, _ := feed.ReadFile(test)
	var out []string
	for _, o := range objects {
		list, _ := o.Content["manifests"].([]any)
		for _, v := range list {
			path, ok := v.(string)
			if !ok || !filepath.IsLocal(path) {
				return nil, false
			}
			out = append(out, filepath.Join(filepath.Dir(test), path))
		}
	}
	return out, len(out) > 0
}

func within(folder, file string) bool {
	rel, err := filepath.Rel(folder, file)
	return err == nil && filepath.IsLocal(rel)
}
