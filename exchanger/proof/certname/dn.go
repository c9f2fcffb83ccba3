// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package certname

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// typeNames are the attribute types with a name (RFC 4514, section 3, and the ones
// that certificates have besides). All others are written as numbers.
func typeNames() map[string]string {
	return map[string]string{
		"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C", "2.5.4.9": "STREET",
		"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID", "2.5.4.5": "SERIALNUMBER", "1.2.840.113549.1.9.1": "EMAILADDRESS",
	}
}

// typeOf gives an attribute type, as somebody wrote it, its one name.
func typeOf(text string) (string, bool) {
	names := typeNames()
	if name, ok := names[text]; ok {
		return name, true
	}
	upper := strings.ToUpper(text)
	for _, name := range names {
		if name == upper {
			return name, true
		}
	}
	if text == "" || strings.Trim(text, "0123456789.") != "" || !strings.Contains(text, ".") {
		return "", false
	}
	return text, true
}

// attribute is one attribute of a relative distinguished name.
type attribute struct{ name, value string }

// canonicalDN reads a distinguished name (RFC 4514, section 3) and writes it in one
// way: names of types in capitals, attributes of one RDN in order, as little escaped
// as can be. Values are compared as they stand, letter case included.
func canonicalDN(text string) (string, error) {
	if len(text) > 512 {
		return "", errors.New("expected at most 512 bytes")
	}
	var out []string
	rest := text
	for {
		var rdn []attribute
		for {
			a, end, after, err := readAttribute(rest)
			if err != nil {
				return "", err
			}
			rdn, rest = append(rdn, a), after
			if end != '+' {
				if end == 0 {
					rest = ""
				}
				out = append(out, writeRDN(rdn))
				if end == 0 {
					return strings.Join(out, ","), nil
				}
				break
			}
		}
	}
}

// readAttribute reads `type=value`. end is what it ended with: a comma, a plus, or
// 0 for the end of the text.
func readAttribute(text string) (a attribute, end byte, rest string, err error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return a, 0, "", errors.New("expected attributes such as CN=frontend, separated by commas")
	}
	if a.name, ok = typeOf(strings.TrimSpace(name)); !ok {
		return a, 0, "", fmt.Errorf("attribute type %q is not known by that name: write it as numbers, such as 2.5.4.3", strings.TrimSpace(name))
	}
	value = strings.TrimLeft(value, " ")
	if strings.HasPrefix(value, "#") {
		return a, 0, "", errors.New("values in hexadecimal form (#...) are not compared")
	}
	var b strings.Builder
	kept := 0 // up to where spaces at the end count, because they were escaped
	for i := 0; i < len(value); i++ {
		switch c := value[i]; c {
		case ',', '+', ';':
			if c == ';' {
				return a, 0, "", errors.New("expected commas between attributes, and \\; for a semicolon")
			}
			return finish(a, &b, kept, c, value[i+1:])
		case '"', '<', '>', 0:
			return a, 0, "", fmt.Errorf("expected a backslash before %q", c)
		case '\\':
			n, text, ok := unescape(value[i+1:])
			if !ok {
				return a, 0, "", errors.New("expected a character or two hexadecimal digits after a backslash")
			}
			b.WriteString(text)
			i, kept = i+n, b.Len()
		default:
			b.WriteByte(c)
		}
	}
	return finish(a, &b, kept, 0, "")
}

func finish(a attribute, b *strings.Builder, kept int, end byte, rest string) (attribute, byte, string, error) {
	a.value = b.String()
	a.value = a.value[:kept] + strings.TrimRight(a.value[kept:], " ")
	if a.value == "" || !utf8.ValidString(a.value) {
		return a, 0, "", errors.New("expected a value of UTF-8 text behind every =")
	}
	return a, end, rest, nil
}

// unescape reads what follows a backslash: n bytes of it.
func unescape(s string) (n int, text string, ok bool) {
	if s == "" {
		return 0, "", false
	}
	if strings.IndexByte(` "#+,;<=>\`, s[0]) >= 0 {
		return 1, s[:1], true
	}
	if len(s) < 2 {
		return 0, "", false
	}
	raw, err := hex.DecodeString(s[:2])
	return 2, string(raw), err == nil
}

func writeRDN(rdn []attribute) string {
	parts := make([]string, len(rdn))
	for i, a := range rdn {
		parts[i] = a.name + "=" + escape(a.value)
	}
	slices.Sort(parts)
	return strings.Join(parts, "+")
}

// escape writes a value so that it has one spelling and ends where it ends.
func escape(v string) string {
	var b strings.Builder
	for i := range len(v) {
		c := v[i]
		edge := c == ' ' && (i == 0 || i == len(v)-1) || c == '#' && i == 0
		switch {
		case strings.IndexByte(`"+,;<=>\`, c) >= 0 || edge:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\%02X`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// subjectOf is a certificate's subject in the same form: the last RDN first (RFC
// 4514, section 2.1). False when there is none, or when a value is no text.
func subjectOf(cert *x509.Certificate) (string, bool) {
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(cert.RawSubject, &rdns); err != nil || len(rest) > 0 || len(rdns) == 0 {
		return "", false
	}
	names := typeNames()
	out := make([]string, 0, len(rdns))
	for _, set := range slices.Backward(rdns) {
		rdn := make([]attribute, 0, len(set))
		for _, a := range set {
			value, ok := a.Value.(string)
			if !ok || value == "" {
				return "", false
			}
			name := names[a.Type.String()]
			if name == "" {
				name = a.Type.String()
			}
			rdn = append(rdn, attribute{name, value})
		}
		out = append(out, writeRDN(rdn))
	}
	return strings.Join(out, ","), true
}
