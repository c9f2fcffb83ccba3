// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// AppendJSON appends what encoding/json would write, for every token and without
// reflection.
func (s *Sealed) AppendJSON(b []byte) []byte {
	b = appendText(append(b, `{"o":`...), s.Origin)
	b = appendText(append(b, `,"r":`...), s.OriginURL)
	b = strconv.AppendInt(append(b, `,"t":`...), s.IssuedAt, 10)
	if s.Username != "" {
		b = appendText(append(b, `,"u":`...), s.Username)
	}
	b = appendTexts(append(b, `,"g":`...), s.Groups)
	if len(s.Extra) > 0 {
		b = append(b, `,"e":{`...)
		for i, name := range slices.Sorted(maps.Keys(s.Extra)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, name), ':')
			switch v := s.Extra[name].(type) {
			case string:
				b = appendText(b, v)
			case []string:
				b = appendTexts(b, v)
			default:
				b = append(b, `null`...)
			}
		}
		b = append(b, '}')
	}
	if len(s.Lineage) > 0 {
		b = append(b, `,"l":[`...)
		for i, a := range s.Lineage {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(a.appendMembers(appendText(append(b, `{"i":`...), a.Issuer)), '}')
		}
		b = append(b, ']')
	}
	if len(s.Added) > 0 {
		b = append(b, `,"a":[`...)
		for i, a := range s.Added {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(append(b, `{"s":`...), a.Scope)
			b = append(appendText(append(b, `,"n":`...), a.Namespace), '}')
		}
		b = append(b, ']')
	}
	// Few tokens tell of others: reflection will do.
	if len(s.Actors) > 0 {
		b = appendValue(append(b, `,"x":`...), s.Actors)
	}
	if s.Under != "" {
		b = appendText(append(b, `,"v":`...), s.Under)
	}
	if s.By != nil {
		b = appendValue(append(b, `,"b":`...), s.By)
	}
	return append(b, '}')
}

func appendValue(b []byte, v any) []byte {
	encoded, err := json.Marshal(v)
	if err != nil {
		return append(b, `null`...) // Texts and lists of them cannot fail to be written.
	}
	return append(b, encoded...)
}

// appendMembers appends what is known besides the issuer.
func (a *Ancestor) appendMembers(b []byte) []byte {
	if a.TokenID != "" {
		b = appendText(append(b, `,"j":`...), a.TokenID)
	}
	if a.ClientID != "" {
		b = appendText(append(b, `,"c":`...), a.ClientID)
	}
	if a.IssuedAt != 0 {
		b = strconv.AppendInt(append(b, `,"t":`...), a.IssuedAt, 10)
	}
	if a.Subject != "" {
		b = appendText(append(b, `,"s":`...), a.Subject)
	}
	return b
}

func appendTexts(b []byte, list []string) []byte {
	if list == nil {
		return append(b, `null`...)
	}
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, s)
	}
	return append(b, ']')
}

// appendText writes plain ASCII as it is; everything else takes encoding/json's
// way, which escapes it.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(b, `""`...) // A string cannot fail to be written.
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
