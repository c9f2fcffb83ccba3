// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

func (d *deciding) subjectNotRevoked() *Refusal { return d.notRevoked(d.request.Subject, d.issuer) }

// notRevoked asks of a token, of the issuer of its first token and of what it came
// from.
func (d *deciding) notRevoked(t *Token, issuer *TrustedIssuer) *Refusal {
	first := t.IssuedAt
	if t.Issuer == SelfIssuer {
		first = t.OriginIssuedAt
		if before(t.IssuedAt, d.service.spec.RevokeIssuedBefore) {
			return deny(TokenRevoked, "revokeIssuedBefore of TokenService "+d.service.spec.Name)
		}
		if c, ok := d.service.clients[t.ClientID]; ok && before(t.IssuedAt, c.spec.RevokeIssuedBefore) {
			return deny(TokenRevoked, "revokeIssuedBefore of ExchangeClient "+c.spec.ID)
		}
	}
	if before(first, issuer.spec.RevokeIssuedBefore) {
		return deny(TokenRevoked, "revokeIssuedBefore of TrustedIssuer "+issuer.spec.Name)
	}
	return nil
}

func before(iat, bound time.Time) bool { return !bound.IsZero() && iat.Before(bound) }
