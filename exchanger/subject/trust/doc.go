// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trust is what subject tokens and client credentials of trusted issuers
// have in common: which issuer a token is from, whether its key signed it, and
// how long that may be believed.
//
// It promises:
//
//   - The issuer is found in the snapshot, by byte equality of `iss`, before
//     anything else happens: no token of a stranger causes a network call.
//   - One key. Issuers that share a URL are Kubernetes clusters, and the `kid`
//     alone tells them apart: a `kid` that two of them have is refused in both,
//     and no key is ever tried to see whether it fits.
//   - "The issuer has no such key" is a refusal; "its keys cannot be told now" is
//     not a verdict.
//   - What was verified once is believed only as long as the very same key is the
//     issuer's for that `kid` and the issuer's object says what it said
//     ([Proof.Stands]).
//   - Whether an API server vouches for a token ([Reviews]) is asked after all else
//     that can be known without it, once per token in ten seconds, and a bounded
//     number at a time; that it cannot tell is not a verdict.
//   - [Cache] holds results, never tokens, and has bounds.
//
// It refuses to look at anything else in a token: time, audience and meaning are
// the business of policy and of the two packages that import this one, subject
// and clientauth.
package trust
