// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Ask is which of a token service's endpoints a call is for.
type Ask string

// The endpoints; the zero value is the token endpoint. Records of the others have
// these words in the place of a grant.
const (
	AskToken         Ask = ""
	AskIntrospection Ask = "introspection"
	AskRevocation    Ask = "revocation"
)

// ParseInquiry reads the body of an introspection request (RFC 7662 section 2.1) or of
// a revocation request (RFC 7009 section 2.1). The token stands in SubjectToken, as it
// came: what is no token is answered like one that is not known. The hint about its
// type is not needed.
func ParseInquiry(body []byte) (*Params, *policy.Refusal) {
	var space [maxPairs]pair
	pairs, ref := split(body, space[:0])
	if ref != nil {
		return nil, ref
	}
	p, hint := &Params{}, ""
	fields := map[string]*string{
		"token": &p.SubjectToken, "token_type_hint": &hint, "client_id": &p.ClientID, "client_secret": &p.ClientSecret,
		"client_assertion_type": &p.ClientAssertionType, "client_assertion": &p.ClientAssertion,
	}
	seen := make(map[string]bool, len(pairs))
	for _, kv := range pairs {
		if seen[kv.name] {
			return nil, invalid("a parameter is given twice")
		}
		seen[kv.name] = true
		if into := fields[kv.name]; into != nil {
			*into = kv.value
		}
	}
	switch {
	case p.SubjectToken == "":
		return nil, invalid("token is missing")
	case len(p.ClientID) > maxClientID:
		return nil, refuse(policy.ClientUnknown, "client_id is longer than any client's")
	}
	return p, nil
}

// Inactive is the one answer about a token that is not known, not good, or none of the
// caller's business (RFC 7662 section 2.2): nothing else is said of it.
func Inactive() []byte { return []byte(`{"active":false}`) }

// sealedClaim is what only this installation can read, and nobody needs to see.
const sealedClaim = "xqr"

// Active is the answer about a token that is good: its claims, act, may_act and cnf
// among them (RFC 8693 section 4.1 and 4.4, RFC 9449 section 6.2, RFC 8705 section
// 3.2), and how it is presented.
func Active(t *policy.Token) []byte {
	doc := make(map[string]any, len(t.Claims)+2)
	for name, v := range t.Claims {
		if name != sealedClaim {
			doc[name] = v
		}
	}
	doc["active"], doc["token_type"] = true, TokenTypeBearer
	switch {
	case t.Class == policy.ClassTransaction:
		doc["token_type"] = TokenTypeNA
	case t.Confirmation.JKT != "":
		doc["token_type"] = TokenTypeDPoP
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return Inactive() // claims came from JSON, and go back into it
	}
	return b
}
