// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package law

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// pure lists the packages whose result hangs on their arguments alone. The
// caller passes the time; a test or a replay passes another one.
var pure = []string{
	"./exchanger/policy/...", "./exchanger/translate/...", "./exchanger/expr/...",
	"./exchanger/oauth/...", "./exchanger/jose/...", "./api/...",
}

// clocks are the functions of package time that read the clock or wait for it.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

// clockReads returns every use of the clock in f, called or passed on.
func clockReads(f file) []string {
	return selections(f, "time", clocks)
}

// selections returns the uses of pkg's given names in f. It knows the package
// by its import, whatever it is called there.
func selections(f file, pkg string, names []string) []string {
	local := ""
	for _, spec := range f.syntax.Imports {
		if strings.Trim(spec.Path.Value, `"`) != pkg {
			continue
		}
		local = pkg[strings.LastIndex(pkg, "/")+1:]
		if spec.Name != nil {
			local = spec.Name.Name
		}
	}
	if local == "" {
		return nil
	}
	var found []string
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		if ok && id.Name == local && slices.Contains(names, sel.Sel.Name) {
			found = append(found, fmt.Sprintf("%s: %s.%s", f.position(sel), local, sel.Sel.Name))
		}
		return true
	})
	return found
}

// unboundedReads returns the calls of io.ReadAll whose argument does not bound
// itself where it stands, so that a reader of the line can see that it does.
func unboundedReads(f file) []string {
	var found []string
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !isSelector(call.Fun, "io", "ReadAll") || len(call.Args) != 1 {
			return true
		}
		bounded := false
		switch arg := call.Args[0].(type) {
		case *ast.CallExpr:
			bounded = isSelector(arg.Fun, "io", "LimitReader") || isSelector(arg.Fun, "http", "MaxBytesReader")
		case *ast.UnaryExpr:
			lit, ok := arg.X.(*ast.CompositeLit)
			bounded = ok && isSelector(lit.Type, "io", "LimitedReader")
		}
		if !bounded {
			found = append(found, f.position(call))
		}
		return true
	})
	return found
}

func isSelector(e ast.Expr, pkg, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == pkg
}

// initFuncs returns the init functions of f: code that runs on import, in an
// order that nobody chose.
func initFuncs(f file) []string {
	var found []string
	for _, d := range f.syntax.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if ok && fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, f.position(fn)+": func init")
		}
	}
	return found
}

// global is a package-level variable and what was found out about it.
type global struct {
	pkg, name, at string
	table         bool // map, slice or array: harmless while nobody writes it
	state         bool // pointer, lock, atomic, channel or struct that holds one: meant to be written
}

// globals returns the package-level variables of f that hold, or may hold,
// mutable state. Sentinel errors, compiled patterns and lazily computed values
// are constants that Go cannot spell, and are not returned.
func globals(f file) []global {
	var found []global
	for _, d := range f.syntax.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, s := range gen.Specs {
			spec, ok := s.(*ast.ValueSpec)
			if !ok {
				continue
			}
			for i, name := range spec.Names {
				var value ast.Expr
				if i < len(spec.Values) {
					value = spec.Values[i]
				}
				g := global{pkg: f.importPath(), name: name.Name, at: f.position(name)}
				g.table, g.state = classify(spec.Type, value)
				if name.Name != "_" && (g.table || g.state) {
					found = append(found, g)
				}
			}
		}
	}
	return found
}

// classify judges a variable by its declared type or else by its first value.
func classify(typ, value ast.Expr) (table, state bool) {
	if typ != nil {
		return classifyType(typ)
	}
	switch v := value.(type) {
	case *ast.CompositeLit:
		return classifyType(v.Type)
	case *ast.UnaryExpr:
		return false, v.Op == token.AND
	case *ast.CallExpr:
		switch callee := v.Fun.(type) {
		case *ast.Ident:
			if callee.Name == "make" && len(v.Args) > 0 {
				return classifyType(v.Args[0])
			}
			return false, callee.Name == "new"
		}
	}
	return false, false
}

func classifyType(typ ast.Expr) (table, state bool) {
	switch t := typ.(type) {
	case *ast.MapType, *ast.ArrayType:
		return true, false
	case *ast.ChanType:
		return false, true
	case *ast.StarExpr:
		sel, ok := t.X.(*ast.SelectorExpr)
		return false, !ok || sel.Sel.Name != "Regexp" // *regexp.Regexp does not change
	case *ast.IndexExpr:
		return classifyType(t.X) // atomic.Pointer[T]
	case *ast.SelectorExpr:
		pkg, ok := t.X.(*ast.Ident)
		return false, ok && (pkg.Name == "sync" || pkg.Name == "atomic")
	case *ast.StructType:
		for _, field := range t.Fields.List {
			if _, state := classifyType(field.Type); state {
				return false, true
			}
		}
	}
	return false, false
}

// writes returns where the files of one package change the package-level
// variable name: assignments to it, to its elements or fields, delete, clear,
// and taking its address.
func writes(files []file, name string) []string {
	var found []string
	for _, f := range files {
		declared := f.syntax.Scope.Lookup(name)
		isGlobal := func(e ast.Expr) bool {
			id := rootIdent(e)
			// An identifier that the file's scopes do not resolve, or that
			// they resolve to the declaration itself, is the package's.
			return id != nil && id.Name == name && (id.Obj == nil || id.Obj == declared)
		}
		add := func(n ast.Node, what string) {
			found = append(found, fmt.Sprintf("%s: %s %s", f.position(n), what, name))
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					return true
				}
				for _, lhs := range n.Lhs {
					if isGlobal(lhs) {
						add(n, "assigns to")
					}
				}
			case *ast.IncDecStmt:
				if isGlobal(n.X) {
					add(n, "changes")
				}
			case *ast.UnaryExpr:
				if n.Op == token.AND && isGlobal(n.X) {
					add(n, "takes the address of")
				}
			case *ast.CallExpr:
				id, ok := n.Fun.(*ast.Ident)
				if ok && (id.Name == "delete" || id.Name == "clear") && len(n.Args) > 0 && isGlobal(n.Args[0]) {
					add(n, id.Name+"s from")
				}
			}
			return true
		})
	}
	return found
}

// rootIdent is the variable at the start of x, x[i], x.f, *x and (x).
func rootIdent(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
