// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// DecodeStrict decodes one JSON object that may nest depth levels (the object
// itself is the first). Values are string, bool, nil, int64 (an integer literal
// that fits), float64 (every other finite number), []any and map[string]any.
//
// Refused are: anything but one object, members that appear twice (compared
// after unescaping), more levels than depth, bytes after the object, a byte
// order mark, invalid UTF-8, lone surrogates, unescaped control characters,
// numbers beyond float64 and everything else that RFC 8259 does not allow. The
// caller bounds len(b).
func DecodeStrict(b []byte, depth int) (map[string]any, error) {
	m, why := decodeObject(string(b), depth)
	if why != "" {
		return nil, refuse(BadJSON, why)
	}
	return m, nil
}

// What decodeObject can complain about. The texts are constant: a message never
// quotes the document.
const (
	whyUTF8      = "the text is not valid UTF-8"
	whyObject    = "a JSON object is expected"
	whyTrailing  = "there is something after the JSON object"
	whyDepth     = "the JSON nests too deep"
	whyDuplicate = "a member appears twice in one JSON object"
	whySyntax    = "the JSON is malformed"
	whyString    = "a JSON string is malformed"
	whySurrogate = "a JSON string has half of a surrogate pair"
	whyNumber    = "a JSON number is malformed"
	whyRange     = "a JSON number is out of range"
)

// decoder walks a string, so that strings without escapes are slices of it and
// cost nothing. left is the number of levels that may still be opened: it also
// bounds the recursion.
type decoder struct {
	s    string
	i    int
	left int
	why  string
}

func decodeObject(s string, depth int) (m map[string]any, why string) {
	if !utf8.ValidString(s) {
		return nil, whyUTF8
	}
	d := decoder{s: s, left: depth}
	d.space()
	if d.peek() != '{' {
		return nil, whyObject
	}
	m, ok := d.object()
	if !ok {
		return nil, d.why
	}
	d.space()
	if d.i != len(s) {
		return nil, whyTrailing
	}
	return m, ""
}

func (d *decoder) fail(why string) bool {
	d.why = why
	return false
}

// peek is the byte at the cursor, or 0 at the end: a NUL is no JSON token.
func (d *decoder) peek() byte {
	if d.i < len(d.s) {
		return d.s[d.i]
	}
	return 0
}

func (d *decoder) space() {
	for d.i < len(d.s) {
		switch d.s[d.i] {
		case ' ', '\t', '\n', '\r':
			d.i++
		default:
			return
		}
	}
}

func (d *decoder) open() bool {
	if d.left <= 0 {
		return d.fail(whyDepth)
	}
	d.left--
	d.i++
	d.space()
	return true
}

// next is called after an element: it consumes a comma and reports that more
// follows, or the closing byte.
func (d *decoder) next(closing byte) (more, ok bool) {
	d.space()
	switch d.peek() {
	case ',':
		d.i++
		d.space()
		return true, true
	case closing:
		d.i++
		d.left++
		return false, true
	}
	return false, d.fail(whySyntax)
}

func (d *decoder) object() (map[string]any, bool) {
	if !d.open() {
		return nil, false
	}
	m := make(map[string]any)
	if d.peek() == '}' {
		d.i++
		d.left++
		return m, true
	}
	for more := true; more; {
		name, ok := d.text()
		if !ok {
			return nil, false
		}
		d.space()
		if d.peek() != ':' {
			return nil, d.fail(whySyntax)
		}
		d.i++
		d.space()
		v, ok := d.value()
		if !ok {
			return nil, false
		}
		n := len(m)
		if m[name] = v; len(m) == n {
			return nil, d.fail(whyDuplicate)
		}
		if more, ok = d.next('}'); !ok {
			return nil, false
		}
	}
	return m, true
}

func (d *decoder) array() ([]any, bool) {
	if !d.open() {
		return nil, false
	}
	a := []any{}
	if d.peek() == ']' {
		d.i++
		d.left++
		return a, true
	}
	for more := true; more; {
		v, ok := d.value()
		if !ok {
			return nil, false
		}
		a = append(a, v)
		if more, ok = d.next(']'); !ok {
			return nil, false
		}
	}
	return a, true
}

func (d *decoder) value() (any, bool) {
	switch c := d.peek(); {
	case c == '"':
		return boxed(d.text())
	case c == '{':
		return boxed(d.object())
	case c == '[':
		return boxed(d.array())
	case c == '-' || '0' <= c && c <= '9':
		return d.number()
	}
	rest := d.s[d.i:]
	switch {
	case strings.HasPrefix(rest, "true"):
		d.i += len("true")
		return true, true
	case strings.HasPrefix(rest, "false"):
		d.i += len("false")
		return false, true
	case strings.HasPrefix(rest, "null"):
		d.i += len("null")
		return nil, true
	}
	return nil, d.fail(whySyntax)
}

func boxed[T any](v T, ok bool) (any, bool) { return v, ok }

// text decodes a string. The common one, without escapes, is a slice of the
// input.
func (d *decoder) text() (string, bool) {
	if d.peek() != '"' {
		return "", d.fail(whySyntax)
	}
	start := d.i + 1
	for i := start; i < len(d.s); i++ {
		switch c := d.s[i]; {
		case c == '"':
			d.i = i + 1
			return d.s[start:i], true
		case c == '\\':
			return d.escaped(start, i)
		case c < ' ':
			return "", d.fail(whyString)
		}
	}
	return "", d.fail(whyString)
}

// escaped finishes a string whose first backslash stands at i.
func (d *decoder) escaped(start, i int) (string, bool) {
	out := append(make([]byte, 0, i-start+32), d.s[start:i]...)
	for i < len(d.s) {
		c := d.s[i]
		switch {
		case c == '"':
			d.i = i + 1
			return string(out), true
		case c < ' ':
			return "", d.fail(whyString)
		case c != '\\':
			out = append(out, c)
			i++
			continue
		}
		if i+1 >= len(d.s) {
			break
		}
		if d.s[i+1] == 'u' {
			r, n, why := unicodeEscape(d.s[i:])
			if why != "" {
				return "", d.fail(why)
			}
			out = utf8.AppendRune(out, r)
			i += n
			continue
		}
		b := unescape(d.s[i+1])
		if b == 0 {
			return "", d.fail(whyString)
		}
		out = append(out, b)
		i += 2
	}
	return "", d.fail(whyString)
}

func unescape(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// unicodeEscape reads \uXXXX, or a pair of them that makes one character, at
// the start of s. encoding/json would turn half a pair into U+FFFD: two
// different names would become one.
func unicodeEscape(s string) (r rune, n int, why string) {
	r, ok := hex4(s)
	if !ok {
		return 0, 0, whyString
	}
	const highFirst, lowFirst, lowLast = 0xD800, 0xDC00, 0xDFFF
	if r < highFirst || r > lowLast {
		return r, 6, ""
	}
	low, ok := hex4(s[6:])
	if r >= lowFirst || !ok || low < lowFirst || low > lowLast {
		return 0, 0, whySurrogate
	}
	return (r-highFirst)<<10 | (low - lowFirst) + 0x10000, 12, ""
}

func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[2:6]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number follows the grammar of RFC 8259, section 6.
func (d *decoder) number() (any, bool) {
	start := d.i
	if d.peek() == '-' {
		d.i++
	}
	first := d.peek()
	if n := d.digits(); n == 0 || first == '0' && n > 1 {
		return nil, d.fail(whyNumber)
	}
	integer := true
	if d.peek() == '.' {
		d.i++
		integer = false
		if d.digits() == 0 {
			return nil, d.fail(whyNumber)
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.i++
		integer = false
		if c := d.peek(); c == '+' || c == '-' {
			d.i++
		}
		if d.digits() == 0 {
			return nil, d.fail(whyNumber)
		}
	}
	literal := d.s[start:d.i]
	if integer {
		if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
			return n, true
		}
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, d.fail(whyRange)
	}
	return f, true
}

func (d *decoder) digits() int {
	start := d.i
	for c := d.peek(); '0' <= c && c <= '9'; c = d.peek() {
		d.i++
	}
	return d.i - start
}
