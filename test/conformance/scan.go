// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Claim is a place in a test that names a case.
type Claim struct {
	// Number is the case that the test says it proves.
	Number string
	// File and Line say where, relative to the top of the repository.
	File string
	Line int
	// Test is the function that the place stands in.
	Test string
}

var (
	inName = regexp.MustCompile(`\b[FR][1-9][0-9]*\b`)
	// A sentence that begins with numbers is a test's name wherever it stands
	// in a table: {"F96: doubled members are refused", …}, "F96, F97: …".
	atStart = regexp.MustCompile(`^[FR][1-9][0-9]*(?:(?:, ?| and | )[FR][1-9][0-9]*)*:`)
	// In a function's name the number ends where the next word begins.
	inFunc = regexp.MustCompile(`(?:^Test|^Fuzz|^Example|^Benchmark|_)([FR][1-9][0-9]*)(?:[A-Z_]|$)`)
)

// Scan returns the claims of every test below root, in order of file and line.
// A number is claimed by the name of a test function, by the name of a subtest
// and by the key of a table, not by a comment and not by a message.
func Scan(root fs.FS) ([]Claim, error) {
	var claims []Claim
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && skip(d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		found, err := scanFile(p, source)
		claims = append(claims, found...)
		return err
	})
	return claims, err
}

func skip(name string) bool {
	return name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

func scanFile(name string, source []byte) ([]Claim, error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, path.Base(name), source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var claims []Claim
	for _, decl := range syntax.Decls {
		test := ""
		add := func(n ast.Node, numbers []string) {
			for _, number := range numbers {
				claims = append(claims, Claim{Number: number, File: name, Line: fset.Position(n.Pos()).Line, Test: test})
			}
		}
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
			test = fn.Name.Name
			for _, m := range inFunc.FindAllStringSubmatch(test, -1) {
				add(fn, m[1:])
			}
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			add(numbersOf(n))
			return true
		})
	}
	return slices.CompactFunc(claims, func(a, b Claim) bool {
		return a.Number == b.Number && a.Line == b.Line
	}), nil
}

// numbersOf returns the numbers that the node names as a test's name.
func numbersOf(n ast.Node) (ast.Node, []string) {
	switch n := n.(type) {
	case *ast.CallExpr: // t.Run("…"), It("…")
		if len(n.Args) > 1 && namesATest(n.Fun) {
			return n, inName.FindAllString(literal(n.Args[0]), -1)
		}
	case *ast.KeyValueExpr: // map[string]struct{…}{"…": …} and {name: "…"}
		if id, ok := n.Key.(*ast.Ident); ok {
			if strings.EqualFold(id.Name, "name") {
				return n, inName.FindAllString(literal(n.Value), -1)
			}
			return n, nil
		}
		return n, inName.FindAllString(literal(n.Key), -1)
	case *ast.BasicLit:
		return n, inName.FindAllString(atStart.FindString(literal(n)), -1)
	}
	return n, nil
}

func namesATest(fun ast.Expr) bool {
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name == "Run"
	case *ast.Ident:
		return slices.Contains([]string{"Describe", "Context", "When", "It", "Entry", "DescribeTable"}, f.Name)
	}
	return false
}

// literal returns the text of a string literal, or of one that is glued
// together with others or with variables.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	}
	return ""
}
