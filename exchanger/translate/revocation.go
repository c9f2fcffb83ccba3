// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

type revocation struct {
	*object
	api  *v1alpha1.TokenRevocation
	spec policy.Revocation
}

func (w *world) translateRevocations() {
	for _, r := range w.revocations {
		if r.absent == "" {
			w.guard(r.object, func() { w.translateRevocation(r) })
		}
	}
}

func (w *world) translateRevocation(r *revocation) {
	in := &r.api.Spec
	r.spec = policy.Revocation{
		Name: r.name, Issuer: in.Issuer, TokenID: in.TokenID, Subject: in.Subject, Client: in.Client,
		IssuedBefore: r.moment("spec.issuedBefore", in.IssuedBefore), ExpiresAt: r.moment("spec.expiresAt", in.ExpiresAt),
	}
	r.text("spec.issuer", in.Issuer, 0, v1alpha1.MaxNameLength)
	r.text("spec.tokenID", in.TokenID, 0, 512)
	r.text("spec.subject", in.Subject, 0, 512)
	r.text("spec.client", in.Client, 0, 253)
	switch {
	case in.Subject == "" && in.Client == "" && in.TokenID == "":
		r.invalid("spec", "expected at least one of subject, client and tokenID")
	case in.IssuedBefore == "" && (in.Subject != "" || in.Client != ""):
		r.invalid("spec.issuedBefore", "expected a time: without it, tokens that are issued from now on would be refused, too")
	}
	if in.ExpiresAt == "" {
		r.invalid("spec.expiresAt", "expected a time")
	}
	s := w.serviceOf(r.object, in.TokenServiceRef)
	if s == nil || !r.valid() {
		return
	}
	r.spec.TokenService = s.name
	w.revocationLasts(r, s)
	w.revocationNames(r, s)
}

// revocationLasts compares when it ends with how long what it revokes can be of use:
// after that, what is left of it would be good again.
func (w *world) revocationLasts(r *revocation, s *service) {
	end, from := r.spec.ExpiresAt, r.spec.IssuedBefore
	if from.IsZero() {
		from = r.api.CreationTimestamp.UTC()
	}
	longest := max(s.spec.MaxLifetime, s.spec.IDToken.Max, s.spec.SAML2.Max)
	switch {
	case !end.After(w.in.Now):
		r.problem(v1alpha1.ReasonExpired, "spec.expiresAt", "it is over since %s: nothing is revoked by it; delete it", end.Format(time.RFC3339))
		return
	case from.After(w.in.Now):
		r.warn("spec.issuedBefore lies ahead: tokens that are issued until then are refused, too")
	}
	if from.IsZero() || from.Equal(time.Unix(0, 0)) {
		return // a single token, and nobody knows since when it was meant
	}
	if end.Before(from.Add(longest)) {
		r.invalid("spec.expiresAt", "expected %s or later: tokens of TokenService %s live up to %s, and what is left of them would be good again",
			from.Add(longest).Format(time.RFC3339), s.name, short(longest))
		return
	}
	for _, i := range w.issuers {
		if i.inForce() && i.service == s && (r.spec.Issuer == "" || r.spec.Issuer == i.name) && end.Before(from.Add(i.spec.MaxTokenAge)) {
			r.warn("spec.expiresAt: TrustedIssuer %s takes tokens that are up to %s old; those of before are good again when this ends", i.name, short(i.spec.MaxTokenAge))
		}
	}
	if family := max(s.spec.RefreshMax, s.spec.OfflineMax); w.anyRefresh(s) && end.Before(from.Add(family)) {
		r.warn("spec.expiresAt: refresh tokens of TokenService %s live up to %s; those that nobody used meanwhile are good again when this ends", s.name, short(family))
	}
}

// anyRefresh says whether some policy gives refresh tokens.
func (w *world) anyRefresh(s *service) bool {
	for _, p := range w.policies {
		if p.inForce() && p.service == s && p.spec.Refresh != policy.RefreshNone {
			return true
		}
	}
	return false
}

// revocationNames notes what it names and nobody has. It is in force all the same:
// what is declared lost stays so while its issuer or its client is away.
func (w *world) revocationNames(r *revocation, s *service) {
	if name := r.spec.Issuer; name != "" {
		if i, ok := w.issuerByName[name]; !ok || i.service != s {
			r.miss(kindIssuer, name)
		}
	}
	if id := r.spec.Client; id != "" {
		if c, ok := w.holders[[2]string{s.name, id}]; !ok || c.clientID != id {
			r.miss(kindClient, id)
		}
	}
}
