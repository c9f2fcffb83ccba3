// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

func (d *deciding) subjectNotRevoked() *Refusal {
	t := d.request.Subject
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
	if before(first, d.issuer.spec.RevokeIssuedBefore) {
		return deny(TokenRevoked, "revokeIssuedBefore of TrustedIssuer "+d.issuer.spec.Name)
	}
	return nil
}

func before(iat, bound time.Time) bool { return !bound.IsZero() && iat.Before(bound) }
