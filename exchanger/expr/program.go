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
	// names are the field names and texts that the author wrote: an error may
	// repeat these, never what a token says.
	names      []string
	positions  []uint16
	unanchored bool
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
	case "subject":
		return f.Subject, f.Subject != nil
	case "actor":
		return f.Actor, f.Actor != nil
	case "client":
		return f.Client, f.Client != nil
	case "target":
		return f.Target, f.Target != nil
	case "request":
		return f.Request, f.Request != nil
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
	r, _ := runs.Get().(*run)
	r.facts, r.left = facts, costLimit-p.cost
	// Nothing that a token says may stop the process: what the interpreter
	// throws is an error of this expression.
	defer func() {
		if thrown := recover(); thrown != nil {
			result, err = nil, p.thrown(thrown)
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

func (p *program) thrown(v any) error {
	if _, ok := v.(costExceeded); ok {
		return p.errorAt(0, fmt.Sprintf("costs more than %d", costLimit))
	}
	return p.errorAt(0, cannotEvaluate)
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

// said are the texts of the interpreter that say nothing of the facts, by how
// they begin, and our words for them. All others may hold a value.
var said = []struct{ prefix, text string }{
	{"no such overload", "a value has another type than this needs"},
	{"no such key", "no such key"},
	{"index out of bounds", "there is no element at this index"},
	{"no such attribute", "what it reads is not known"},
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
	var absent *absentError
	if errors.As(e, &absent) {
		return p.errorAt(e.NodeID(), absent.Error())
	}
	message := e.Error()
	for _, s := range said {
		rest, ok := strings.CutPrefix(message, s.prefix)
		if !ok {
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(rest, "(s)"), ": ")
		if s.prefix == "no such attribute" {
			return p.errorAt(e.NodeID(), firstWord(name)+" is not known")
		}
		if s.prefix == "no such key" && slices.Contains(p.names, name) {
			return p.errorAt(e.NodeID(), fmt.Sprintf("there is no %q", name))
		}
		return p.errorAt(e.NodeID(), s.text)
	}
	return p.errorAt(e.NodeID(), cannotEvaluate)
}

// firstWord is the variable of a missing attribute: one of ours.
func firstWord(s string) string {
	s, _, _ = strings.Cut(s, ",")
	for _, v := range variables(policy.EnvScope) {
		if v.name == s {
			return s
		}
	}
	if s == "claims" || s == "header" {
		return s
	}
	return "what it reads"
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
