// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package signerapi is the contract with an external signer, as gRPC code that
// `make generate` writes from signer.proto.
//
// It promises: fields are added and never renumbered. It refuses nothing; package
// signer bounds what comes in. It is imported by signer, by its fakes, and by
// whoever writes a signer in Go.
package signerapi
