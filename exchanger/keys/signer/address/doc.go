// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package address reads the address of an external signer. It is a package of its
// own so that translation, which judges addresses, does not link a gRPC client.
//
// It promises: what it accepts can be dialled as it stands. It refuses whatever
// else. It is imported by translate and signer.
package address
