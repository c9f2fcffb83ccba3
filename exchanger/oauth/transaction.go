// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/base64"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Bounds of request_details and request_context: both go into a token of 8 KiB, and
// through every hop of a call in a header. 2 KiB of JSON each are 5.5 KiB of the token
// in base64url; the rest is for its other claims.
const (
	maxContextBytes = 2 << 10
	// maxContextDepth is below that of claims, of which the object is one.
	maxContextDepth = 6
)

// parseContext reads a JSON object in base64url without padding
// (draft-ietf-oauth-transaction-tokens).
func parseContext(param, text string) (map[string]any, *policy.Refusal) {
	if text == "" {
		return nil, nil //nolint:nilnil // absent, and nothing wrong with that
	}
	if len(text) > base64.RawURLEncoding.EncodedLen(maxContextBytes) {
		return nil, invalid(param + " is longer than 2 KiB")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, invalid(param + " is not base64url without padding")
	}
	object, err := jose.DecodeStrict(raw, maxContextDepth)
	if err != nil {
		return nil, invalid(param + ": " + err.Error() + "; send one JSON object of at most 6 levels")
	}
	return object, nil
}
