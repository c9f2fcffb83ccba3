// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/interpreter"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// maxLength bounds an expression in characters, as the CRDs do.
const maxLength = 10_240

// The versions of the library that expressions may rely on. They change with the
// API version only: replicas of two releases must agree on what compiles.
const (
	stringsVersion = 5
	listsVersion   = 4
	setsVersion    = 0
)

// Compiler compiles expressions and remembers them. It is safe for concurrent
// use. [New] makes one.
type Compiler struct {
	cache cache
}

var _ policy.Compiler = (*Compiler)(nil)

// New returns a Compiler with an empty cache.
func New() *Compiler { return &Compiler{} }

// Compile parses, type-checks and plans an expression. An error says what was
// expected, what was found, and where in the text.
func (c *Compiler) Compile(env policy.Environment, want policy.ResultType, expression string) (policy.Program, error) {
	p, err := c.compile(key{env, want, expression})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (c *Compiler) compile(k key) (*program, error) {
	if e, ok := c.cache.get(k); ok {
		return e.program, e.err
	}
	var e entry
	e.program, _, e.err = build(k)
	c.cache.put(k, e)
	return e.program, e.err
}

// build compiles without the cache. Planning evaluates what is constant, so a
// text can make the library panic here; that is an error of the text.
func build(k key) (p *program, checked *cel.Ast, err error) {
	defer func() {
		if recover() != nil {
			p, checked, err = nil, nil, errors.New("cannot be compiled")
		}
	}()
	if k.text == "" {
		return nil, nil, errors.New("the expression is empty")
	}
	if n := utf8.RuneCountInString(k.text); n > maxLength {
		return nil, nil, fmt.Errorf("the expression has %d characters; at most %d are allowed", n, maxLength)
	}
	l, err := dialectOf(k.env)
	if err != nil {
		return nil, nil, err
	}
	parsed, issues := l.env.Parse(k.text)
	if issues.Err() != nil {
		return nil, nil, explain(k, issues)
	}
	if err := checkShape(parsed.NativeRep().Expr()); err != nil {
		return nil, nil, err
	}
	checked, issues = l.env.Check(parsed)
	if issues.Err() != nil {
		return nil, nil, explain(k, issues)
	}
	if err := checkResult(k.want, checked.OutputType()); err != nil {
		return nil, nil, err
	}
	p, err = l.plan(checked.NativeRep(), k.want, k.text)
	if err != nil {
		return nil, nil, explainPlan(k, checked, err)
	}
	return p, checked, nil
}

// checkResult compares the type that an expression gives with what is wanted.
// Claims have no static type: what they give is looked at when they are there.
func checkResult(want policy.ResultType, t *types.Type) error {
	if want == policy.WantBool {
		if t.Kind() != types.BoolKind && t.Kind() != types.DynKind {
			return fmt.Errorf("gives %s where true or false is expected", friendly(t.String()))
		}
		return nil
	}
	switch t.Kind() {
	case types.TimestampKind, types.DurationKind, types.BytesKind:
		return fmt.Errorf("gives %s, which JSON cannot say; convert it with string()", friendly(t.String()))
	case types.StructKind:
		return fmt.Errorf("gives %s as a whole; name the field that is meant", t)
	case types.TypeKind:
		return fmt.Errorf("gives a type, which JSON cannot say")
	case types.ListKind:
		return checkResult(want, t.Parameters()[0])
	case types.MapKind:
		if k := t.Parameters()[0].Kind(); k != types.StringKind && k != types.DynKind && k != types.TypeParamKind {
			return fmt.Errorf("gives a map with keys of type %s; JSON has strings only", t.Parameters()[0])
		}
		return checkResult(want, t.Parameters()[1])
	default:
		return nil
	}
}

// dialect is one environment, ready to compile for.
type dialect struct {
	env         *cel.Env
	dispatcher  interpreter.Dispatcher
	interpreter interpreter.Interpreter
}

var dialects = sync.OnceValues(func() (map[policy.Environment]*dialect, error) {
	out := map[policy.Environment]*dialect{}
	for _, env := range []policy.Environment{policy.EnvClaims, policy.EnvUser, policy.EnvPolicy, policy.EnvScope} {
		l, err := newDialect(env)
		if err != nil {
			return nil, err
		}
		out[env] = l
	}
	return out, nil
})

func dialectOf(env policy.Environment) (*dialect, error) {
	all, err := dialects()
	if err != nil {
		return nil, err
	}
	l, ok := all[env]
	if !ok {
		return nil, fmt.Errorf("environment %d is unknown", env)
	}
	return l, nil
}

func newDialect(env policy.Environment) (*dialect, error) {
	idents, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("make expression types: %w", err)
	}
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(adapter{}),
		cel.CustomTypeProvider(provider{idents}),
		cel.StdLib(),
		cel.EagerlyValidateDeclarations(true),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxLength),
		ext.Strings(ext.StringsVersion(stringsVersion)),
		ext.Lists(ext.ListsVersion(listsVersion), ext.ListsMaxRangeSize(maxRange)),
		ext.Sets(ext.SetsVersion(setsVersion)),
		cel.CostEstimatorOptions(checker.OverloadCostEstimate("lists_range", estimateRange)),
		cel.Function(fullMatchFunction,
			cel.MemberOverload("string_full_match", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType),
			cel.Overload("full_match_string", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType)),
	}
	for _, v := range variables(env) {
		options = append(options, cel.Variable(v.name, v.typ))
	}
	e, err := cel.NewCustomEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("make expression environment: %w", err)
	}
	dispatcher := interpreter.NewDispatcher()
	for _, f := range e.Functions() {
		bindings, err := f.Bindings()
		if err != nil {
			return nil, fmt.Errorf("make expression functions: %w", err)
		}
		if err := dispatcher.Add(bindings...); err != nil {
			return nil, fmt.Errorf("make expression functions: %w", err)
		}
	}
	attributes := interpreter.NewAttributeFactory(e.Container, adapter{}, e.CELTypeProvider(), interpreter.EnableErrorOnBadPresenceTest(true))
	return &dialect{
		env:         e,
		dispatcher:  dispatcher,
		interpreter: interpreter.NewInterpreter(dispatcher, e.Container, e.CELTypeProvider(), adapter{}, attributes),
	}, nil
}
