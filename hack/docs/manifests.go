// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/exchanger/schema"
)

const group = "exchequer.dev/"

// wrongManifests checks the ```yaml blocks of a page that hold objects of ours
// as the API server would: fields, types, bounds and rules. A page whose example
// is refused costs a reader an evening.
func wrongManifests(p page, judge *schema.Validator) []string {
	var mistakes []string
	for _, m := range fence.FindAllStringSubmatchIndex(p.text, -1) {
		if p.text[m[4]:m[5]] != "yaml" {
			continue
		}
		at, block := lineOf(p.text, m[6]), p.text[m[6]:m[7]]
		if !strings.Contains(block, "apiVersion: "+group) {
			continue
		}
		mistakes = append(mistakes, checkManifests(p.path, at, block, judge)...)
	}
	return mistakes
}

// wrongExamples checks the manifests of docs/examples in the same way.
func wrongExamples(root string, judge *schema.Validator) ([]string, error) {
	var mistakes []string
	dir := filepath.Join(root, "docs", "examples")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".yaml") {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		mistakes = append(mistakes, checkManifests(filepath.ToSlash(rel), 1, string(text), judge)...)
		return err
	})
	return mistakes, err
}

// checkManifests judges the documents of one text that begins at a line.
func checkManifests(file string, at int, text string, judge *schema.Validator) []string {
	var mistakes []string
	for _, doc := range strings.Split(text, "\n---") {
		first := at + len(doc) - len(strings.TrimLeft(doc, "\n"))
		for _, wrong := range checkManifest([]byte(doc), judge) {
			mistakes = append(mistakes, fmt.Sprintf("%s:%d: manifest: %s", file, first, wrong))
		}
		at += strings.Count(doc, "\n") + 1
	}
	return mistakes
}

func checkManifest(doc []byte, judge *schema.Validator) []string {
	if len(bytes.TrimSpace(doc)) == 0 {
		return nil
	}
	var object map[string]any
	if err := yaml.UnmarshalStrict(doc, &object); err != nil {
		return []string{err.Error()}
	}
	version, _ := object["apiVersion"].(string)
	if !strings.HasPrefix(version, group) || object["kind"] == "PolicyTest" {
		return nil // PolicyTest is a file format, not a kind
	}
	_, problems := judge.Admit(object, nil)
	wrong := make([]string, 0, len(problems))
	for _, problem := range problems {
		wrong = append(wrong, problem.String())
	}
	return wrong
}
