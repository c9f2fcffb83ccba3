// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// readActor reads an actor token as an example of its own: what was given to the same
// client, at the same time.
func (x *example) readActor(a *v1alpha1.ExampleActor, origins func() []string) error {
	if a == nil {
		return nil
	}
	if !isSubdomain(a.Issuer) || len(a.Issuer) > v1alpha1.MaxNameLength {
		return errors.New("given.actor.issuer: expected the name of a TrustedIssuer, or self")
	}
	claims, err := exampleClaims(a.Claims.Raw)
	if err != nil {
		return fmt.Errorf("given.actor.claims: %w", err)
	}
	actor := &example{
		given: &v1alpha1.ExampleRequest{Client: x.given.Client, Issuer: a.Issuer}, claims: claims, class: policy.ClassAccessToken, now: x.now,
	}
	if a.Issuer == policy.SelfIssuer {
		// Where the policies leave it open, its chain began where the subject's did.
		actor.origin = x.given.Issuer
		if list := origins(); len(list) == 1 {
			actor.origin = list[0]
		} else if x.origin != "" {
			actor.origin = x.origin
		}
	}
	x.actor = actor
	return nil
}

// form refuses what the endpoint refuses before it looks at anything else.
func (x *example) form() *policy.Refusal {
	var detail string
	switch g := x.given; {
	case g.RequestedSubject != "" && g.Actor != nil:
		detail = "requested_subject and actor_token: each says who impersonates; send one of them"
	case g.Reason != "" && g.RequestedSubject == "" && g.Actor == nil:
		detail = "reason belongs to impersonation: to requested_subject, or to an actor_token"
	default:
		return nil
	}
	return &policy.Refusal{Outcome: policy.Denied, Reason: policy.FormInvalid, Check: "form", Detail: detail}
}

// identifyActor makes the actor token's facts out of the given claims.
func (x *example) identifyActor(svc *policy.TokenService) (*policy.Token, *policy.Refusal) {
	if x.actor == nil {
		return nil, nil //nolint:nilnil // no actor token
	}
	t, ref := x.actor.identify(svc)
	if ref != nil && ref.Reason == policy.SubjectAudience {
		ref.Reason = policy.ActorAudience
	}
	return t, ref
}

// presentedAs is how a token of a class is presented.
func presentedAs(c policy.Class) policy.PresentedAs {
	switch c {
	case policy.ClassAccessToken:
	case policy.ClassJWTBearer, policy.ClassIDJAG:
		return policy.AsAssertion
	case policy.ClassTransaction:
		return policy.AsTransaction
	case policy.ClassSAML2:
		return policy.AsSAML2
	case policy.ClassHandover:
		return policy.AsHandover
	case policy.ClassIDToken:
		return policy.AsIDToken
	case policy.ClassJWT:
		return policy.AsJWT
	case policy.ClassOpaque, policy.ClassRefreshToken:
		return policy.AsOpaque
	}
	return policy.AsAccessToken
}

// sealOthers seals what our own token says of others, as it would have been: actors of
// act by the TrustedIssuer whose url their iss is, with username, groups and extra
// beside them as facts, and impersonator in the same way.
func (x *example) sealOthers(svc *policy.TokenService, facts map[string]any) {
	var actors []any
	act, ok := x.claims["act"].(map[string]any)
	for ok && len(actors) < maxClaimLevels {
		actors = append(actors, sealedActor(svc, act))
		act, ok = act["act"].(map[string]any)
	}
	if len(actors) > 0 {
		facts["x"] = actors
	}
	if by, ok := x.claims["impersonator"].(map[string]any); ok {
		facts["b"], facts["v"] = sealedActor(svc, by), by["grant"]
	}
}

// sealedActor moves the facts of an actor into what is sealed of it.
func sealedActor(svc *policy.TokenService, said map[string]any) map[string]any {
	out := map[string]any{"r": said["iss"], "s": said["sub"], "c": said["client_id"], "g": said["groups"]}
	for claim, member := range map[string]string{"username": "u", "extra": "e"} {
		if v, present := said[claim]; present {
			out[member] = v
		}
	}
	for _, claim := range []string{"username", "groups", "extra"} {
		delete(said, claim)
	}
	url, _ := said["iss"].(string)
	sub, _ := said["sub"].(string)
	if found := svc.IssuersByURL(url); len(found) > 0 {
		i := found[0].Spec()
		out["i"], out["o"], out["m"] = i.Name, i.Name, i.Prefix+strings.TrimPrefix(sub, i.Prefix)
	}
	return out
}

// actorOrigins are the origins that policies admit for actors of our own.
func actorOrigins(p *v1alpha1.PolicyActor) []string {
	var out []string
	for _, i := range p.Issuers {
		if i.Self {
			out = append(out, i.Origins...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
