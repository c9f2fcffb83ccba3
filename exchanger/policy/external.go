// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxAssertionForOthers bounds what is minted for another server to redeem at once:
// it is on its way for as long as one question takes, and clocks differ.
const maxAssertionForOthers = 60 * time.Second

// The typ of an assertion for another server (RFC 8725 section 3.11), so that it is
// good for nothing else, neither there nor here.
const (
	// TypeHeaderExternal is what a token exchange or a webhook elsewhere gets.
	TypeHeaderExternal = "external-assertion+jwt"
	// typeHeaderClient is a federated client assertion (draft-ietf-oauth-rfc7523bis).
	typeHeaderClient = "client-authentication+jwt"
)

// externalPrefix begins the IDs of external targets among those of clients: no
// namespace has capitals in its name.
const externalPrefix = "ExternalTarget/"

// Assertion is what is minted for another server, in the place of the caller's token.
type Assertion struct {
	// Type is the typ of its header.
	Type string
	// Subject is its sub: the subject, or the asking client where the server federates
	// workloads.
	Subject string
	// Audience is its aud, one value.
	Audience string
}

// Digest identifies everything that the external target says, and its generation.
func (e *External) Digest() string { return digestOf(e) }

// externals makes targets of the external ones: each is its own policy, for itself
// alone.
func (c *compilation) externals(spec *Spec) error {
	for i := range spec.Externals {
		s := &spec.Externals[i]
		svc, err := c.service(s.TokenService, "external target", s.Name)
		if err != nil {
			return err
		}
		p := s.policy()
		g := &grantPolicy{spec: p, ref: ExternalRef(s.Name)}
		for _, r := range [...]struct {
			to   *[]compiledRule
			from []Rule
		}{{&g.subjectRules, s.SubjectRules}, {&g.actorRules, s.Actor.Rules}, {&g.rules, s.Rules}} {
			if *r.to, err = c.rules(EnvPolicy, r.from); err != nil {
				return fmt.Errorf("external target %s: %w", s.Name, err)
			}
		}
		id := ExternalRef(s.Name)
		tg := &target{client: &Client{ID: id, Name: s.Name, TokenService: s.TokenService}, party: &Party{ID: id, Name: s.Name}, external: s}
		for _, a := range s.Audiences {
			if other, dup := svc.byAudience[a]; dup {
				return fmt.Errorf("external target %s: audience %q is %s's already", s.Name, a, other.client.ID)
			}
			svc.byAudience[a] = tg
		}
		if s.Kind == ExternalLinkedToken {
			if svc.linked == nil {
				svc.linked = map[string][]string{}
			}
			svc.linked[s.Provider] = append(svc.linked[s.Provider], s.Audiences[:min(1, len(s.Audiences))]...)
		}
		for _, client := range s.Clients {
			key := pair{id, client}
			if !slices.Contains(svc.byPair[key], g) {
				svc.byPair[key] = append(svc.byPair[key], g)
			}
		}
	}
	return nil
}

// policy is the external target as a policy. Scopes are the other server's, so that
// none of ours can be granted.
func (e *External) policy() *Policy {
	types := []TokenType{TypeAccessToken}
	switch e.Kind {
	case ExternalIDJAG:
		types = []TokenType{TypeIDJAG}
	case ExternalTokenExchange:
		types = append(types, TypeJWT)
	case ExternalJWTBearer, ExternalClientCredentials, ExternalLinkedToken, ExternalWebhook:
	}
	return &Policy{
		Name: e.Name, TokenService: e.TokenService, Clients: e.Clients, SubjectIssuers: e.SubjectIssuers, SelfOrigins: e.SelfOrigins,
		SubjectClasses: e.SubjectClasses, SubjectAudience: e.SubjectAudience, SubjectRules: e.SubjectRules, Actor: e.Actor,
		Targets: []string{ExternalRef(e.Name)}, DefaultScopesSet: true, TokenTypes: types, Lifetime: e.Lifetime, Rules: e.Rules,
	}
}

// external is the external target that is asked for, nil for those of ours.
func (d *deciding) external() *External {
	if len(d.targets) == 0 {
		return nil
	}
	return d.targets[0].external
}

// forgetsActors says whether the other server is shown the subject token and nothing
// else: the grant of RFC 7523 has one assertion, and no room for an actor token.
func (e *External) forgetsActors() bool {
	return e != nil && e.Forward && e.Kind == ExternalJWTBearer
}

// externalAlone keeps an external target from being asked for beside anything else:
// one token is another server's, or ours.
func (d *deciding) externalAlone() *Refusal {
	named := slices.ContainsFunc(d.targets, func(t askedTarget) bool { return t.external != nil })
	if named && len(d.targets) > 1 {
		return deny(TargetsMixed, "an external target is asked for alone")
	}
	return nil
}

// externalScopes holds the scopes that are asked for against those that may be asked
// of the other server, in its own words.
func (j *judging) externalScopes() *Refusal {
	for _, s := range j.request.Scopes {
		if !slices.Contains(j.target.external.Scopes, s) {
			return deny(ScopeNotGranted, "scopes of ExternalTarget "+j.target.external.Name+" does not have "+clipped(s))
		}
	}
	return nil
}

// externalUnbound refuses what would unbind a token: another server's cannot be bound
// to the key of our caller, who proves it here and not there.
func (j *judging) externalUnbound() *Refusal {
	c, ref := j.confirmation()
	switch {
	case ref != nil:
		return ref
	case c != (Confirmation{}):
		return deny(SubjectBinding, "a token that is bound to a key cannot become one of another server's, which is not; a DPoP proof asks for what it cannot give")
	}
	return nil
}

// goOutside writes into the grant what another server is to be asked, and what it is
// shown. An ID-JAG is the token itself, and nobody is asked.
func (d *deciding) goOutside(g *Grant) {
	e := d.external()
	if e == nil {
		return
	}
	g.External = e
	g.Granted = slices.Clone(d.request.Scopes)
	g.Scopes = g.Granted
	if e.Kind == ExternalIDJAG {
		g.IDJAG = d.idJAG(e)
		return
	}
	if e.Kind == ExternalLinkedToken || e.Forward {
		return
	}
	a := &Assertion{Type: TypeHeaderExternal, Subject: g.Subject.Subject}
	switch e.Kind { //nolint:exhaustive // the others are shown nothing
	case ExternalJWTBearer:
		a.Type = typeHeaderGrant
		a.Audience = e.UpstreamAudience
	case ExternalClientCredentials:
		a.Type, a.Subject = typeHeaderClient, g.ClientID
		a.Audience = e.UpstreamAudience
	default:
	}
	if a.Audience == "" && e.Remote != nil {
		a.Audience = e.Remote.URL
	}
	g.Assertion = a
	if end := g.IssuedAt.Add(maxAssertionForOthers); g.ExpiresAt.After(end) {
		g.ExpiresAt = end
	}
}

// LinkedAudiences are names of the external targets that hand out users' tokens of a
// provider, one for each, in the order of the targets' names.
func (t *TokenService) LinkedAudiences(provider string) []string { return t.linked[provider] }

// ExternalRef is what decisions and records call an external target.
func ExternalRef(name string) string { return externalPrefix + name }

// IsExternal says whether a policy's or target's reference is that of an
// ExternalTarget, and its name.
func IsExternal(ref string) (name string, ok bool) { return strings.CutPrefix(ref, externalPrefix) }
