// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cosign pins the program that signs releases and tests what its
// signatures are worth, against a registry in this process. It has a module of
// its own, as it brings three hundred dependencies.
package cosign
