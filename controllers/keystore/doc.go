// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keystore owns the signing keys of the TokenServices of a cluster. They
// lie in Secret exchequer-keys of the operator's namespace, one data key for each
// TokenService (NAME.json), each the document of package keys.
//
// It promises:
//
//   - Every write is a compare-and-swap on the Secret's resourceVersion: of two
//     controllers one wins, the other takes over what it left.
//   - What cannot be read is never overwritten. The keys in memory go on and the
//     report says which data key to restore.
//   - Keys outlive their TokenService, unless it says keyRetention Delete; then they
//     go once the API server itself lists the TokenServices without it. A
//     TokenService that comes back takes its keys up again.
//   - Whatever the source, the Secret has one form: keys of a SecretRef are copied
//     into it and pre-published, of an external signer it has the public keys.
//   - A signer is asked outside of reconciling (Start); its answers are remembered.
//
// It refuses: a Secret above its bound, a key of another algorithm, a weak one, a
// revoked or retired one, one that another TokenService has.
//
// It is imported by the controllers and their program.
package keystore
