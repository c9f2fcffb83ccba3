// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"crypto/sha256"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// VerifyOwn is Verify for a token that this token service itself has issued. Any other
// is refused without a look at its keys: nothing is fetched for it.
func (v *Verifier) VerifyOwn(svc *policy.TokenService, token string, now time.Time) (*policy.Token, *policy.Refusal) {
	limit := v.limits.TokenBytes
	if limit <= 0 {
		limit = jose.DefaultTokenBytes
	}
	if len(token) > limit {
		return nil, named(trust.Deny(policy.TokenMalformed, "the token is above its limit"))
	}
	key := trust.Key{Service: svc.Name(), Digest: sha256.Sum256([]byte(token))}
	if r, ok := v.cache.Get(&key, now); ok && r.ownKey != nil && v.stands(r, svc) {
		return r.token, nil
	}
	c, err := v.parser.Parse(token)
	if err != nil {
		return nil, named(trust.Malformed(err))
	}
	if iss, _ := c.UnverifiedIssuer(); iss != svc.Issuer() {
		return nil, named(trust.Deny(policy.IssuerUnknown, "the token is not one of this token service"))
	}
	r, ref := v.verifyOwn(svc, c, key.Digest)
	if ref != nil {
		return nil, named(ref)
	}
	if until := r.token.ExpiresAt.Add(maxSkew); now.Before(until) && v.seen.Before(&key) {
		v.cache.Put(key, r, trust.Cost(len(token)), until)
	}
	return r.token, nil
}
