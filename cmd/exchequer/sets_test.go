// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

const (
	oneService = "apiVersion: exchequer.dev/v1alpha1\nkind: TokenService\nmetadata: {name: default}\nspec: {issuer: \"https://sts.example.com\"}\n"
)

func TestAFolderWhoseTestTakesItsManifestsFromThereAloneIsASetOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("all.yaml", oneService)
	put("one/platform.yaml", oneService)
	put("two/platform.yaml", oneService)
	twice := func() bool {
		sets, err := setsIn([]string{dir})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sets {
			m, err := loadManifests(s.paths, defaultNamespace, today)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Problems) > 0 {
				return true
			}
		}
		return false
	}
	if !twice() {
		t.Error("folders without a test of their own are not one set")
	}
	put("one/one_test.yaml", "apiVersion: exchequer.dev/v1alpha1\nkind: PolicyTest\nmanifests: [platform.yaml]\nexamples: []\n")
	if !twice() {
		t.Error("a folder without a test counts as a set because another has one")
	}
	put("two/two_test.yaml", "apiVersion: exchequer.dev/v1alpha1\nkind: PolicyTest\nmanifests: [../all.yaml]\nexamples: []\n")
	if !twice() {
		t.Error("a folder whose test takes its manifests from elsewhere counts as a set")
	}
	put("two/two_test.yaml", "apiVersion: exchequer.dev/v1alpha1\nkind: PolicyTest\nmanifests: [.]\nexamples: []\n")
	if twice() {
		t.Error("the folders are not sets of their own")
	}
}
