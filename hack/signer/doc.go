// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command signer is a sample of an external signer: it keeps the signing keys of a
// TokenService in a token of PKCS #11, an HSM or SoftHSM, and serves the contract
// of exchanger/keys/signer/signerapi on a unix socket. README.md shows how to run
// it.
//
// It promises: keys are made in the token with CKA_SENSITIVE and not
// CKA_EXTRACTABLE, and one that is otherwise is not offered; it signs nothing but
// access tokens (typ at+jwt) and the proof of a new key, which has the same typ.
//
// It refuses: to start with the PIN on its command line, where every process can
// read it. Nobody imports it.
package main
