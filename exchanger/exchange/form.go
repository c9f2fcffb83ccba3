// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"crypto/sha256"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func (x *exchange) form(context.Context) *policy.Refusal {
	p, ref := oauth.ParseForm(x.call.Body)
	if ref != nil {
		return ref
	}
	x.params = p
	r := &x.record
	r.Grant, r.Audiences, r.Resources, r.ScopeAsked, r.TokenType = p.GrantType, p.Audiences, p.Resources, p.Scopes, p.TokenType
	return nil
}

// presented notes the digest of every token that came in; never the token.
func (x *exchange) presented() {
	p := x.params
	if p == nil {
		return
	}
	in := make([][sha256.Size]byte, 0, 3)
	switch {
	case x.subject != nil:
		in = append(in, x.subject.Digest)
	case p.RefreshToken != "":
		in = append(in, sha256.Sum256([]byte(p.RefreshToken)))
	case p.SubjectToken != "":
		in = append(in, sha256.Sum256([]byte(p.SubjectToken)))
	}
	if p.ActorToken != "" {
		in = append(in, sha256.Sum256([]byte(p.ActorToken)))
	}
	switch {
	case x.assertion != [sha256.Size]byte{}:
		in = append(in, x.assertion)
	case p.ClientAssertion != "":
		in = append(in, sha256.Sum256([]byte(p.ClientAssertion)))
	}
	x.record.TokensIn = in
}
