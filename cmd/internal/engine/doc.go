// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine puts the exchanger together: issuers, keys, client
// authentication, the use-case and the server, around one current snapshot. The
// programs are flags and this.
package engine
