// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package flags reads a program's settings: from flags, else from environment
// variables EXCHEQUER_<FLAG>, else from the YAML file that --config names, else the
// default.
//
// It promises: everything that is wrong is said at once, with where it stands; a
// name that the program does not know is wrong, wherever it stands. It refuses to
// guess: nothing that is wrong falls back to a default.
//
// Programs import it.
package flags
