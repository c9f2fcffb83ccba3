// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
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
	w.plain("jti", t.TokenID)
	w.text("txn", t.Transaction)
	if len(g.Scopes) > 0 {
		w.text("scope", strings.Join(g.Scopes, " "))
	}
	w.about(g)
	w.plain("xqr", sealed)
	return append(w.b, '}'), w.err
}

// about writes what a token of any kind says of whom it is about, and what policies
// and scopes add.
func (w *writer) about(g *policy.Grant) {
	s := g.Subject
	if s.ACR != "" {
		w.text("acr", s.ACR)
	}
	if len(s.AMR) > 0 {
		w.json("amr", s.AMR)
	}
	if s.AuthTime != 0 {
		w.number("auth_time", s.AuthTime)
	}
	if s.MayAct != nil {
		w.value("may_act", s.MayAct)
	}
	if g.Act != nil {
		w.value("act", g.Act)
	}
	if g.Impersonator != nil {
		w.json("impersonator", g.Impersonator)
	}
	if cnf := g.Confirmation.Claim(); cnf != nil {
		w.json("cnf", cnf)
	}
	for i := range g.Claims {
		w.value(g.Claims[i].Name, g.Claims[i].Value)
	}
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

// plain is text that is base64url, dots and hexadecimal digits by its making.
func (w *writer) plain(name, v string) {
	w.name(name)
	w.b = append(append(append(w.b, '"'), v...), '"')
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
			w.encode(s)
			return
		}
	}
	w.b = append(append(append(w.b, '"'), s...), '"')
}

func (w *writer) encode(v any) {
	encoded, err := json.Marshal(v)
	if err != nil {
		w.err = errNoJSON
		return
	}
	w.b = append(w.b, encoded...)
}

func (w *writer) json(name string, v any) {
	w.name(name)
	w.encode(v)
}

// value writes a claim of somebody's making.
func (w *writer) value(name string, v any) {
	switch {
	case !utf8.ValidString(name) || !readable(v, jose.DefaultJSONDepth-1):
		// The token's own object is the first level.
		w.err = errNoJSON
	default:
		if s, ok := v.(string); ok {
			w.text(name, s)
			return
		}
		w.json(name, v)
	}
}

// audience writes one name as a string, several as an array.
func (w *writer) audience(names []string) {
	if len(names) == 1 {
		w.text("aud", names[0])
		return
	}
	w.json("aud", names)
}

// errNoJSON names no claim: which one it is stands in a policy's own words.
var errNoJSON = errors.New("a claim has text that is not UTF-8, a number that JSON has not, or nests too deep for a token")

// readable says whether every reader gets v back as it is, through at most so
// many levels. encoding/json would replace text that is not UTF-8.
func readable(v any, levels int) bool {
	switch x := v.(type) {
	case string:
		return utf8.ValidString(x)
	case float64:
		return !math.IsNaN(x) && !math.IsInf(x, 0)
	case []any:
		return levels > 0 && !slices.ContainsFunc(x, func(e any) bool { return !readable(e, levels-1) })
	case map[string]any:
		for name, e := range x {
			if !utf8.ValidString(name) || !readable(e, levels-1) {
				return false
			}
		}
		return levels > 0
	case nil, bool, int64:
		return true
	}
	return false
}
