// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ui is how the programs speak to people: tables, trees, colour, and the
// same in JSON and YAML for programs.
//
// It promises: colour and progress only where a terminal is on the other end, and
// never when NO_COLOR is set or TERM is dumb; without a terminal every row is one
// line, whole, so that grep and diff work; what came from outside (a token's
// claims, a server's answer) cannot move a cursor, because every character that a
// terminal could obey is written escaped; equal input gives equal bytes.
//
// It refuses: to know anything of tokens or policies.
//
// The programs below cmd import it.
package ui
