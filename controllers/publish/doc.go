// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package publish writes a Spec where exchangers read it: chunks into slots that the
// current pointer does not name, then the pointer by compare-and-swap.
//
// It promises: whoever reads at any moment, and whichever write was the last before
// a crash, finds a whole snapshot; what is there already is not written again;
// revisions only grow, beyond whatever a replica has acknowledged or refused, also
// after the API server went back in time; two writers never mix their halves; a slot
// that somebody else altered is found and written anew.
//
// It refuses: deciding what to publish.
//
// The controllers import it.
package publish
