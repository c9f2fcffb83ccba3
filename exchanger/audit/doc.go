// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit keeps the record of every request: who asked for what, on which
// token, under which policy and revision, and how it ended.
//
// It promises: one line of JSON for each record, whatever the record holds; a
// nil error from [Log.Write] means that the line has been handed to the
// operating system whole; an error, or a sink that is slower than its deadline,
// means that no token may leave (no record, no token). Tokens stand in a record
// as SHA-256 digests only.
//
// It refuses: to drop, to sample, to wait for ever. What has a line break, a
// control character or a terminal's escape in it is written escaped; a value of
// more than 2 KiB is cut and says so.
//
// Exchange writes records, the CLI reads them ([Parse]). It imports policy only.
package audit
