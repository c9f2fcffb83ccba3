// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// program is a compiled expression.
type program struct {
	code interpreter.InterpretableV2
	want policy.ResultType
	// cost is what one run costs outside of loops.
	cost int64
	text string
	// positions say where in the text a node begins.
	positions []uint16
	// unanchored says that matches is called.
	unanchored bool
	// states are those of all literal patterns.
	states int64
}

// run is the root activation of one evaluation: the facts, read when they are
// asked for, and what is left to spend.
type run struct {
	facts *policy.Facts
	left  int64
}

var runs = sync.Pool{New: func() any { return new(run) }}

// ResolveName implements interpreter.Activation.
func (r *run) ResolveName(name string) (any, bool) {
	f := r.facts
	switch name {
	case meterName:
		return r, true
	case "claims":
		return f.Claims, f.Claims != nil
	case "header":
		return f.Header, f.Header != nil
	// An object that is not there is passed on as nil: none of its fields is
	// known, so that has(actor.subject) tells whether there is an actor.
	case "subject":
		return f.Subject, true
	case "actor":
		return f.Actor, true
	case "client":
		return f.Client, true
	case "target":
		return f.Target, true
	case "request":
		return f.Request, true
	case "parameter":
		return f.Parameter, true
	}
	return nil, false
}

// Parent implements interpreter.Activation.
func (*run) Parent() interpreter.Activation { return nil }

// Eval implements policy.Program.
func (p *program) Eval(facts *policy.Facts) (result any, err error) {
	if facts == nil {
		facts = &policy.Facts{}
	}
	limit := int64(costLimit)
	if facts.Effort != nil {
		limit = min(limit, *facts.Effort)
	}
	if limit < p.cost {
		return nil, p.tooCostly(limit)
	}
	r, _ := runs.Get().(*run)
	r.facts, r.left = facts, limit-p.cost
	// Nothing that a token says may stop the process: what the interpreter
	// throws is an error of this expression.
	defer func() {
		if thrown := recover(); thrown != nil {
			result, err = nil, p.thrown(thrown, limit)
		}
		if facts.Effort != nil {
			*facts.Effort -= limit - max(r.left, 0)
		}
		r.facts = nil
		runs.Put(r)
	}()
	frame, err := interpreter.NewExecutionFrame(r)
	if err != nil {
		return nil, p.errorAt(0, cannotEvaluate)
	}
	defer frame.Close()
	return p.result(r, p.code.Exec(frame))
}

func (p *program) thrown(v any, limit int64) error {
	if _, ok := v.(costExceeded); ok {
		return p.tooCostly(limit)
	}
	return p.errorAt(0, cannotEvaluate)
}

func (p *program) tooCostly(limit int64) error {
	if limit < costLimit {
		return p.errorAt(0, "costs more than what the expressions before it have left of this decision's bound")
	}
	return p.errorAt(0, fmt.Sprintf("costs more than %d", costLimit))
}

func (p *program) result(r *run, v ref.Val) (any, error) {
	if e, ok := v.(*types.Err); ok {
		return nil, p.describe(e)
	}
	if p.want == policy.WantBool {
		b, ok := v.(types.Bool)
		if !ok {
			return nil, p.errorAt(0, "gave "+typeName(v)+" where true or false was expected")
		}
		return bool(b), nil
	}
	c := converter{run: r}
	out, err := c.json(v, 0)
	if err != nil {
		return nil, p.errorAt(0, err.Error())
	}
	return out, nil
}

const (
	cannotEvaluate = "cannot be evaluated"
	badPattern     = "the pattern is not allowed"
)

// said are the texts of the interpreter that we know, by how they begin, and our
// words for them; % is the name in the expression. What follows in its own words
// may be a value, and is never repeated.
var said = []struct{ prefix, text string }{
	{"no such overload", "a value has another type than this needs"},
	{"no such key", "there is no such key: %"},
	{"index out of bounds", "there is no element at this index"},
	{"no such attribute", "% is not known"},
	{"division by zero", "division by zero"},
	{"modulus by zero", "division by zero"},
	{"integer overflow", "the number is too large"},
	{"unsigned integer overflow", "the number is too large"},
	{"range error", "the number is too large"},
	{"timestamp overflow", "the time is out of range"},
	{"duration overflow", "the duration is out of range"},
	{"type conversion error", "a value cannot be converted to this type"},
	{"index", "there is no element at this index"},
	{"range", "there is no such range"},
	{"unsupported value", "a claim has a type that expressions cannot read"},
	{badPattern, badPattern},
}

// describe says what went wrong and where, in words that hold nothing of the
// facts.
func (p *program) describe(e *types.Err) error {
	if errors.Is(e, errAbsent) {
		return p.errorAt(e.NodeID(), p.pathAt(e.NodeID())+" is not known")
	}
	message := e.Error()
	for _, s := range said {
		if strings.HasPrefix(message, s.prefix) {
			return p.errorAt(e.NodeID(), strings.ReplaceAll(s.text, "%", p.pathAt(e.NodeID())))
		}
	}
	return p.errorAt(e.NodeID(), cannotEvaluate)
}

// pathAt is what stands, in the text of the expression, where a node begins: a
// dotted name, with a literal index where there is one, or what has() asks for.
func (p *program) pathAt(id int64) string {
	const unnamed = "what it reads"
	if id <= 0 || id >= int64(len(p.positions)) {
		return unnamed
	}
	all := []rune(p.text)
	at := min(int(p.positions[id]), len(all))
	first, last := at, at
	if at < len(all) && all[at] == '(' {
		first, last = at+1, at+1
	}
	for first > 0 && inPath(all[first-1]) {
		first--
	}
	for last < len(all) && inPath(all[last]) {
		last++
	}
	if last < len(all) && all[last] == '[' {
		if n := slices.Index(all[last:min(len(all), last+64)], ']'); n > 0 {
			last += n + 1
		}
	}
	if path := strings.Trim(string(all[first:last]), "."); path != "" {
		return path
	}
	return unnamed
}

func inPath(r rune) bool {
	return r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

func (p *program) errorAt(id int64, text string) error {
	if id <= 0 || id >= int64(len(p.positions)) {
		return errors.New(text)
	}
	return fmt.Errorf("%s: %s", place(p.text, int(p.positions[id])), text)
}

// place says where the n-th character of a text stands.
func place(text string, n int) string {
	line, column := 1, 1
	for _, r := range text {
		if n--; n < 0 {
			break
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	if strings.Contains(text, "\n") {
		return fmt.Sprintf("line %d, column %d", line, column)
	}
	return fmt.Sprintf("column %d", column)
}
