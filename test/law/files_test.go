// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package law

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// file is one parsed Go file of the module.
type file struct {
	path      string // relative to the top of the repository, with slashes
	test      bool
	generated bool
	source    []byte
	fset      *token.FileSet
	syntax    *ast.File
}

func (f file) importPath() string { return path.Join(module, path.Dir(f.path)) }

func (f file) position(n ast.Node) string {
	p := f.fset.Position(n.Pos())
	p.Filename = f.path
	return p.String()
}

// in reports whether the file's package matches one of the patterns.
func (f file) in(patterns ...string) bool { return matchesAny(patterns, f.importPath()) }

// root is the top of the repository, two levels above this package.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var parseOnce = sync.OnceValues(parseTree)

// goFiles parses every Go file of this module once. The files are read here
// rather than by the go command so that `go test` knows that the result hangs
// on them, and does not answer from its cache after a change.
func goFiles(t *testing.T) []file {
	t.Helper()
	files, err := parseOnce()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 3 {
		t.Fatalf("found %d Go files: the law would hold for nothing", len(files))
	}
	return files
}

func parseTree() ([]file, error) {
	top, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return nil, err
	}
	var files []file
	err = filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != top && skipDir(p, d.Name()):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go"):
			return nil
		}
		rel, err := filepath.Rel(top, p)
		if err != nil {
			return err
		}
		f, err := parseFile(filepath.ToSlash(rel), p)
		files = append(files, f)
		return err
	})
	return files, err
}

// skipDir follows the go command: hidden directories, testdata and modules of
// their own are not part of this one.
func skipDir(p, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" || name == "bin" {
		return true
	}
	_, err := os.Stat(filepath.Join(p, "go.mod"))
	return err == nil
}

func parseFile(rel, p string) (file, error) {
	source, err := os.ReadFile(p)
	if err != nil {
		return file{}, err
	}
	return parseSource(rel, source)
}

func parseSource(rel string, source []byte) (file, error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, rel, source, parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	return file{
		path:      rel,
		test:      strings.HasSuffix(rel, "_test.go"),
		generated: ast.IsGenerated(syntax),
		source:    source,
		fset:      fset,
		syntax:    syntax,
	}, nil
}
