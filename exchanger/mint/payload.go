// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// appendPayload writes the claims of an access token (RFC 9068 section 2.2, RFC
// 8693 section 4) in a fixed order.
func appendPayload(b []byte, g *policy.Grant, t *Token, sealed string) ([]byte, error) {
	w := writer{b: append(b, '{')}
	w.text("iss", g.Issuer)
	w.text("sub", g.Subject.Subject)
	w.audience(g.Audiences)
	w.text("client_id", g.ClientID)
	w.text("azp", g.ClientID)
	w.number("exp", g.ExpiresAt.Unix())
	w.number("iat", g.IssuedAt.Unix())
	w.number("nbf", g.IssuedAt.Unix())
	w.text("jti", t.TokenID)
	w.text("txn", t.Transaction)
	if len(g.Scopes) > 0 {
		w.text("scope", strings.Join(g.Scopes, " "))
	}
	if s := g.Subject; s != nil {
		if s.ACR != "" {
			w.text("acr", s.ACR)
		}
		if len(s.AMR) > 0 {
			w.value("amr", s.AMR)
		}
		if s.AuthTime != 0 {
			w.number("auth_time", s.AuthTime)
		}
		if s.MayAct != nil {
			w.value("may_act", s.MayAct)
		}
	}
	for i := range g.Claims {
		w.value(g.Claims[i].Name, g.Claims[i].Value)
	}
	w.text("xqr", sealed)
	return append(w.b, '}'), w.err
}

// writer appends members of one JSON object.
type writer struct {
	b   []byte
	err error
}

func (w *writer) name(n string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.string(n)
	w.b = append(w.b, ':')
}

func (w *writer) text(name, v string) {
	w.name(name)
	w.string(v)
}

func (w *writer) number(name string, v int64) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, v, 10)
}

// string appends printable ASCII as it is; everything else takes encoding/json's
// way.
func (w *writer) string(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			w.json(s)
			return
		}
	}
	w.b = append(append(append(w.b, '"'), s...), '"')
}

func (w *writer) json(v any) {
	encoded, err := json.Marshal(v)
	if err != nil {
		w.err = err
		return
	}
	w.b = append(w.b, encoded...)
}

func (w *writer) value(name string, v any) {
	w.name(name)
	if s, ok := v.(string); ok {
		w.string(s)
		return
	}
	w.json(v)
}

// audience writes one name as a string, several as an array.
func (w *writer) audience(names []string) {
	if len(names) == 1 {
		w.text("aud", names[0])
		return
	}
	w.value("aud", names)
}

// compare holds the claims of a minted token against the grant and returns the
// name of the first that differs. It shares no code with the writer.
func compare(claims map[string]any, g *policy.Grant, t *Token) string {
	seen := 0
	for _, c := range [...]struct{ name, want string }{
		{"iss", g.Issuer}, {"sub", g.Subject.Subject}, {"client_id", g.ClientID}, {"azp", g.ClientID},
		{"jti", t.TokenID}, {"txn", t.Transaction}, {"scope", strings.Join(g.Scopes, " ")}, {"acr", g.Subject.ACR},
	} {
		got, present := claims[c.name]
		if c.want == "" && !present {
			continue
		}
		if got != c.want || c.want == "" {
			return c.name
		}
		seen++
	}
	for _, c := range [...]struct {
		name string
		want int64
	}{{"exp", g.ExpiresAt.Unix()}, {"iat", g.IssuedAt.Unix()}, {"nbf", g.IssuedAt.Unix()}, {"auth_time", g.Subject.AuthTime}} {
		got, present := claims[c.name]
		if c.want == 0 && !present {
			continue
		}
		if got != c.want {
			return c.name
		}
		seen++
	}
	if !sameAudience(claims["aud"], g.Audiences) {
		return "aud"
	}
	seen += 2 // aud and xqr
	for _, c := range [...]struct {
		name string
		want any
		has  bool
	}{{"amr", g.Subject.AMR, len(g.Subject.AMR) > 0}, {"may_act", g.Subject.MayAct, g.Subject.MayAct != nil}} {
		if !c.has {
			continue
		}
		if !sameJSON(claims[c.name], c.want) {
			return c.name
		}
		seen++
	}
	for i := range g.Claims {
		if !sameJSON(claims[g.Claims[i].Name], g.Claims[i].Value) {
			return g.Claims[i].Name
		}
		seen++
	}
	if _, sealed := claims["xqr"].(string); !sealed || seen != len(claims) {
		return "the set of claims"
	}
	return ""
}

func sameAudience(got any, want []string) bool {
	if len(want) == 1 {
		return got == want[0]
	}
	list, ok := got.([]any)
	return ok && len(list) == len(want) && !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(list, any(w)) })
}

// sameJSON compares values across the ways in which Go holds JSON.
func sameJSON(got, want any) bool {
	switch w := want.(type) {
	case string, bool, int64, nil:
		return got == w
	}
	a, err := json.Marshal(got)
	if err != nil {
		return false
	}
	b, err := json.Marshal(want)
	if err != nil {
		return false
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
