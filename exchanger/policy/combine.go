// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// combine makes one grant of what one policy for each target allowed: scopes that
// every target they belong to grants, the least lifetime, claims that agree.
func (d *deciding) combine(chosen []*judging) (*Grant, *Refusal) {
	scopes, ref := d.commonScopes(chosen)
	if ref != nil {
		return nil, ref
	}
	claims, ref := commonClaims(chosen, scopes)
	if ref != nil {
		return nil, ref
	}
	confirmation, ref := confirmations(chosen)
	if ref != nil {
		return nil, ref
	}
	assertion, ref := d.samlGrant(chosen)
	if ref != nil {
		return nil, ref
	}
	opaque, ref := d.opaque()
	if ref != nil {
		return nil, ref
	}
	now := d.request.Now.UTC().Truncate(time.Second)
	g := &Grant{
		TokenService: d.service.spec.Name,
		Issuer:       d.service.spec.Issuer,
		Algorithm:    d.service.spec.Algorithm,
		Subject:      d.request.Subject,
		ClientID:     d.client.spec.ID,
		TokenType:    d.request.TokenType,
		IssuedAt:     now,
		Claims:       claims,
		Sealed:       d.request.Subject.seal(),
		Confirmation: confirmation,
		SAML:         assertion,
		Opaque:       opaque,
		Refresh:      d.renewal(chosen),
		TokenBytes:   d.service.spec.TokenBytes,
		Targets:      make([]TargetPolicy, len(chosen)),
	}
	left := chosen[0].left
	for i, j := range chosen {
		left = min(left, j.left)
		g.Targets[i] = TargetPolicy{Target: j.target.client.ID, Policy: j.policy.ref}
		g.Audiences = append(g.Audiences, j.target.names...)
	}
	// Whole seconds, rounded down: never past the subject token's end.
	g.ExpiresAt = d.request.Now.Add(left).UTC().Truncate(time.Second)
	for _, s := range scopes {
		g.Granted = append(g.Granted, s.text)
		if s.scope.spec.InToken {
			g.Scopes = append(g.Scopes, s.text)
		}
	}
	g.Sealed.Added = d.request.Subject.added(g.Scopes, d.targets[0].client.Namespace)
	if ref := d.tellOthers(g, chosen); ref != nil {
		return nil, ref
	}
	if f := d.request.Family; f != nil {
		g.Sealed.Lineage = append(g.Sealed.Lineage, f.link())
	}
	g.Sealed.Lineage = sealedFor(g.Sealed.Lineage, g.Subject.Subject)
	if ref := d.transact(g); ref != nil {
		return nil, ref
	}
	d.goOutside(g)
	return g, nil
}

// commonScopes keeps a scope only when every target that it belongs to grants it.
// Where that leaves out one which was asked for, a single policy that rejects
// excess decides: Reject comes before Narrow.
func (d *deciding) commonScopes(chosen []*judging) ([]askedScope, *Refusal) {
	var all, kept []askedScope
	if d.request.ScopesGiven {
		all = d.asked
	} else {
		for _, j := range chosen {
			for _, s := range j.granted {
				if !slices.ContainsFunc(all, func(o askedScope) bool { return o.text == s.text }) {
					all = append(all, s)
				}
			}
		}
	}
	rejecting := false
	for _, j := range chosen {
		rejecting = rejecting || !j.policy.spec.NarrowExcess
	}
	for _, s := range all {
		if grantedByAll(chosen, &s) {
			kept = append(kept, s)
			continue
		}
		if d.request.ScopesGiven && rejecting {
			return nil, combined(ScopeNotGranted, "scope "+s.scope.spec.Scope+" is not granted for every target that it belongs to")
		}
	}
	scopeless := !slices.ContainsFunc(chosen, func(j *judging) bool { return !j.scopeless() })
	if len(kept) == 0 && !scopeless {
		return nil, combined(ScopeNotGranted, "no scope is left for the targets together")
	}
	return kept, nil
}

func grantedByAll(chosen []*judging, s *askedScope) bool {
	for _, j := range chosen {
		if s.scope.belongsTo(j.target.client.ID) && !slices.ContainsFunc(j.granted, func(o askedScope) bool { return o.text == s.text }) {
			return false
		}
	}
	return true
}

// commonClaims gathers the claims; one given two different values refuses.
func commonClaims(chosen []*judging, scopes []askedScope) ([]GrantedClaim, *Refusal) {
	var out []GrantedClaim
	for _, j := range chosen {
		for i := range j.values {
			c := &j.values[i]
			if c.scope != nil && !slices.ContainsFunc(scopes, func(s askedScope) bool { return s.scope == c.scope }) {
				continue
			}
			at := slices.IndexFunc(out, func(o GrantedClaim) bool { return o.Name == c.Name })
			if at < 0 {
				out = append(out, c.GrantedClaim)
				continue
			}
			if !reflect.DeepEqual(out[at].Value, c.Value) {
				return nil, combined(ClaimConflict, "claim "+c.Name+" is given two different values")
			}
		}
	}
	slices.SortFunc(out, func(a, b GrantedClaim) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func combined(reason Reason, detail string) *Refusal {
	return &Refusal{Outcome: Denied, Reason: reason, Check: "combine", Detail: detail}
}
