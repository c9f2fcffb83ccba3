// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package expr compiles and evaluates the CEL expressions of policies.
//
// It promises: an expression sees the facts that its environment declares, as
// typed objects, and nothing else: no clock, no network, no process environment,
// no secret. A misspelt field does not compile. What compiles here compiles in
// every replica of the same API version: the libraries are pinned.
//
// A fact that is not known is absent: has() is false, and reading it is an error.
// An error is not a value: it never counts as true, and neither ! nor != makes
// it so. As in CEL everywhere, `error || true` is true and `error && false` is
// false, whichever side errs, for then the error does not matter. The same facts
// give the same result and the same error, every time: maps are walked in the
// order of their keys, and limits count work, not time.
//
// Work is bounded twice. [Compiler.Check] estimates the cost from the text alone
// and refuses what loops too deeply. Evaluation has a budget that is charged
// before work is done, in time and in memory; the largest takes ≤ 50 ms. Running
// out of it is an error that nothing in the expression can absorb.
//
// Functions are the standard library, ext strings, sets and lists, and
// fullMatch(text, pattern), which compares the whole text where matches finds its
// pattern anywhere. Patterns are RE2, compiled once when they are literals, alone
// before they are anchored. Time zones are literals, looked up once.
//
// It refuses: messages, functions with effects, tokens compared as a whole,
// results that JSON cannot say. No error repeats what a token says: it names
// places and names of the expression's own text.
//
// Translation and the exchanger's wiring import it; the policy core knows only
// the interface that it declares, policy.Compiler. It is the only importer of
// cel-go.
package expr
