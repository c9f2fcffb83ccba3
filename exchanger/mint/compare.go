// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// compare holds the claims of a minted token against the grant, claim by claim,
// and says what differs, is missing, is there twice or was not granted. It shares
// no code with the writer, and builds nothing: it runs for every token.
func compare(payload []byte, g *policy.Grant, t *Token, sealed string) string {
	return (&comparison{grant: g, token: t, sealed: sealed, always: hasAlways, scoped: true}).read(payload)
}

// read goes through the claims.
func (c *comparison) read(payload []byte) string {
	rest, ok := bytes.CutPrefix(payload, []byte("{"))
	for ok && len(rest) > 0 {
		var name, value []byte
		if name, rest, ok = member(rest); !ok {
			break
		}
		if value, rest, ok = jsonValue(rest); !ok {
			break
		}
		if what := c.claim(name, value); what != "" {
			return what
		}
		switch {
		case len(rest) == 1 && rest[0] == '}':
			return c.missing()
		case len(rest) > 0 && rest[0] == ',':
			rest = rest[1:]
		default:
			ok = false
		}
	}
	return "the claims are not the JSON that was written"
}

// comparison is one comparison under way. seen has a bit for each claim of ours.
type comparison struct {
	grant  *policy.Grant
	token  *Token
	sealed string
	// always are the claims that this kind of token has in any case, never those that
	// it must not have; scoped says that it has scope.
	always, never uint32
	scoped        bool
	seen          uint32
	extra         int
}

// The claims that this package writes, each a bit.
const (
	hasIss uint32 = 1 << iota
	hasSub
	hasAud
	hasClientID
	hasAzp
	hasExp
	hasIat
	hasNbf
	hasJti
	hasTxn
	hasScope
	hasACR
	hasAMR
	hasAuthTime
	hasMayAct
	hasAct
	hasImpersonator
	hasConfirmation
	hasSealed
)

const hasAlways = hasIss | hasSub | hasAud | hasClientID | hasAzp | hasExp | hasIat | hasNbf | hasJti | hasTxn | hasSealed

// claim says how one claim differs from what the grant says, if it does.
func (c *comparison) claim(name, raw []byte) string {
	bit, same := c.own(name, raw)
	if bit&c.never != 0 {
		return "claim " + string(name) + " has no place in this kind of token"
	}
	switch {
	case bit == 0 && !c.granted(name, raw):
		return "there is a claim that was not granted, or not with this value"
	case bit != 0 && (!c.once(bit) || !same):
		return "claim " + string(name) + " differs"
	}
	return ""
}

// own compares a claim of the token service's; the bit is 0 for any other.
func (c *comparison) own(name, raw []byte) (bit uint32, same bool) {
	g, s := c.grant, c.grant.Subject
	switch string(name) {
	case "iss":
		return hasIss, isText(raw, g.Issuer)
	case "sub":
		return hasSub, isText(raw, s.Subject)
	case "aud":
		return hasAud, isAudience(raw, g.Audiences)
	case "client_id":
		return hasClientID, isText(raw, g.ClientID)
	case "azp":
		return hasAzp, isText(raw, g.ClientID)
	case "exp":
		return hasExp, isNumber(raw, g.ExpiresAt.Unix())
	case "iat":
		return hasIat, isNumber(raw, g.IssuedAt.Unix())
	case "nbf":
		return hasNbf, isNumber(raw, g.IssuedAt.Unix())
	case "jti":
		return hasJti, isText(raw, c.token.TokenID)
	case "txn":
		return hasTxn, isText(raw, c.token.Transaction)
	case "scope":
		return hasScope, len(g.Scopes) > 0 && isText(raw, strings.Join(g.Scopes, " "))
	case "acr":
		return hasACR, s.ACR != "" && isText(raw, s.ACR)
	case "amr":
		return hasAMR, len(s.AMR) > 0 && isJSON(raw, s.AMR)
	case "auth_time":
		return hasAuthTime, s.AuthTime != 0 && isNumber(raw, s.AuthTime)
	case "may_act":
		return hasMayAct, s.MayAct != nil && isJSON(raw, s.MayAct)
	case "act":
		return hasAct, g.Act != nil && isJSON(raw, g.Act)
	case "impersonator":
		return hasImpersonator, g.Impersonator != nil && isJSON(raw, g.Impersonator)
	case "cnf":
		return hasConfirmation, g.Confirmation != (policy.Confirmation{}) && isJSON(raw, g.Confirmation.Claim())
	case "xqr":
		return hasSealed, isText(raw, c.sealed)
	}
	return 0, false
}

func (c *comparison) once(bit uint32) bool {
	fresh := c.seen&bit == 0
	c.seen |= bit
	return fresh
}

// granted compares a claim of a policy or a scope. They come in the grant's order,
// which is sorted, so that none can be there twice.
func (c *comparison) granted(name, raw []byte) bool {
	if c.extra >= len(c.grant.Claims) || !isName(name, c.grant.Claims[c.extra].Name) {
		return false
	}
	want := c.grant.Claims[c.extra].Value
	c.extra++
	if s, ok := want.(string); ok {
		return isText(raw, s)
	}
	return isJSON(raw, want)
}

// missing names something that the grant says and the token does not.
func (c *comparison) missing() string {
	want, s := c.always, c.grant.Subject
	for _, o := range [...]struct {
		bit uint32
		has bool
	}{
		{hasScope, c.scoped && len(c.grant.Scopes) > 0},
		{hasACR, s.ACR != ""},
		{hasAMR, len(s.AMR) > 0},
		{hasAuthTime, s.AuthTime != 0},
		{hasMayAct, s.MayAct != nil},
		{hasAct, c.grant.Act != nil},
		{hasImpersonator, c.grant.Impersonator != nil},
		{hasConfirmation, c.grant.Confirmation != (policy.Confirmation{})},
	} {
		if o.has {
			want |= o.bit
		}
	}
	if c.seen != want || c.extra != len(c.grant.Claims) {
		return "a claim is missing"
	}
	return ""
}

// member cuts the name of a member and its colon off.
func member(b []byte) (name, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	for i := 1; i < len(b)-1; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[1:i], b[i+2:], b[i+1] == ':'
		}
	}
	return nil, nil, false
}

// isName compares the name of a member, in which only a policy's own can have
// escapes.
func isName(name []byte, want string) bool {
	if bytes.IndexByte(name, '\\') < 0 {
		return string(name) == want
	}
	var got string
	return json.Unmarshal(slices.Concat([]byte(`"`), name, []byte(`"`)), &got) == nil && got == want
}

// jsonValue cuts one JSON value off, by its brackets and quotes.
func jsonValue(b []byte) (raw, rest []byte, ok bool) {
	if len(b) > 1 && b[0] == '"' {
		// A string without escapes ends at its next quote, as nearly all do.
		if end := bytes.IndexByte(b[1:], '"') + 2; end > 1 && end < len(b) && bytes.IndexByte(b[:end], '\\') < 0 {
			return b[:end], b[end:], b[end] == ',' || b[end] == '}'
		}
	}
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case (c == '}' || c == ']') && depth > 0:
			depth--
		case depth == 0 && (c == ',' || c == '}'):
			return b[:i], b[i:], i > 0
		}
	}
	return nil, nil, false
}

func isText(raw []byte, want string) bool {
	if len(raw) == len(want)+2 && raw[0] == '"' && raw[len(raw)-1] == '"' && string(raw[1:len(raw)-1]) == want &&
		strings.IndexByte(want, '"') < 0 && strings.IndexByte(want, '\\') < 0 {
		return true
	}
	var got string
	// json.Unmarshal takes null for an empty string.
	return len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &got) == nil && got == want
}

func isNumber(raw []byte, want int64) bool {
	got, err := strconv.ParseInt(string(raw), 10, 64)
	return err == nil && got == want
}

// isAudience wants one name as a string, several as an array.
func isAudience(raw []byte, want []string) bool {
	if len(want) == 1 {
		return isText(raw, want[0])
	}
	var got []string
	return json.Unmarshal(raw, &got) == nil && slices.Equal(got, want)
}

// isJSON compares with what a value is as JSON: the same text, or the same tree.
func isJSON(raw []byte, want any) bool {
	encoded, err := json.Marshal(want)
	if err != nil {
		return false
	}
	if bytes.Equal(raw, encoded) {
		return true
	}
	got, ok := tree(raw)
	wanted, ok2 := tree(encoded)
	return ok && ok2 && reflect.DeepEqual(got, wanted)
}

// tree keeps numbers as they are written: a double would make two of one.
func tree(raw []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err := d.Decode(&v)
	return v, err == nil
}
