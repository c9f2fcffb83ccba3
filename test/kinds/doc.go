// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kinds tries the API types the way that other people's programs use
// them: through controller-runtime's client and client-go's scheme.
package kinds
