// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package operator publishes policies by hand, as the controllers do, for tests of
// what reads them: a namespace of its own, with the exchanger's Role as config/rbac
// ships it, signing keys, slots and the pointer.
//
// It promises no more than the order of writing: keys, slots, pointer. It refuses
// nothing, so that a test can also publish what no controller would.
//
// Tests import it.
package operator
