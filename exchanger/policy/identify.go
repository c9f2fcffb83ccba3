// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "crypto/sha256"

// Presented is a token whose signature was verified: what its bytes say.
type Presented struct {
	// Type is the header's typ, lower case, without "application/"; empty when absent.
	Type   string
	Header map[string]any
	// Claims are strictly decoded: int64, float64, string, bool, nil, []any,
	// map[string]any.
	Claims map[string]any
	Digest [sha256.Size]byte
}
