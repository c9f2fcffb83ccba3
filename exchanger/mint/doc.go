// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mint turns a decision into a token.
//
// It promises: nothing is signed that [policy.Snapshot.Decide] did not allow; what
// was signed is parsed again, as a stranger would, and compared with the decision
// before it is released; a token that is too large, or whose exp passed while it
// was signed, is refused, never cut and never released.
//
// It refuses: a decision that does not allow, a service without an active key, a
// claim that not every reader gets back as it is, and its own work when it differs
// from the decision or when nobody could verify it.
//
// Only package exchange imports it: there is one path to the signer.
package mint
