// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import "encoding/base64"

// isThumbprint says whether a text is a SHA-256 as cnf has it: of a key (RFC 7638) or
// of a certificate (RFC 8705).
func isThumbprint(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 32
}
