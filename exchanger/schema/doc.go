// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schema judges one object as the API server would when it is created:
// fields that the CRD does not know, defaults, the structural schema, list
// types, names, and the CEL rules; with the object's former self also the rules
// about what cannot be changed.
//
// It promises that a manifest in a directory means what it would mean in a
// cluster, because both are judged by the same CRDs, with the same code; that
// every problem says where it is and what was expected; and that no input makes
// it panic.
//
// It refuses what the API server would only prune: an unknown field may have
// been meant to narrow. It refuses to say what an object does; that is
// exchanger/translate's.
//
// The command line, the feeds and their tests may import it. It is the only
// importer of the CRDs' validation machinery, which is large, and the exchanger
// in a cluster does not need it.
package schema
