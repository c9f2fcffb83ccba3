// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package limit bounds how often somebody may do something: requests of one
// client ([Rates]), and failed client authentication ([Failures]). It keeps callers
// from servers that fail ([Circuit]).
//
// It promises: memory is bounded whatever a stranger sends; a key that nobody
// has used is not kept; time is passed in.
//
// It refuses: to lock a client out everywhere because a stranger somewhere
// guesses its secret. Failures count for the pair of client and address, and
// for the address.
//
// It is per replica: N replicas allow N times as much. Exchange imports it, and
// whoever asks other servers.
package limit
