// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// classSetters finds where a file says what class a presented token is of.
func classSetters(file *ast.File) []ast.Node {
	var found []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if !isPresented(n.Type) {
				return true
			}
			for _, e := range n.Elts {
				pair, keyed := e.(*ast.KeyValueExpr)
				if !keyed {
					found = append(found, e)
				} else if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "Class" {
					found = append(found, e)
				}
			}
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				if s, ok := left.(*ast.SelectorExpr); ok && s.Sel.Name == "Class" {
					found = append(found, left)
				}
			}
		case *ast.UnaryExpr:
			if s, ok := n.X.(*ast.SelectorExpr); ok && n.Op == token.AND && s.Sel.Name == "Class" {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

func isPresented(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "Presented"
	case *ast.SelectorExpr:
		return e.Sel.Name == "Presented"
	}
	return false
}

func TestAVerifiedTokenNeverSaysItsOwnClass(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, root := range []string{"..", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch dir := filepath.ToSlash(filepath.Dir(path)); {
			case err != nil:
				return err
			case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			case dir == "../translate" || dir == "../policy":
				// Examples are made here; in policy it is a token's class that is set.
				return nil
			default:
				seen[dir] = true
			}
			files := token.NewFileSet()
			parsed, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, n := range classSetters(parsed) {
				t.Errorf("%s: sets the class of a presented token: only examples may", files.Position(n.Pos()))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !seen["../subject"] || !seen["../clientauth"] {
		t.Errorf("subject and clientauth were not looked at: %v", seen)
	}
}

func TestEveryWayToSetAClassIsFound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want int
	}{
		"by its name":           {"policy.Presented{Class: c}", 1},
		"by its place":          {"policy.Presented{typ, h, m, d, c}", 5},
		"afterwards":            {"func() { p.Class = c }", 1},
		"by its address":        {"&p.Class", 1},
		"what sets none passes": {"policy.Presented{Type: t, Claims: c}", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nvar _ = "+tc.text, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := classSetters(file); len(got) != tc.want {
				t.Errorf("found %d", len(got))
			}
		})
	}
}
