// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ports finds TCP ports for programs that must be told theirs, where port 0
// will not do: they stop and start again at the same address, or others are told it
// beforehand.
//
// A port that it gives out is free now, is given to nobody else in this process, and
// will not be taken by anybody's outgoing connection. It cannot promise that another
// process does not listen there a moment later.
//
// Tests and the tools below test may import it; programs may not.
package ports
