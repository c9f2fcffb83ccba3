// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conformance holds the list of numbered cases that the project is held
// to and finds the tests that prove them. `make coverage-spec` prints the
// result. Only tools and tests may import it.
package conformance
