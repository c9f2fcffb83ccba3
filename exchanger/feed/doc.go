// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package feed is where a snapshot comes from: here, a directory of manifests.
//
// It promises: a directory means what a cluster would make of the same objects,
// because the CRDs' own schema, defaults and rules and the same translation are
// applied; a file that cannot be parsed keeps its last objects, and says so; a
// change is taken as a whole or not at all; the running snapshot is replaced by a
// compiled one in one step.
//
// It refuses: files beyond its bounds, the same object twice, a namespaced object
// without a namespace.
//
// The programs import it; it imports schema, translate, policy and expr.
package feed
