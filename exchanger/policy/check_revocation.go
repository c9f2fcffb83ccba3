// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (d *deciding) subjectNotRevoked() *Refusal { return d.notRevoked(d.request.Subject, d.issuer) }

// notRevoked asks of a token, of the issuer of its first token and of what it came
// from.
func (d *deciding) notRevoked(t *Token, issuer *TrustedIssuer) *Refusal {
	first := t.IssuedAt
	if t.Issuer == SelfIssuer {
		first = t.OriginIssuedAt
	}
	if before(first, issuer.spec.RevokeIssuedBefore) {
		return deny(TokenRevoked, "revokeIssuedBefore of TrustedIssuer "+issuer.spec.Name)
	}
	return d.service.NotRevoked(t, d.request.Now)
}

// NotRevoked says whether a token, or one that it was derived from, was revoked by
// what is declared: a TokenRevocation, or revokeIssuedBefore of this token service, of
// the client that it was issued to or of the issuer that it came from.
func (t *TokenService) NotRevoked(tok *Token, now time.Time) *Refusal {
	own := tok.link()
	if ref := t.linkNotRevoked(tok, &own, true, now); ref != nil {
		return ref
	}
	for i := range tok.Lineage {
		if ref := t.linkNotRevoked(tok, &tok.Lineage[i], false, now); ref != nil {
			return ref
		}
	}
	return nil
}

// linkNotRevoked asks of one token of the chain that tok is the end of.
func (t *TokenService) linkNotRevoked(tok *Token, link *Ancestor, last bool, now time.Time) *Refusal {
	at := time.Unix(link.IssuedAt, 0)
	if link.IssuedAt == 0 {
		at = tok.OriginIssuedAt // the earliest that it can be
	}
	if link.Issuer != SelfIssuer {
		if i, ok := t.issuers[link.Issuer]; ok && before(at, i.spec.RevokeIssuedBefore) {
			return deny(TokenRevoked, "revokeIssuedBefore of TrustedIssuer "+i.spec.Name)
		}
	} else {
		if before(at, t.spec.RevokeIssuedBefore) {
			return deny(TokenRevoked, "revokeIssuedBefore of TokenService "+t.spec.Name)
		}
		if c, ok := t.clients[link.ClientID]; ok && before(at, c.spec.RevokeIssuedBefore) {
			return deny(TokenRevoked, "revokeIssuedBefore of ExchangeClient "+c.spec.ID)
		}
	}
	if t.revocations == nil {
		return nil
	}
	return t.declared(tok, link, last, at, now)
}

// declared asks the TokenRevocations.
func (t *TokenService) declared(tok *Token, link *Ancestor, last bool, at, now time.Time) *Refusal {
	client := link.ClientID
	if i, ok := t.issuers[link.Issuer]; ok {
		client = i.aliases[client] // what an issuer calls its clients is not what we do
	}
	subjects := t.subjectsOf(tok, link, last)
	meant := func(r *Revocation) bool {
		return now.Before(r.ExpiresAt) &&
			(r.TokenID == "" || r.TokenID == link.TokenID && r.issuerOfToken() == link.Issuer) &&
			(r.Issuer == "" || r.Issuer == link.Issuer) &&
			(r.Client == "" || r.Client == client) &&
			(r.Subject == "" || slices.Contains(subjects, r.Subject)) &&
			(r.IssuedBefore.IsZero() || at.Before(r.IssuedBefore))
	}
	lists := [...][]*Revocation{t.revocations.byToken[tokenKey{link.Issuer, link.TokenID}], t.revocations.byClient[client]}
	for _, list := range lists {
		if ref := revokedBy(list, meant); ref != nil {
			return ref
		}
	}
	for _, s := range subjects {
		if ref := revokedBy(t.revocations.bySubject[s], meant); ref != nil {
			return ref
		}
	}
	return nil
}

func revokedBy(list []*Revocation, meant func(*Revocation) bool) *Refusal {
	for _, r := range list {
		if meant(r) {
			return deny(TokenRevoked, "TokenRevocation "+r.Name)
		}
	}
	return nil
}

// subjectsOf are the parties that one token of a chain is about: whom it names, and,
// of the token at its end, everybody who acts in it or impersonates. Those who came
// into the chain inside of somebody else's token, and have none of their own in it,
// count for every token of it: it is not known in which of them they were first.
func (t *TokenService) subjectsOf(tok *Token, link *Ancestor, last bool) []string {
	subjects := []string{link.Subject}
	add := func(s string) {
		if s == "" || slices.Contains(subjects, s) {
			return
		}
		if !last && slices.ContainsFunc(tok.Lineage, func(a Ancestor) bool { return a.Subject == s }) {
			return
		}
		subjects = append(subjects, s)
	}
	actors, ref := tok.chain()
	if ref != nil {
		actors = tok.Actors // the check of actors refuses it; here nobody must be missed
	}
	for i := range actors {
		add(t.subjectOf(&actors[i]))
	}
	if tok.By != nil {
		add(t.subjectOf(tok.By))
	}
	return subjects
}

// subjectOf is a party as revocations name it: as it was mapped, or, where nobody
// verified it here, as its issuer's prefix and its sub.
func (t *TokenService) subjectOf(a *Actor) string {
	if a.Subject != "" {
		return a.Subject
	}
	if list := t.byURL[a.RawIssuer]; len(list) > 0 {
		return list[0].spec.Prefix + a.RawSubject
	}
	return ""
}

// issuerOfToken is whose token tokenID is.
func (r *Revocation) issuerOfToken() string {
	if r.Issuer == "" {
		return SelfIssuer
	}
	return r.Issuer
}

type tokenKey struct{ issuer, id string }

// revocations are a token service's, each under the one member that fewest tokens
// have.
type revocations struct {
	byToken   map[tokenKey][]*Revocation
	bySubject map[string][]*Revocation
	byClient  map[string][]*Revocation
}

func (c *compilation) revocations(spec *Spec) error {
	for i := range spec.Revocations {
		r := &spec.Revocations[i]
		svc, err := c.service(r.TokenService, "token revocation", r.Name)
		if err != nil {
			return err
		}
		if svc.revocations == nil {
			svc.revocations = &revocations{map[tokenKey][]*Revocation{}, map[string][]*Revocation{}, map[string][]*Revocation{}}
		}
		all := svc.revocations
		switch {
		case r.TokenID != "":
			key := tokenKey{r.issuerOfToken(), r.TokenID}
			all.byToken[key] = append(all.byToken[key], r)
		case r.Subject != "":
			all.bySubject[r.Subject] = append(all.bySubject[r.Subject], r)
		case r.Client != "":
			all.byClient[r.Client] = append(all.byClient[r.Client], r)
		default:
			return fmt.Errorf("token revocation %s: it names no token, no subject and no client", r.Name)
		}
	}
	for _, svc := range c.snapshot.services {
		if svc.revocations != nil {
			svc.revocations.sort()
		}
	}
	return nil
}

// sort makes the same revocation be named, of several that fit.
func (r *revocations) sort() {
	byName := func(a, b *Revocation) int { return strings.Compare(a.Name, b.Name) }
	for _, list := range r.byToken {
		slices.SortFunc(list, byName)
	}
	for _, list := range r.bySubject {
		slices.SortFunc(list, byName)
	}
	for _, list := range r.byClient {
		slices.SortFunc(list, byName)
	}
}

func before(iat, bound time.Time) bool { return !bound.IsZero() && iat.Before(bound) }
