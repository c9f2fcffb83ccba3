// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package signer asks a signer that keeps signing keys: an HSM, a key manager.
// The contract is signerapi/signer.proto.
//
// It promises:
//
//   - A signer that is slow or gone costs its own tokens and nothing else. Every
//     call has a deadline (Sign 2 s, FetchKeys 5 s), at most 64 are under way and
//     192 wait; after 5 failures in a row nobody waits at all for 5 s, then one
//     call tries.
//   - A key whose signature did not verify is not used for a minute (Distrust).
//     Whoever releases a token has verified it: this package does not.
//   - What comes back is bounded: 16 keys, 1 KiB of label, sound public keys of
//     known algorithms only.
//   - Errors have constant text and the code of gRPC; what the signer says in words
//     is not passed on.
//
// It refuses: plain TCP (a unix socket or mutual TLS), proxies from the
// environment, a set of keys that names one key twice.
//
// It is imported by keys, and by the controllers for FetchKeys and Prove.
package signer
