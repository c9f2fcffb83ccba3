// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // named time zones mean the same in an image without a zone database

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// rangeCall is the function that stands, after planning, around whatever a macro
// loops over. No text can spell its name.
const rangeCall = "@range"

// plan turns a checked expression into a program.
func (l *dialect) plan(checked *ast.AST, want policy.ResultType, text string) (*program, error) {
	w := &walker{ast: checked, next: ast.MaxID(checked), factory: ast.NewExprFactory()}
	cost := w.walk(checked.Expr())
	if w.err != nil {
		return nil, w.err
	}
	p := &program{want: want, cost: cost, text: text, unanchored: w.unanchored, positions: positions(checked, w.next)}
	m := &meter{dispatcher: l.dispatcher}
	code, err := l.interpreter.NewInterpretable(checked, interpreter.CustomDecoratorV2(keepErrors), interpreter.Optimize(), interpreter.CustomDecoratorV2(m.decorate))
	if err != nil {
		return nil, err
	}
	p.code, p.states = code, m.states
	return p, nil
}

// keepErrors takes `x in []` from the optimizer, which would make false of it
// and so true of its negation, whatever x is.
func keepErrors(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || call.Function() != operators.In {
		return i, nil
	}
	c, ok := call.Args()[1].(interpreter.InterpretableConst)
	if !ok {
		return i, nil
	}
	if l, ok := c.Value().(traits.Lister); ok && sizeOf(l) == 0 {
		return newIn(call.ID(), call.Args()), nil
	}
	return i, nil
}

// positions keeps where each node stands, so that an error at run time can say
// it without keeping the tree: two bytes a node, as a text has ≤ 10,240
// characters.
func positions(checked *ast.AST, next int64) []uint16 {
	out := make([]uint16, next)
	for id, r := range checked.SourceInfo().OffsetRanges() {
		if id < next && r.Start >= 0 {
			out[id] = uint16(r.Start) // #nosec G115 -- ≤ maxText
		}
	}
	return out
}

// problem is what is wrong with an expression, at one of its nodes.
type problem struct {
	id   int64
	text string
}

// Error implements error.
func (p *problem) Error() string { return p.text }

// walker looks at every node once, before planning: it refuses what the type
// checker cannot see, counts what a run costs, and wraps the ranges of loops.
type walker struct {
	ast     *ast.AST
	factory ast.ExprFactory
	next    int64
	// unanchored says that matches is called.
	unanchored bool
	err        error
}

func (w *walker) refuse(id int64, format string, args ...any) {
	if w.err == nil {
		w.err = &problem{id, fmt.Sprintf(format, args...)}
	}
}

// walk gives the cost of evaluating e once: a unit for every node outside a
// loop's body. Bodies are charged when their loop runs, by the length of its
// range.
func (w *walker) walk(e ast.Expr) int64 {
	cost := int64(1)
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		w.call(e.ID(), call)
		if call.IsMemberFunction() {
			cost += w.walk(call.Target())
		}
		for _, a := range call.Args() {
			cost += w.walk(a)
		}
	case ast.SelectKind:
		cost += w.walk(e.AsSelect().Operand())
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			cost += w.walk(x)
		}
	case ast.MapKind:
		for _, x := range e.AsMap().Entries() {
			cost += w.walk(x.AsMapEntry().Key()) + w.walk(x.AsMapEntry().Value())
		}
	case ast.StructKind:
		w.refuse(e.ID(), "messages cannot be built here; use a map, so {'key': value}")
	case ast.ComprehensionKind:
		cost += w.loop(e)
	case ast.IdentKind, ast.LiteralKind, ast.UnspecifiedExprKind:
	}
	return cost
}

// loop wraps the range of a comprehension, so that running it charges the body
// for every element, before the first.
func (w *walker) loop(e ast.Expr) int64 {
	c := e.AsComprehension()
	once := w.walk(c.IterRange()) + w.walk(c.AccuInit()) + w.walk(c.Result())
	step := 2 + w.walk(c.LoopCondition()) + w.walk(c.LoopStep())
	if r := c.IterRange(); r.Kind() == ast.ListKind && r.AsList().Size() == 0 {
		return once // no loop: how macros bind a name
	}
	id := w.next
	w.next += 2
	w.ast.SetReference(id, ast.NewFunctionReference(rangeCall))
	ranged := w.factory.NewCall(id, rangeCall, c.IterRange(), w.factory.NewLiteral(id+1, types.Int(step)))
	e.SetKindCase(w.factory.NewComprehension(e.ID(), ranged, c.IterVar(), c.AccuVar(),
		c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()))
	return once
}

func (w *walker) call(id int64, call ast.CallExpr) {
	args := call.Args()
	switch name := call.FunctionName(); {
	case name == operators.Equals || name == operators.NotEquals || name == operators.In:
		for _, a := range args {
			t := w.ast.GetType(a.ID())
			if t.Kind() == types.ListKind && len(t.Parameters()) == 1 {
				t = t.Parameters()[0]
			}
			if t.Kind() == types.StructKind {
				w.refuse(id, "%s cannot be compared as a whole; compare the fields that are meant", t.TypeName())
			}
		}
	case name == matchesFunction:
		w.unanchored = true
	case isZoned(name) && call.IsMemberFunction() && len(args) == 1:
		if args[0].Kind() != ast.LiteralKind {
			w.refuse(id, "%s takes a literal time zone, so 'Europe/Berlin' or '+02:00'", name)
		}
	}
}

func isZoned(function string) bool {
	switch function {
	case "getFullYear", "getMonth", "getDayOfYear", "getDate", "getDayOfMonth",
		"getDayOfWeek", "getHours", "getMinutes", "getSeconds", "getMilliseconds":
		return true
	}
	return false
}

// zoned reads a timestamp in a time zone that was looked up when the expression
// was compiled: evaluation does no I/O, and a zone that does not exist is an
// error of the author's, not of a request.
type zoned struct {
	node
	function string
	operand  interpreter.InterpretableV2
	location *time.Location
}

func planZoned(call interpreter.InterpretableCall) (interpreter.InterpretableV2, error) {
	args := call.Args()
	c, ok := args[1].(interpreter.InterpretableConst)
	if !ok {
		return nil, &problem{call.ID(), call.Function() + " takes a literal time zone"}
	}
	name, ok := c.Value().(types.String)
	if !ok {
		return nil, &problem{call.ID(), call.Function() + " takes a time zone as a string"}
	}
	loc, err := location(string(name))
	if err != nil {
		return nil, &problem{call.ID(), err.Error()}
	}
	z := &zoned{function: call.Function(), operand: args[0], location: loc}
	z.node = node{call.ID(), z.exec}
	return z, nil
}

// location reads an offset, or a name of the zone database. "Local" would be the
// machine's own zone.
func location(name string) (*time.Location, error) {
	if name == "" || name == "UTC" {
		return time.UTC, nil
	}
	if strings.Contains(name, ":") {
		t, err := time.Parse("-07:00", name)
		if err != nil {
			if t, err = time.Parse("-07:00", "+"+name); err != nil {
				return nil, fmt.Errorf("time zone %q: an offset looks like +02:00", name)
			}
		}
		_, offset := t.Zone()
		return time.FixedZone("", offset), nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("time zone %q is not in the zone database", name)
	}
	return loc, nil
}

func (z *zoned) exec(frame *interpreter.ExecutionFrame) ref.Val {
	v := z.operand.Exec(frame)
	if types.IsUnknownOrError(v) {
		return v
	}
	t, ok := v.(types.Timestamp)
	if !ok {
		return types.NewErrWithNodeID(z.id, "no such overload: %s", z.function)
	}
	return types.Timestamp{Time: t.In(z.location)}.Receive(z.function, "", nil)
}
