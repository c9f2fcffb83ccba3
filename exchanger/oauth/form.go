// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// maxPairs bounds the parameters of one form: the longest legitimate one has 16
// targets and about 20 other names, so 64 leaves room for names that we ignore.
// Names are compared with each other, at most 64·63/2 = 2016 short comparisons.
const maxPairs = 64

// pair is one parameter; both halves point into the decoded text.
type pair struct{ name, value string }

// split reads application/x-www-form-urlencoded into decoded pairs. The decoded
// text is one string that all pairs point into, so that the caller may reuse
// body and so that a form costs one allocation whatever its size.
func split(body []byte, pairs []pair) ([]pair, *policy.Refusal) {
	if bytes.IndexByte(body, ';') >= 0 {
		// Some parsers split at ";" and some do not: what one layer reads as one
		// value is two parameters to the next (CVE-2021-23336 and its kin).
		return nil, invalid("the form has an unescaped ';'; separate parameters with '&'")
	}
	if n := bytes.Count(body, []byte{'&'}) + 1; n > maxPairs {
		return nil, invalid("the form has more than 64 parameters")
	}
	var text strings.Builder
	text.Grow(len(body))
	type span struct{ name, value int }
	var spans [maxPairs]span
	count := 0
	for rest := body; len(rest) > 0; {
		var segment []byte
		segment, rest, _ = bytes.Cut(rest, []byte{'&'})
		if len(segment) == 0 {
			continue
		}
		name, value, _ := bytes.Cut(segment, []byte{'='})
		if !unescape(&text, name) {
			return nil, invalid("the form has a malformed percent-escape")
		}
		spans[count].name = text.Len()
		if !unescape(&text, value) {
			return nil, invalid("the form has a malformed percent-escape")
		}
		spans[count].value = text.Len()
		count++
	}
	decoded, at := text.String(), 0
	for _, s := range spans[:count] {
		p := pair{decoded[at:s.name], decoded[s.name:s.value]}
		at = s.value
		// Each on its own: an incomplete sequence at the end of one value must not
		// be completed by the beginning of the next name.
		if !clean(p.name) || !clean(p.value) {
			return nil, invalid("the form has a NUL, a line break or invalid UTF-8")
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// clean refuses what ends a line or a string somewhere downstream.
func clean(s string) bool {
	return strings.IndexByte(s, 0) < 0 && strings.IndexByte(s, '\n') < 0 &&
		strings.IndexByte(s, '\r') < 0 && utf8.ValidString(s)
}

// unescape appends src decoded; false when an escape is malformed. Tokens, the
// long values, have nothing to decode and are copied in one go.
func unescape(dst *strings.Builder, src []byte) bool {
	if bytes.IndexByte(src, '%') < 0 && bytes.IndexByte(src, '+') < 0 {
		dst.Write(src)
		return true
	}
	for i := 0; i < len(src); i++ {
		switch c := src[i]; c {
		case '+':
			dst.WriteByte(' ')
		case '%':
			if len(src) < i+3 {
				return false
			}
			hi, ok1 := unhex(src[i+1])
			lo, ok2 := unhex(src[i+2])
			if !ok1 || !ok2 {
				return false
			}
			dst.WriteByte(hi<<4 | lo)
			i += 2
		default:
			dst.WriteByte(c)
		}
	}
	return true
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
