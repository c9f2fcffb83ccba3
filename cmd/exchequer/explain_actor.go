// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// parseActor reads --actor: claims beside claims, a token beside a token. What is
// known of the one is not known of the other.
func (x *explainer) parseActor(stdin io.Reader) error {
	if x.token != "" {
		if x.actorIssuer != "" {
			return usage("--actor-issuer goes with claims: beside --subject-token, --actor is a token, whose iss tells")
		}
		var err error
		x.actorToken, err = readToken(stdin, x.actor, "--actor")
		if err == nil && bytes.ContainsAny([]byte(x.actorToken), "{: \n") {
			return usage("--actor: expected a token, as --subject-token is one; give both as claims, or both as tokens")
		}
		return err
	}
	if x.actorIssuer == "" {
		return usage("--actor-issuer is missing: whose claims --actor has, a TrustedIssuer's name or self")
	}
	var err error
	x.actorClaims, err = readObject(stdin, x.actor, "--actor")
	return err
}

// decideActor reads the actor token as the subject's was read; nil where none is given.
func (x *explainer) decideActor() (*policy.Token, *policy.Refusal, error) {
	if x.actorToken == "" {
		return nil, nil, nil
	}
	subject := x.report.Subject
	x.report.Subject = nil
	t, ref, err := x.identify(x.actorToken)
	if t != nil {
		x.report.Actor = subjectOf(t)
		x.report.Actor.Signature = x.report.signature()
	}
	x.report.Subject = subject
	if ref != nil {
		ref.Check = checkActorToken
	}
	return t, ref, err
}

// presentedAs is how an actor token of a class is presented.
func presentedAs(c policy.Class) policy.PresentedAs {
	switch c { //nolint:exhaustive // --actor takes JWTs and assertions
	case policy.ClassIDToken:
		return policy.AsIDToken
	case policy.ClassJWT:
		return policy.AsJWT
	case policy.ClassSAML2:
		return policy.AsSAML2
	}
	return policy.AsAccessToken
}
