// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package usecases runs the pages of docs/use-cases as they are written: every
// command of a page, in order, in one shell, against a service that serves the
// manifests of the page's story. What a page says an answer is, is held against
// the answer that came.
//
// A page has three kinds of blocks that count: "sh serve" starts a service and
// waits until it answers; "sh" runs in the page's shell; "json" or "text" after
// a block is what that block prints. In an expectation, … stands for what nobody
// can know beforehand. Everything else of a page is prose.
//
// Each page is run twice: on one machine as it stands, and against a cluster, where
// what its first service serves is applied instead.
package usecases
