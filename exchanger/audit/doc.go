// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit keeps the record of every request: who asked for what, on which
// token, under which policy and revision, and how it ended; and it finds out
// whether a trail of records is as it was written.
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
// # The chain
//
// Every line ends with its place: chain (this process of this replica), seq (from 1)
// and prev, the SHA-256 of the line before it. The first line of a chain has the last
// line that its file had; so a restart is linked to what was before it. From time to
// time, and at the end, comes a line that is no record: event (checkpoint or end),
// tokenService and checkpoint, a signature over the number and the hash of a line
// before it. [Verify] finds what was changed, removed, added or moved, and says where.
// What it cannot find alone is the end of a trail that is gone together with every
// checkpoint over it: whoever keeps checkpoints elsewhere can.
//
// Exchange writes records, the CLI reads them ([Parse], [Verify]). It imports policy
// only; who signs is behind [Signer].
package audit
