// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"
)

func (j *judging) grantsType() *Refusal {
	if slices.Contains(j.policy.spec.TokenTypes, j.request.TokenType) {
		return j.takesAssertions()
	}
	if t := j.request.TokenType; t != TypeAccessToken && t != TypeJWT && t != TypeSAML2 {
		return deny(TokenTypeNotGranted, "tokens of type "+string(t)+" are not served yet")
	}
	return deny(TokenTypeNotGranted, "token.types does not have "+string(j.request.TokenType))
}

// enoughLifetime takes the least of what policy, target, token service and the
// subject token leave.
func (j *judging) enoughLifetime() *Refusal {
	l := j.lifetimes()
	j.left = min(or(j.policy.spec.Lifetime, l.Default), or(j.target.client.Lifetime, l.Default), l.Max,
		j.request.Subject.ExpiresAt.Sub(j.request.Now))
	if a := j.request.Actor; a != nil {
		j.left = min(j.left, a.ExpiresAt.Sub(j.request.Now))
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
