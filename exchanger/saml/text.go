// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// unescape reads text with XML's five entities and references to characters.
func unescape(raw []byte) (string, error) {
	for _, r := range string(raw) {
		if !isChar(r) {
			return "", refuse(BadXML, "a character that XML does not allow")
		}
	}
	before, rest, found := strings.Cut(string(raw), "&")
	if !found {
		return before, nil
	}
	var b strings.Builder
	for found {
		b.WriteString(before)
		name, after, ok := strings.Cut(rest, ";")
		r, known := reference(name)
		if !ok || !known {
			return "", refuse(BadXML, "an entity other than lt, gt, amp, quot, apos and characters by number")
		}
		b.WriteRune(r)
		before, rest, found = strings.Cut(after, "&")
	}
	b.WriteString(before)
	return b.String(), nil
}

func reference(name string) (rune, bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok || len(digits) > 8 {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return rune(n), err == nil && n <= utf8.MaxRune && isChar(rune(n))
}

// isChar is XML 1.0's Char, production 2.
func isChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func isNameByte(c byte) bool {
	return isLetter(c) || c >= '0' && c <= '9' || c == '-' || c == '.' || c == ':'
}

// isNCName is an ASCII name without a colon, which is also what an ID is.
func isNCName(s string) bool {
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isNameByte(s[i]) || s[i] == ':' {
			return false
		}
	}
	return true
}

// absolute says whether a URI has a scheme and something after it.
func absolute(uri string) bool {
	scheme, rest, ok := strings.Cut(uri, ":")
	return ok && rest != "" && isNCName(scheme) && !strings.ContainsAny(uri, " \"<>")
}
