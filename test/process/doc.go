// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process has tests that drive `exchequer serve` from outside: the real
// program as a child process, manifests in a directory, a real little issuer, and
// plain net/http. They know the contract and nothing of the program's inside, so
// that they stay true when the inside changes.
//
// It promises that no test depends on the time something takes: what has no event
// to wait for is asked for again until it is there, or until a generous deadline.
// Nothing may import it.
package process
