// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"

	"github.com/google/cel-go/common/ast"
)

// The type checker's time grows with the square of the operations, and with the
// cube of how deep types nest: without these bounds 10,240 characters keep it
// busy for 14 s. With them it is ≤ 150 ms, and 1,000 operations are some 300
// comparisons joined by ||, which is what 10,240 characters hold.
const (
	maxOperations = 1000
	maxLiterals   = 16
	maxLoops      = 8
)

// shape measures a parsed expression, before the type checker sees it.
type shape struct {
	operations      int
	literals, loops int
}

func checkShape(e ast.Expr) error {
	var s shape
	s.measure(e, 0, 0)
	switch {
	case s.operations > maxOperations:
		return fmt.Errorf("the expression has %d operations; at most %d are allowed", s.operations, maxOperations)
	case s.loops > maxLoops:
		return fmt.Errorf("loops are nested %d deep; at most %d are allowed", s.loops, maxLoops)
	case s.literals > maxLiterals:
		return fmt.Errorf("lists and maps are nested %d deep; at most %d are allowed", s.literals, maxLiterals)
	}
	return nil
}

func (s *shape) measure(e ast.Expr, literals, loops int) {
	switch e.Kind() {
	case ast.CallKind:
		s.operations++
		call := e.AsCall()
		if call.IsMemberFunction() {
			s.measure(call.Target(), literals, loops)
		}
		for _, a := range call.Args() {
			s.measure(a, literals, loops)
		}
	case ast.SelectKind:
		s.measure(e.AsSelect().Operand(), literals, loops)
	case ast.ListKind:
		s.operations++
		literals++
		for _, x := range e.AsList().Elements() {
			s.measure(x, literals, loops)
		}
	case ast.MapKind:
		s.operations++
		literals++
		for _, x := range e.AsMap().Entries() {
			s.measure(x.AsMapEntry().Key(), literals, loops)
			s.measure(x.AsMapEntry().Value(), literals, loops)
		}
	case ast.StructKind:
		for _, x := range e.AsStruct().Fields() {
			s.measure(x.AsStructField().Value(), literals, loops)
		}
	case ast.ComprehensionKind:
		s.operations++
		loops++
		c := e.AsComprehension()
		for _, x := range []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			s.measure(x, literals, loops)
		}
	case ast.IdentKind, ast.LiteralKind, ast.UnspecifiedExprKind:
	}
	s.literals, s.loops = max(s.literals, literals), max(s.loops, loops)
}
