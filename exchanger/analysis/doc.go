// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package analysis tells, from a [policy.Spec] alone, who may get which token:
// what two Specs allow differently, who reaches a target through chains of
// exchanges, and what refers to what.
//
// It promises: what it calls access, [policy.Snapshot.Decide] grants to some
// token when every expression on the way is true, and what it does not call
// access Decide never grants; an expression is a condition that is told, never
// one that is guessed; two Specs of which no difference is told are the same;
// equal input gives equal output.
//
// It refuses: to evaluate expressions, to know a caller, and I/O of any kind.
//
// The command line imports it; it imports policy and nobody else.
package analysis
