// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy is the heart of Exchequer: it decides who may exchange which
// token for which.
//
// It promises: one pure call, [Snapshot.Decide], an ordered list of small named
// checks, gives the verdict, the reason and the trace; the same snapshot and the
// same verified facts give the same decision everywhere; what is not named by an
// accepted object is denied; a check that cannot tell is never an allow; output
// is narrower than or equal to input, in scope, audience and time, save where one
// policy spells the widening.
//
// It refuses: I/O of any kind. It reads no clock, no network, no environment; the
// caller passes the time. It imports the standard library only.
//
// Everybody may import it; it imports nobody.
package policy
