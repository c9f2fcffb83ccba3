// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

// Ancestor is a token that another was derived from, oldest first in a lineage: what
// has to be known of it for its revocation to reach what came of it.
type Ancestor struct {
	// Issuer is a TrustedIssuer's name, or "self".
	Issuer string `json:"i"`
	// TokenID is empty where the token had none.
	TokenID string `json:"j,omitempty"`
	// ClientID is whom it was issued to, as its issuer calls them.
	ClientID string `json:"c,omitempty"`
	// IssuedAt is its iat, in seconds.
	IssuedAt int64 `json:"t,omitempty"`
	// Subject is the mapped subject. Where it is sealed it is left out when it is that
	// of the token that carries it.
	Subject string `json:"s,omitempty"`
}

// link is t as an ancestor.
func (t *Token) link() Ancestor {
	a := Ancestor{Issuer: t.Issuer, TokenID: t.TokenID, ClientID: t.ClientID, Subject: t.Subject}
	if !t.IssuedAt.IsZero() {
		a.IssuedAt = t.IssuedAt.Unix()
	}
	return a
}

// lineage is that of a token derived from t.
func (t *Token) lineage() []Ancestor {
	out := make([]Ancestor, 0, len(t.Lineage)+1)
	return append(append(out, t.Lineage...), t.link())
}

// sealedFor leaves out what a token about subject says anyway.
func sealedFor(lineage []Ancestor, subject string) []Ancestor {
	for i := range lineage {
		if lineage[i].Subject == subject {
			lineage[i].Subject = ""
		}
	}
	return lineage
}

// unsealed puts back what sealedFor left out.
func unsealed(lineage []Ancestor, subject string) []Ancestor {
	for i := range lineage {
		if lineage[i].Subject == "" {
			lineage[i].Subject = subject
		}
	}
	return lineage
}
