// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/base64"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// maxAuthorization bounds an Authorization header: a client_id of 253 characters
// and a long secret, each percent-encoded (×3) and then base64 (×4/3), fit well.
const maxAuthorization = 4 << 10

// ParseBasic reads client_secret_basic from an Authorization header (RFC 7617),
// where both halves were form-encoded before they were joined (RFC 6749 section
// 2.3.1 and appendix B), so that a client_id may contain a colon. A header of
// another scheme is a credential that we do not know, not an absent one.
func ParseBasic(header string) (id, secret string, present bool, ref *policy.Refusal) {
	if header == "" {
		return "", "", false, nil
	}
	scheme, encoded, _ := strings.Cut(header, " ")
	if len(header) > maxAuthorization || !strings.EqualFold(scheme, "Basic") {
		return "", "", true, badBasic("the Authorization header is not Basic, or longer than 4 KiB")
	}
	joined, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		// Package base64 skips line breaks, even when it is strict.
		return "", "", true, badBasic("the Basic credentials are not base64")
	}
	rawID, rawSecret, found := strings.Cut(string(joined), ":")
	if !found {
		return "", "", true, badBasic("the Basic credentials have no ':'")
	}
	id, ok1 := formDecode(rawID)
	secret, ok2 := formDecode(rawSecret)
	if !ok1 || !ok2 || id == "" || len(id) > maxClientID {
		return "", "", true, badBasic("the Basic credentials are not a form-encoded client_id and secret (RFC 6749 appendix B)")
	}
	return id, secret, true, nil
}

func formDecode(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, clean(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	if !unescape(&b, []byte(s)) {
		return "", false
	}
	return b.String(), clean(b.String())
}

func badBasic(detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Denied, Reason: policy.ClientCredentials, Check: "client", Detail: detail}
}
