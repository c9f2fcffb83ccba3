// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"slices"
	"time"
)

// Sealed is what the reserved claim xqr carries, encrypted, from hop to hop: the
// facts of the first verification. Groups null means that they are not known.
type Sealed struct {
	Origin string `json:"o"`
	// OriginURL is the iss of the first token: a TrustedIssuer of the same name
	// that was made anew for another issuer is not the origin.
	OriginURL string         `json:"r"`
	IssuedAt  int64          `json:"t"`
	Username  string         `json:"u,omitempty"`
	Groups    []string       `json:"g"`
	Extra     map[string]any `json:"e,omitempty"`
	Lineage   []Ancestor     `json:"l,omitempty"`
	// Added are the token's scopes that came from a policy and not from the first
	// token.
	Added []AddedScope `json:"a,omitempty"`
	// Actors are the parties of act, outermost first.
	Actors []Actor `json:"x,omitempty"`
	// Under is the ImpersonationGrant that the token was made under, By who asked.
	Under string `json:"v,omitempty"`
	By    *Actor `json:"b,omitempty"`
}

// AddedScope is a scope that a policy of a namespace added (scopeMode Grant). A
// scope is local to its namespace: elsewhere the same word is another scope, which
// the subject does not hold for that.
type AddedScope struct {
	Scope     string `json:"s"`
	Namespace string `json:"n"`
}

// IdentifyOwn turns a verified token of this token service into facts. sealed is
// the plaintext of its xqr claim: without one there are no facts, and no token.
func (t *TokenService) IdentifyOwn(p Presented, sealed []byte) (*Token, *Refusal) {
	tok := &Token{Issuer: SelfIssuer, Class: ClassAccessToken, Claims: p.Claims, Digest: p.Digest}
	switch p.Type {
	case "at+jwt":
	case TypeHeaderTransaction:
		tok.Class = ClassTransaction
	default:
		return nil, deny(TokenClass, "of this token service only access tokens can be exchanged, and transaction tokens replaced")
	}
	if ref := registered(tok, t.spec.Issuer); ref != nil {
		return nil, ref
	}
	var s Sealed
	if err := json.Unmarshal(sealed, &s); err != nil || s.Origin == "" {
		return nil, deny(TokenMalformed, "the sealed facts are not readable")
	}
	tok.Origin, tok.OriginURL, tok.Added = s.Origin, s.OriginURL, s.Added
	tok.OriginIssuedAt = time.Unix(s.IssuedAt, 0).UTC()
	tok.Username, tok.Groups, tok.Extra, tok.Lineage = s.Username, s.Groups, listed(s.Extra), s.Lineage
	tok.Actors, tok.Under, tok.By = s.Actors, s.Under, s.By
	for i := range tok.Actors {
		tok.Actors[i].Extra = listed(tok.Actors[i].Extra)
	}
	if tok.By != nil {
		tok.By.Extra = listed(tok.By.Extra)
	}
	tok.Subject = tok.RawSubject
	tok.Lineage = unsealed(tok.Lineage, tok.Subject)
	if tok.Class == ClassTransaction {
		tok.ClientID, _ = p.Claims[claimWorkload].(string)
	}
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

// listed gives lists the type that a first verification gives them.
func listed(extra map[string]any) map[string]any {
	for k, v := range extra {
		if _, isList := v.([]any); isList {
			extra[k], _ = stringList(v)
		}
	}
	return extra
}

// seal returns what a token derived from t carries.
func (t *Token) seal() Sealed {
	first, url := t.IssuedAt, t.RawIssuer
	if t.Issuer == SelfIssuer {
		first, url = t.OriginIssuedAt, t.OriginURL
	}
	s := Sealed{Origin: t.Origin, OriginURL: url, IssuedAt: first.Unix(), Username: t.Username, Groups: t.Groups, Extra: t.Extra}
	s.Lineage = t.lineage()
	return s
}

// holds says whether the subject holds a scope as namespace means it: from the
// first token, or added by a policy of that namespace.
func (t *Token) holds(scope, namespace string) bool {
	return slices.Contains(t.Scopes, scope) && (!t.wasAdded(scope) || slices.Contains(t.Added, AddedScope{scope, namespace}))
}

func (t *Token) wasAdded(scope string) bool {
	return slices.ContainsFunc(t.Added, func(a AddedScope) bool { return a.Scope == scope })
}

// added are those of a grant's scopes in the token that did not come from the
// first token, with the namespace that means them.
func (t *Token) added(scopes []string, namespace string) []AddedScope {
	var out []AddedScope
	for _, s := range scopes {
		if !slices.Contains(t.Scopes, s) || t.wasAdded(s) {
			out = append(out, AddedScope{s, namespace})
		}
	}
	return out
}
