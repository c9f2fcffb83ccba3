// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command docs keeps the pages true: links lead somewhere, `make` targets that
// a page names exist, manifests in a page are manifests that the API knows, and
// the field tables of docs/kinds say what the CustomResourceDefinitions say.
//
//	docs           check, exit 1 with file:line of every mistake
//	docs -write    rewrite the field tables, then check
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/schema"
)

func main() {
	write := flag.Bool("write", false, "rewrite the field tables of docs/kinds")
	root := flag.String("root", ".", "top of the repository")
	flag.Parse()

	mistakes, err := run(*root, *write)
	if err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(2)
	}
	for _, m := range mistakes {
		fmt.Fprintln(os.Stderr, m)
	}
	if len(mistakes) > 0 {
		os.Exit(1)
	}
}

// page is one Markdown file.
type page struct {
	path string // relative to the top of the repository, with slashes
	text string
}

func run(root string, write bool) ([]string, error) {
	pages, err := readPages(root)
	if err != nil {
		return nil, err
	}
	kinds, err := readKinds(root)
	if err != nil {
		return nil, err
	}
	targets, err := makeTargets(root)
	if err != nil {
		return nil, err
	}
	judge, err := schema.New()
	if err != nil {
		return nil, err
	}
	var mistakes []string
	mistakes = append(mistakes, missingKinds(pages, kinds)...)
	for i := range pages {
		p := &pages[i]
		updated, wrong := fillTables(*p, kinds)
		mistakes = append(mistakes, wrong...)
		if updated != p.text {
			if !write {
				mistakes = append(mistakes, fmt.Sprintf("%s: the field table is not what the CRD says; run: make docs", p.path))
			} else if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(p.path)), []byte(updated), 0o644); err != nil {
				return nil, fmt.Errorf("rewrite the page: %w", err)
			}
			p.text = updated
		}
		mistakes = append(mistakes, brokenLinks(root, *p, pages)...)
		mistakes = append(mistakes, unknownTargets(*p, targets)...)
		mistakes = append(mistakes, wrongManifests(*p, judge)...)
	}
	examples, err := wrongExamples(root, judge)
	if err != nil {
		return nil, err
	}
	mistakes = append(mistakes, examples...)
	slices.Sort(mistakes)
	return mistakes, nil
}

func readPages(root string) ([]page, error) {
	var pages []page
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".md"):
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		pages = append(pages, page{path: filepath.ToSlash(rel), text: string(text)})
		return err
	})
	return pages, err
}

// lineOf returns the line of offset in text, from 1.
func lineOf(text string, offset int) int { return 1 + strings.Count(text[:offset], "\n") }
