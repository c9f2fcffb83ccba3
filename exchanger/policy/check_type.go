// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"
)

// maxHandover is how long a hand-over token lives: as long as it takes to open the
// other program.
const maxHandover = 60 * time.Second

func (j *judging) grantsType() *Refusal {
	t := j.request.TokenType
	if t == TypeRefreshToken {
		t = TypeAccessToken // which it goes with
	}
	switch {
	case !slices.Contains(j.policy.spec.TokenTypes, t):
		return deny(TokenTypeNotGranted, "token.types does not have "+string(t))
	case t == TypeJWT && j.target.client.Opaque:
		return deny(TokenTypeNotGranted, "tokens for "+j.target.client.ID+" are opaque (token.format): ask for an access token")
	case t == TypeHandover && (len(j.targets) != 1 || len(j.target.names) != 1 || j.target.names[0] != j.target.client.ID):
		return deny(TokenTypeNotGranted, "a hand-over token is for one client: audience must be its client ID, and nothing else")
	}
	for _, only := range [...]func() *Refusal{j.takesAssertions, j.makesIDJAG, j.refreshes} {
		if ref := only(); ref != nil {
			return ref
		}
	}
	return nil
}

// opaque says whether the token is a handle: all targets of one token take the same.
func (d *deciding) opaque() (bool, *Refusal) {
	if t := d.request.TokenType; t != TypeAccessToken && t != TypeRefreshToken {
		return false, nil
	}
	for i := range d.targets {
		if d.targets[i].client.Opaque != d.targets[0].client.Opaque {
			return false, combined(TokenTypeNotGranted, "some of the targets take opaque tokens and some do not (token.format): ask for them one by one")
		}
	}
	return d.targets[0].client.Opaque, nil
}

// enoughLifetime takes the least of what policy, target, token service and the
// subject token leave.
func (j *judging) enoughLifetime() *Refusal {
	l := j.lifetimes()
	r := j.request
	j.left = min(or(j.policy.spec.Lifetime, l.Default), or(j.target.client.Lifetime, l.Default), l.Max)
	switch {
	case r.Family != nil:
		// It ends with the tokens that were presented first, unless it is offline.
		j.left = min(j.left, r.Family.EndsAt.Sub(r.Now))
	case r.Actor != nil:
		j.left = min(j.left, r.Subject.ExpiresAt.Sub(r.Now), r.Actor.ExpiresAt.Sub(r.Now))
	default:
		j.left = min(j.left, r.Subject.ExpiresAt.Sub(r.Now))
	}
	if most := j.request.TokenType.longest(); most > 0 {
		j.left = min(j.left, most)
	}
	j.left = j.under.left(j.request.Now, j.left)
	if j.left < minRemaining {
		return deny(LifetimeTooShort, "less than 10 seconds would be left")
	}
	return nil
}

func or(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}
