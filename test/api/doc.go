// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package api compares the CRDs with those of the last release, which stand
// without their prose in testdata/baseline; before the first release they are
// those that were written there last, by `make api-baseline`.
//
// What an old manifest, an old program or a rollback would notice is flagged: a
// field or version that is gone, a validation that is tighter (an accepted
// object is refused) or looser (an object that is accepted now is refused after
// a rollback, and code behind the schema sees values that it never saw), a
// changed default or type. New optional fields are not flagged, nor anything
// inside of them until they are released. What is meant stands in
// testdata/accepted.txt with its reason, until the next release.
//
// The package has tests only; nothing imports it.
package api
