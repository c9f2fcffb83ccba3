// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"cmp"
	"slices"

	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// costLimit is the most that one evaluation may cost. A unit is about what one
// node of an expression takes, ≤ 50 ns: a million of them end within 50 ms.
// Work that grows with the data is charged before it is done, so that neither
// its time nor its memory is spent first.
const costLimit = 1_000_000

// costExceeded is thrown, not returned: an error that || could absorb would let
// the loop around it go on.
type costExceeded struct{}

// meterName is the variable through which a node finds the run that it is in. No
// text can spell it.
const meterName = "@meter"

func charge(frame *interpreter.ExecutionFrame, units int64) {
	var r *run
	if direct, ok := frame.Activation.(*run); ok {
		r = direct
	} else {
		v, _ := frame.ResolveName(meterName)
		r = v.(*run) //nolint:errcheck // the root activation is always a run
	}
	r.charge(units)
}

func (r *run) charge(units int64) {
	r.left -= units
	if r.left < 0 || units < 0 {
		panic(costExceeded{})
	}
}

// node makes an interpretable of a function.
type node struct {
	id   int64
	exec func(*interpreter.ExecutionFrame) ref.Val
}

// ID implements interpreter.Interpretable.
func (n *node) ID() int64 { return n.id }

// Exec implements interpreter.InterpretableV2.
func (n *node) Exec(frame *interpreter.ExecutionFrame) ref.Val { return n.exec(frame) }

// Eval implements interpreter.Interpretable.
func (n *node) Eval(vars interpreter.Activation) ref.Val { return n.exec(interpreter.AsFrame(vars)) }

// meter replaces, in one program, the calls whose work grows with the data by
// ones that charge for it first.
type meter struct {
	dispatcher interpreter.Dispatcher
	// states are those of all literal patterns.
	states int64
}

func (m *meter) decorate(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	args := call.Args()
	switch name := call.Function(); {
	case name == rangeCall:
		step, _ := args[1].(interpreter.InterpretableConst).Value().(types.Int)
		return newRange(call.ID(), args[0], int64(step)), nil
	case name == operators.Equals || name == operators.NotEquals:
		return newEqual(call.ID(), args, name == operators.NotEquals), nil
	case name == operators.In || name == operators.OldIn:
		return newIn(call.ID(), args), nil
	case name == matchesFunction || name == fullMatchFunction:
		return m.newMatch(call)
	case isZoned(name) && len(args) == 2:
		return planZoned(call)
	default:
		price, ok := prices[name]
		if !ok {
			return i, nil
		}
		return m.newPriced(call, price), nil
	}
}

// newRange charges a loop before it starts, and puts the keys of a map in order,
// so that nothing depends on Go's order of maps.
func newRange(id int64, inner interpreter.InterpretableV2, step int64) interpreter.InterpretableV2 {
	return &node{id, func(frame *interpreter.ExecutionFrame) ref.Val {
		v := inner.Exec(frame)
		switch r := v.(type) {
		case traits.Mapper:
			n := sizeOf(r)
			charge(frame, n*(step+10)) // and sorting
			return sortedKeys(r)
		case traits.Lister:
			charge(frame, sizeOf(r)*step)
		}
		return v
	}}
}

func sizeOf(v traits.Sizer) int64 {
	n, _ := v.Size().(types.Int)
	return int64(n)
}

func sortedKeys(m traits.Mapper) ref.Val {
	keys := make([]ref.Val, 0, sizeOf(m))
	for it := m.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	slices.SortFunc(keys, func(a, b ref.Val) int {
		if c := cmp.Compare(a.Type().TypeName(), b.Type().TypeName()); c != 0 {
			return c
		}
		if x, ok := a.(traits.Comparer); ok {
			if c, ok := x.Compare(b).(types.Int); ok {
				return int(c)
			}
		}
		return 0
	})
	return types.NewRefValList(adapter{}, keys)
}

// newEqual is == and !=. An error in a comparison stays one: != must not turn
// what cannot be compared into true.
func newEqual(id int64, args []interpreter.InterpretableV2, not bool) interpreter.InterpretableV2 {
	left, right := args[0], args[1]
	return &node{id, func(frame *interpreter.ExecutionFrame) ref.Val {
		l := left.Exec(frame)
		if types.IsUnknownOrError(l) {
			return l
		}
		r := right.Exec(frame)
		if types.IsUnknownOrError(r) {
			return r
		}
		if a, ok := l.(types.String); ok {
			b, ok := r.(types.String)
			if ok && len(a) == len(b) {
				charge(frame, textUnits(len(a)))
			}
			return types.Bool((ok && a == b) != not)
		}
		if a, ok := l.(traits.Sizer); ok {
			if b, ok := r.(traits.Sizer); ok && a.Size() == b.Size() {
				charge(frame, weigh(l))
			}
		}
		equal := types.Equal(l, r)
		if b, ok := equal.(types.Bool); ok {
			return types.Bool(bool(b) != not)
		}
		return types.LabelErrNode(id, equal)
	}}
}

// newIn is in.
func newIn(id int64, args []interpreter.InterpretableV2) interpreter.InterpretableV2 {
	left, right := args[0], args[1]
	return &node{id, func(frame *interpreter.ExecutionFrame) ref.Val {
		l := left.Exec(frame)
		if types.IsUnknownOrError(l) {
			return l
		}
		r := right.Exec(frame)
		if types.IsUnknownOrError(r) {
			return r
		}
		list, ok := r.(traits.Lister)
		if !ok {
			if m, ok := r.(traits.Mapper); ok {
				return types.LabelErrNode(id, m.Contains(l))
			}
			return types.NewErrWithNodeID(id, "no such overload")
		}
		if s, ok := l.(types.String); ok {
			switch elems := list.Value().(type) {
			case []string:
				charge(frame, priceFind(len(elems), len(s)))
				return types.Bool(slices.Contains(elems, string(s)))
			case []any:
				charge(frame, priceFind(len(elems), len(s)))
				return types.Bool(slices.ContainsFunc(elems, func(e any) bool {
					t, ok := e.(string)
					return ok && t == string(s)
				}))
			}
		}
		charge(frame, sizeOf(list)*weigh(l))
		return types.LabelErrNode(id, list.Contains(l))
	}}
}

// priced is a call of a function of the library, charged before it is made.
type priced struct {
	node
	function string
	overload string
	args     []interpreter.InterpretableV2
	def      *functions.Overload
	price    func([]ref.Val) int64
}

func (m *meter) newPriced(call interpreter.InterpretableCall, price func([]ref.Val) int64) interpreter.InterpretableV2 {
	p := &priced{function: call.Function(), overload: call.OverloadID(), args: call.Args(), price: price}
	if p.overload != "" {
		p.def, _ = m.dispatcher.FindOverload(p.overload)
	}
	if p.def == nil {
		p.def, _ = m.dispatcher.FindOverload(p.function)
	}
	p.node = node{call.ID(), p.exec}
	return p
}

func (p *priced) exec(frame *interpreter.ExecutionFrame) ref.Val {
	args := make([]ref.Val, len(p.args))
	for i, a := range p.args {
		v := a.Exec(frame)
		if types.IsUnknownOrError(v) {
			return v
		}
		args[i] = v
	}
	charge(frame, p.price(args))
	return types.LabelErrNode(p.id, p.invoke(args))
}

// invoke calls as the interpreter does: the bound function where the first
// operand suits it, else the operand's own method.
func (p *priced) invoke(args []ref.Val) ref.Val {
	if p.function == operators.Add {
		if sum := addLists(args); sum != nil {
			return sum
		}
	}
	if d := p.def; d != nil && (d.OperandTrait == 0 || args[0].Type().HasTrait(d.OperandTrait)) {
		switch {
		case len(args) == 1 && d.Unary != nil:
			return d.Unary(args[0])
		case len(args) == 2 && d.Binary != nil:
			return d.Binary(args[0], args[1])
		case d.Function != nil:
			return d.Function(args...)
		}
	}
	if r, ok := args[0].(traits.Receiver); ok {
		return r.Receive(p.function, p.overload, args[1:])
	}
	return types.NewErr("no such overload: %s", p.function)
}

// addLists joins two lists into a flat one. The library would make a chain,
// whose elements take a time that grows with the number of links. Nil is for
// what is not two lists, and for the list that a macro collects into.
func addLists(args []ref.Val) ref.Val {
	if _, collecting := args[0].(traits.MutableLister); collecting {
		return nil
	}
	a, ok := args[0].(traits.Lister)
	if !ok {
		return nil
	}
	b, ok := args[1].(traits.Lister)
	if !ok {
		return nil
	}
	out := make([]ref.Val, 0, sizeOf(a)+sizeOf(b))
	for _, l := range []traits.Lister{a, b} {
		for it := l.Iterator(); it.HasNext() == types.True; {
			out = append(out, it.Next())
		}
	}
	return types.NewRefValList(adapter{}, out)
}
