// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"fmt"
	"math"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const (
	// factSize is what any text, list or map among the facts is assumed to hold
	// at most: a token has ≤ 16 KiB unless it is configured otherwise.
	factSize = 16 << 10
	// staticLimit is the most that an expression may cost by estimate. Two nested
	// loops over what a token can hold, comparing texts of that length, are
	// 16,384² × 1,638 ≈ 4.4e11: allowed. Three nested loops are 4.4e12 before
	// they do anything: refused. What a run really costs is bounded by costLimit.
	staticLimit = 1_000_000_000_000
)

// verdict is what a second look at a good expression found.
type verdict struct {
	warnings []string
	err      error
}

// Check says whether an expression is acceptable in a policy: it compiles, and
// its cost, estimated from its text, is within bounds. Warnings are for the
// author: the expression is accepted, and may not mean what it says.
func (c *Compiler) Check(env policy.Environment, want policy.ResultType, expression string) (warnings []string, err error) {
	k := key{env, want, expression}
	if e, ok := c.cache.get(k); ok && (e.err != nil || e.verdict != nil) {
		if e.err != nil {
			return nil, e.err
		}
		return e.verdict.warnings, e.verdict.err
	}
	var e entry
	e.program, e.verdict, e.err = inspect(k)
	c.cache.put(k, e)
	if e.err != nil {
		return nil, e.err
	}
	return e.verdict.warnings, e.verdict.err
}

func inspect(k key) (*program, *verdict, error) {
	p, checked, err := build(k)
	if err != nil {
		return nil, nil, err
	}
	v := &verdict{}
	v.err = estimate(k.env, checked)
	if p.unanchored {
		v.warnings = append(v.warnings, "matches finds its pattern anywhere in the text; fullMatch compares the whole text")
	}
	return p, v, nil
}

func estimate(env policy.Environment, checked *cel.Ast) error {
	l, err := dialectOf(env)
	if err != nil {
		return err
	}
	cost, err := l.env.EstimateCost(checked, sizes{})
	if err != nil {
		return errors.New("the cost cannot be estimated")
	}
	if cost.Max > staticLimit {
		found := fmt.Sprint(cost.Max)
		if cost.Max == math.MaxUint64 {
			found = "without bound"
		}
		return fmt.Errorf("the estimated cost is %s; at most %d is allowed: nest fewer loops, or compare with a list of constants", found, int64(staticLimit))
	}
	return nil
}

// sizes tells the estimator how large facts can be.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: factSize}
}

// EstimateCallCost implements checker.CostEstimator.
func (sizes) EstimateCallCost(function, _ string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	if function != fullMatchFunction {
		return nil
	}
	pattern := args[len(args)-1]
	size := checker.SizeEstimate{Min: 0, Max: maxPattern}
	if s := pattern.ComputedSize(); s != nil {
		size = *s
	}
	cost := checker.SizeEstimate{Min: 1, Max: factSize}.MultiplyByCost(size.MultiplyByCostFactor(0.1))
	return &checker.CallEstimate{CostEstimate: cost}
}

// estimateRange is for lists.range, whose argument is seldom a literal.
func estimateRange(_ checker.CostEstimator, _ *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	size := checker.SizeEstimate{Min: 0, Max: maxRange}
	if len(args) == 1 && args[0].Expr().Kind() == ast.LiteralKind {
		if n, ok := args[0].Expr().AsLiteral().(types.Int); ok && n >= 0 && n <= maxRange {
			size = checker.FixedSizeEstimate(uint64(n))
		}
	}
	return &checker.CallEstimate{CostEstimate: size.AsCost(), ResultSize: &size}
}
