// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

const (
	matchesFunction   = "matches"
	fullMatchFunction = "fullMatch"

	// maxPattern bounds a pattern in bytes. Nested repeats make more of it:
	// maxStates bounds the program that it compiles to. Go's engine takes at most
	// states × bytes of text, ≤ 5 ns each, so a text of 1 KiB and the largest
	// pattern take ≤ 10 ms.
	maxPattern = 1024
	maxStates  = 2000
	// maxAllStates bounds all literal patterns of one expression, and so what a
	// program holds on to: 40 bytes a state, 400 KB.
	maxAllStates = 10_000
	// A pattern that is not a literal is compiled whenever it is evaluated, which
	// takes ≤ 1 µs a byte and a state.
	maxDynamicPattern = 256
	maxDynamicStates  = 500
)

// pattern is a compiled regular expression.
type pattern struct {
	re     *regexp.Regexp
	states int64
}

// compilePattern compiles p alone first: so no p can close the group that
// anchors it and then say something else.
func compilePattern(p string, full bool, maxLen, maxInst int) (pattern, error) {
	if len(p) > maxLen {
		return pattern{}, fmt.Errorf("the pattern has %d bytes; at most %d are allowed", len(p), maxLen)
	}
	parsed, err := syntax.Parse(p, syntax.Perl)
	if err != nil {
		return pattern{}, patternError(err)
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return pattern{}, patternError(err)
	}
	if len(prog.Inst) > maxInst {
		return pattern{}, fmt.Errorf("the pattern needs %d states; at most %d are allowed: use smaller repeats", len(prog.Inst), maxInst)
	}
	if full {
		p = `\A(?:` + p + `)\z`
	}
	re, err := regexp.Compile(p)
	if err != nil {
		return pattern{}, patternError(err)
	}
	return pattern{re, int64(len(prog.Inst))}, nil
}

func patternError(err error) error {
	var bad *syntax.Error
	if errors.As(err, &bad) {
		return fmt.Errorf("the pattern is not RE2: %s", bad.Code)
	}
	return errors.New("the pattern is not RE2")
}

// price is that of matching a text of n bytes.
func (p pattern) price(n int) int64 {
	return 2 + int64(n+1)*(4+p.states)/10
}

// newMatch is matches and fullMatch. A literal pattern is compiled once.
func (m *meter) newMatch(call interpreter.InterpretableCall) (interpreter.InterpretableV2, error) {
	args := call.Args()
	full := call.Function() == fullMatchFunction
	id := call.ID()
	if c, ok := args[1].(interpreter.InterpretableConst); ok {
		s, ok := c.Value().(types.String)
		if !ok {
			return nil, &problem{id, call.Function() + " takes a pattern as a string"}
		}
		p, err := compilePattern(string(s), full, maxPattern, maxStates)
		if err != nil {
			return nil, &problem{id, err.Error()}
		}
		if m.states += p.states; m.states > maxAllStates {
			return nil, &problem{id, fmt.Sprintf("the patterns need more than %d states together", maxAllStates)}
		}
		return &node{id, func(frame *interpreter.ExecutionFrame) ref.Val {
			return p.match(frame, id, args[0].Exec(frame))
		}}, nil
	}
	return &node{id, func(frame *interpreter.ExecutionFrame) ref.Val {
		target := args[0].Exec(frame)
		if types.IsUnknownOrError(target) {
			return target
		}
		v := args[1].Exec(frame)
		if types.IsUnknownOrError(v) {
			return v
		}
		s, ok := v.(types.String)
		if !ok {
			return types.NewErrWithNodeID(id, "no such overload")
		}
		charge(frame, 200+20*int64(len(s)))
		p, err := compilePattern(string(s), full, maxDynamicPattern, maxDynamicStates)
		if err != nil {
			return types.NewErrWithNodeID(id, badPattern)
		}
		charge(frame, 20*p.states)
		return p.match(frame, id, target)
	}}, nil
}

func (p pattern) match(frame *interpreter.ExecutionFrame, id int64, v ref.Val) ref.Val {
	s, ok := v.(types.String)
	if !ok {
		if types.IsUnknownOrError(v) {
			return v
		}
		return types.NewErrWithNodeID(id, "no such overload")
	}
	charge(frame, p.price(len(s)))
	return types.Bool(p.re.MatchString(string(s)))
}
