// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package proof finds out which keys whoever asks has: by a DPoP proof (RFC 9449),
// by a client certificate (RFC 8705), by a proof that a client received at its own
// resource and hands on.
//
// It promises:
//
//   - A proof is about this request: this endpoint, this method, this minute, and
//     once. It never says who has the key; that is for whoever bound a token to it.
//   - Once, or fresh. A proof is used once, as the store tells. Where the store
//     cannot tell (replicas that share none, one that has just begun to watch), the
//     proof must have a nonce of ours that is at most a minute old. A nonce is
//     sealed with the token service's own keys, which every replica has, so that any
//     replica knows it without a store.
//   - Consume last. A proof is used up when its caller says so, after the policy has
//     agreed.
//   - A certificate counts for what its chain proves now: an authority of the
//     platform, the time, the purpose (clientAuth), at most four certificates.
//
// It refuses: symmetric algorithms, private keys in a header, two headers, proofs
// for another address or method, proofs from the future, certificates of a proxy
// that nobody declared.
//
// It is imported by clientauth, exchange, server and programs; by translate for the
// names of certificates alone (package certname).
package proof
