// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package serving has the flags of the programs that serve a token endpoint: where
// one-time state is kept, and whom a client certificate in a header is believed of.
// It is apart from package flags so that the controller, which serves none, links
// neither a server nor a client of the store.
package serving
