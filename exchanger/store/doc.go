// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package store keeps the state that makes a single-use thing single-use: which
// identifiers were used already, until when they must be remembered.
//
// It promises, of every backend, what the suite in package storetest checks:
//
//   - Put-if-absent is atomic: of any number of concurrent callers that use one
//     identifier, exactly one is told that it was fresh.
//   - An identifier is remembered until the very moment that the caller names,
//     by the store's own clock, and forgotten from then on.
//   - Purpose, owner and identifier are told apart by length, so no choice of
//     characters makes two different uses the same one.
//   - Memory has bounds: one owner's flood is refused before it harms others.
//
// It refuses to guess: a backend that cannot tell returns an error, and the
// caller then refuses the request as one that cannot be decided now. It is never
// taken as "fresh, this once".
//
// Memory is for one replica. It forgets everything when the process ends, so it
// says since when it has been watching ([Store.Since]), and callers refuse what
// was issued before that. What remains: something that was issued by a clock
// that runs ahead of ours can bear a time after our restart although it was used
// before it. A store that outlives the process closes that gap.
//
// Sole is a Memory that works only while its process is told that it is the only
// one, and starts anew whenever it becomes that.
//
// None is for one of several replicas that share nothing: it can never tell, and
// what must be used once is refused there.
//
// Programs wire it; clientauth uses it. It imports the standard library only.
package store
