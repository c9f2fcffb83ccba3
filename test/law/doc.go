// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package law proves what may not bend in this repository: which package may
// import which, that the pure packages are pure, that nothing in the exchanger
// keeps global state, and that the build files fit the tree.
//
// Every ban is a row of [bans] with the reason in it, and a test prints the
// reason together with the offending import. To change the law, change the row
// and write the record in docs/adr that says why.
//
// The package has tests only; nothing imports it.
package law
