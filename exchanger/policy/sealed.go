// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"time"
)

// Sealed is what the reserved claim xqr carries, encrypted, from hop to hop: the
// facts of the first verification. Groups null means that they are not known.
type Sealed struct {
	Origin   string         `json:"o"`
	IssuedAt int64          `json:"t"`
	Username string         `json:"u,omitempty"`
	Groups   []string       `json:"g"`
	Extra    map[string]any `json:"e,omitempty"`
	Lineage  []Ancestor     `json:"l,omitempty"`
}

// Ancestor is a token that another was derived from, oldest first in a lineage.
// Issuer is a TrustedIssuer's name, or "self".
type Ancestor struct {
	Issuer  string `json:"i"`
	TokenID string `json:"j"`
}

// IdentifyOwn turns a verified token of this token service into facts. sealed is
// the plaintext of its xqr claim: without one there are no facts, and no token.
func (t *TokenService) IdentifyOwn(p Presented, sealed []byte) (*Token, *Refusal) {
	if p.Type != "at+jwt" {
		return nil, deny(TokenClass, "only access tokens of this token service can be exchanged")
	}
	tok := &Token{Issuer: SelfIssuer, Class: ClassAccessToken, Claims: p.Claims, Digest: p.Digest}
	if ref := registered(tok, t.spec.Issuer); ref != nil {
		return nil, ref
	}
	var s Sealed
	if err := json.Unmarshal(sealed, &s); err != nil || s.Origin == "" {
		return nil, deny(TokenMalformed, "the sealed facts are not readable")
	}
	tok.Origin = s.Origin
	tok.OriginIssuedAt = time.Unix(s.IssuedAt, 0).UTC()
	tok.Username, tok.Groups, tok.Extra, tok.Lineage = s.Username, s.Groups, s.extra(), s.Lineage
	tok.Subject = tok.RawSubject
	if v, present := p.Claims["scope"]; present {
		list, ok := scopeList(v)
		if !ok {
			return nil, deny(TokenMalformed, "scope is not a space-separated string")
		}
		tok.Scopes = list
	}
	tok.Transaction, _ = p.Claims["txn"].(string)
	tok.ACR, _ = p.Claims["acr"].(string)
	if v, present := p.Claims["amr"]; present {
		tok.AMR, _ = stringList(v)
	}
	if at, ok := numericDate(p.Claims["auth_time"]); ok {
		tok.AuthTime = at.Unix()
	}
	return tok, nil
}

// extra gives lists the type that a first verification gives them.
func (s *Sealed) extra() map[string]any {
	for k, v := range s.Extra {
		if _, isList := v.([]any); isList {
			s.Extra[k], _ = stringList(v)
		}
	}
	return s.Extra
}

// seal returns what a token derived from t carries.
func (t *Token) seal() Sealed {
	first := t.IssuedAt
	if t.Issuer == SelfIssuer {
		first = t.OriginIssuedAt
	}
	s := Sealed{Origin: t.Origin, IssuedAt: first.Unix(), Username: t.Username, Groups: t.Groups, Extra: t.Extra}
	if t.TokenID == "" {
		s.Lineage = t.Lineage
		return s
	}
	s.Lineage = make([]Ancestor, 0, len(t.Lineage)+1)
	s.Lineage = append(append(s.Lineage, t.Lineage...), Ancestor{Issuer: t.Issuer, TokenID: t.TokenID})
	return s
}
