// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// Presented is a token whose signature was verified: what its bytes say.
type Presented struct {
	// Type is the header's typ, lower case, without "application/"; empty when absent.
	Type   string
	Header map[string]any
	// Claims are strictly decoded: int64, float64, string, bool, nil, []any,
	// map[string]any.
	Claims map[string]any
	Digest [sha256.Size]byte
	// Class, when it is set, is what the token is, instead of what its typ and claims
	// say of it; the issuer's tokenTypes apply all the same. Examples set it, and
	// MapAssertion: a verified JWT never has it.
	Class Class
}

// Identify turns a verified token of this issuer into facts, by the issuer's own
// rules: class, shape of the claims, claim rules, mappings, user rules. Nothing
// in it depends on the time, so that its result may be kept as long as the
// issuer's [TrustedIssuer.Digest] and the key stand.
func (i *TrustedIssuer) Identify(p Presented) (*Token, *Refusal) {
	t, ref := i.Map(p)
	if ref != nil {
		return nil, ref
	}
	return i.Settle(t, nil)
}

// Map is Identify without what comes after the mappings: the directory, and the
// rules over the subject. What it returns is no subject before it was settled.
func (i *TrustedIssuer) Map(p Presented) (*Token, *Refusal) {
	t := &Token{Issuer: i.spec.Name, Origin: i.spec.Name, Claims: p.Claims, Digest: p.Digest}
	facts := &Facts{Claims: p.Claims, Header: p.Header}
	if ref := registered(t, i.spec.URL); ref != nil {
		return nil, ref
	}
	for _, step := range [...]func(*Token, *Facts, Presented) *Refusal{i.classify, i.checkClaims, i.mapClaims} {
		if ref := step(t, facts, p); ref != nil {
			return nil, ref
		}
	}
	return t, nil
}

// classify tells the class by the token itself, never by what the caller says it
// is (RFC 8725 section 3.11, explicit typing).
func (i *TrustedIssuer) classify(t *Token, facts *Facts, p Presented) *Refusal {
	class, ref := i.classOf(facts, p)
	if ref != nil {
		return ref
	}
	if !slices.Contains(i.spec.Classes, class.Presented()) {
		return deny(TokenClass, "issuer "+i.spec.Name+" may not present tokens of class "+string(class))
	}
	t.Class = class
	return nil
}

func (i *TrustedIssuer) classOf(facts *Facts, p Presented) (Class, *Refusal) {
	if _, logout := p.Claims["events"]; logout {
		return "", deny(TokenClass, "the token has events: it is a security event or logout token")
	}
	if p.Class != "" {
		return p.Class, nil
	}
	switch p.Type {
	case "at+jwt":
		return ClassAccessToken, nil
	case TypeHeaderExternal:
		// What another installation of this project makes for its upstream: us.
		return ClassJWT, nil
	case TypeHeaderIDJAG:
		return ClassIDJAG, nil
	case typeHeaderGrant:
		return ClassJWTBearer, nil
	case "", "jwt":
	case "jose":
		if i.spec.Kind != IssuerSPIFFE { // JWT-SVID, section 2.3
			return "", deny(TokenClass, "the token's typ is JOSE, which SVIDs alone may have")
		}
	default:
		return "", deny(TokenClass, "the token's typ is of another kind than those that this service knows")
	}
	access, ref := classifies(i.classifyAccess, facts, "classify.accessToken")
	if ref != nil {
		return "", ref
	}
	id, ref := classifies(i.classifyID, facts, "classify.idToken")
	switch {
	case ref != nil:
		return "", ref
	case access && id:
		return "", deny(TokenClass, "classify says both access token and ID token: its expressions must be exclusive")
	case access:
		return ClassAccessToken, nil
	case id || looksLikeIDToken(p.Claims):
		return ClassIDToken, nil
	}
	return ClassJWT, nil
}

func classifies(p Program, facts *Facts, field string) (bool, *Refusal) {
	if p == nil {
		return false, nil
	}
	v, err := p.Eval(facts)
	b, isBool := v.(bool)
	if err != nil || !isBool {
		return false, unable(TokenClass, field+" gives no boolean for this token")
	}
	return b, nil
}

func looksLikeIDToken(claims map[string]any) bool {
	_, scope := claims["scope"]
	_, scp := claims["scp"]
	if scope || scp {
		return false
	}
	for _, c := range [...]string{"nonce", "at_hash", "c_hash", "auth_time"} {
		if _, ok := claims[c]; ok {
			return true
		}
	}
	return false
}

func (i *TrustedIssuer) checkClaims(_ *Token, facts *Facts, p Presented) *Refusal {
	for n := range i.claimRules {
		r := &i.claimRules[n]
		if r.program == nil {
			if s, ok := p.Claims[r.claim].(string); !ok || s != r.required {
				return deny(IssuerRule, "claim "+r.claim+" has not the required value"+because(r.message))
			}
			continue
		}
		if ref := holds(&r.compiledRule, facts, IssuerRule, "claimValidationRules"); ref != nil {
			return ref
		}
	}
	return nil
}

func (i *TrustedIssuer) checkUser(t *Token) *Refusal {
	facts := &Facts{Subject: t}
	for n := range i.userRules {
		if ref := holds(&i.userRules[n], facts, UserRule, "userValidationRules"); ref != nil {
			return ref
		}
	}
	return nil
}

// holds evaluates one rule. False denies; an error is unable, and no less of a
// refusal: it never counts as true.
func holds(r *compiledRule, facts *Facts, reason Reason, field string) *Refusal {
	v, err := r.program.Eval(facts)
	if err != nil {
		return unable(reason, field+": "+shown(r.text)+" gives no answer for this request: "+err.Error())
	}
	b, ok := v.(bool)
	if !ok {
		return unable(reason, field+": "+shown(r.text)+" is not a boolean")
	}
	if !b {
		return deny(reason, field+": "+shown(r.text)+" is false"+because(r.message))
	}
	return nil
}

// maxShown is how much of an expression, which may have 4 KiB, a refusal repeats.
const maxShown = 256

// shown is the beginning of a long expression: enough to find it by.
func shown(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown], "") + "…"
}

func because(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

// hasControl says whether s has control characters, which no identity may have:
// they forge log lines and look-alikes.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0xfffd })
}
