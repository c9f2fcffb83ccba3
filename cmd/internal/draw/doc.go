// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package draw writes pictures of columns of boxes with lines between them: SVG of
// its own, and the languages of Graphviz and Mermaid.
//
// It promises: whatever a box is called, no name can become markup, a script or a
// statement of the language; equal input gives equal bytes; the SVG needs nothing
// from anywhere, runs nothing, and follows the reader's light or dark scheme.
//
// It refuses: to know anything of policies, and to lay out what is not in columns.
// That is why there is no layout library here: Graphviz as WebAssembly is ten
// megabytes and a runtime, and its problem, in which layer something belongs, is
// answered by the kind of the object.
//
// The programs below cmd import it.
package draw
