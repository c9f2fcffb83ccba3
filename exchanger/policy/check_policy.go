// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"time"
)

// judging is one policy being asked about one target.
type judging struct {
	*deciding
	policy *grantPolicy
	target *askedTarget
	facts  Facts

	refusal  *Refusal
	failedAt int

	// before are the actors of the subject token, outermost first; under is the
	// ImpersonationGrant that counts, nil for none.
	before []Actor
	under  *under
	// granted are the scopes of this target that this policy grants; narrowed
	// says that it leaves out some that were asked for.
	granted  []askedScope
	narrowed bool
	left     time.Duration
	values   []scopedClaim
	// attributes are what the target wants to know in an assertion.
	attributes []GrantedClaim
}

// scopedClaim is a claim's value and the scope that brings it, nil for the
// policy's own.
type scopedClaim struct {
	GrantedClaim
	scope *grantScope
}

func (j *judging) namesIssuer() *Refusal {
	t, p := j.request.Subject, j.policy.spec
	if t.Issuer == SelfIssuer {
		if slices.Contains(p.SelfOrigins, t.Origin) {
			return nil
		}
		return deny(SubjectIssuer, "subject.issuers has no {self: true} with origin "+t.Origin)
	}
	if slices.Contains(p.SubjectIssuers, t.Issuer) {
		return nil
	}
	return deny(SubjectIssuer, "subject.issuers does not name "+t.Issuer)
}

func (j *judging) acceptsClass() *Refusal {
	if slices.Contains(j.policy.spec.SubjectClasses, j.request.Subject.Class) {
		return nil
	}
	return deny(SubjectTokenType, "subject.tokenTypes does not have "+string(j.request.Subject.Class))
}

// meantForClient asks whom the subject token was for, so that a token which
// leaked to one service is worth nothing at another.
func (j *judging) meantForClient() *Refusal {
	return j.addressed(j.request.Subject, j.deciding.issuer, &j.policy.spec.SubjectAudience, "subject.audience", SubjectAudience)
}

// addressed holds whom a token of an issuer was for against a rule.
func (j *judging) addressed(t *Token, issuer *TrustedIssuer, rule *AudienceRule, field string, reason Reason) *Refusal {
	switch rule.Match {
	case AudienceClient:
		if j.addressedToClient(t, issuer) {
			return nil
		}
		return deny(reason, field+" Client: the token is neither for "+j.client.spec.ID+" nor was it issued to it")
	case AudienceIssuer:
		if j.request.Grant == GrantJWTBearer && t == j.request.Subject {
			// An assertion is for this token service, or would not have come this far.
			return nil
		}
		if t.Issuer != SelfIssuer && slices.ContainsFunc(t.Audiences, func(a string) bool { return slices.Contains(issuer.spec.Audiences, a) }) {
			return nil
		}
		return deny(reason, field+" Issuer: aud has none of the audiences of TrustedIssuer "+issuer.spec.Name)
	case AudienceAnyOf:
		if !slices.ContainsFunc(t.Audiences, func(a string) bool { return slices.Contains(rule.AnyOf, a) }) {
			return deny(reason, field+" AnyOf: aud has none of anyOf")
		}
		if len(rule.AuthorizedParties) > 0 && !slices.Contains(rule.AuthorizedParties, t.ClientID) {
			return deny(reason, field+" AnyOf: azp or client_id is none of authorizedParties")
		}
		return nil
	}
	return deny(reason, field+" has no rule that this build knows")
}

func (j *judging) addressedToClient(t *Token, issuer *TrustedIssuer) bool {
	c := j.client.spec
	if j.ownCredential(t) || t.ClientID == c.ID || slices.Contains(t.Audiences, c.ID) {
		return true
	}
	if t.Issuer == SelfIssuer {
		return slices.ContainsFunc(t.Audiences, func(a string) bool {
			return slices.Contains(c.Audiences, a) || slices.Contains(c.Resources, a) || c.SAML != nil && a == c.SAML.EntityID
		})
	}
	aliases := issuer.aliases
	return aliases[t.ClientID] == c.ID || slices.ContainsFunc(t.Audiences, func(a string) bool { return aliases[a] == c.ID })
}

func (j *judging) subjectRulesHold() *Refusal {
	return j.allHold(j.policy.subjectRules, SubjectRule, "subject.rules")
}

func (j *judging) rulesHold() *Refusal {
	return j.allHold(j.policy.rules, PolicyRule, "rules")
}

func (j *judging) allHold(rules []compiledRule, reason Reason, field string) *Refusal {
	for i := range rules {
		if ref := holds(&rules[i], &j.facts, reason, field); ref != nil {
			return ref
		}
	}
	return nil
}

// claimsValid evaluates the policy's claims and those of the granted scopes.
func (j *judging) claimsValid() *Refusal {
	if ref := j.evaluate(j.policy.claims, nil, &j.facts); ref != nil {
		return ref
	}
	for i := range j.granted {
		s := &j.granted[i]
		if len(s.scope.claims) == 0 {
			continue
		}
		facts := j.facts
		facts.Parameter = s.parameter
		if ref := j.evaluate(s.scope.claims, s.scope, &facts); ref != nil {
			return ref
		}
	}
	return j.samlAttributes()
}

func (j *judging) evaluate(claims []compiledClaim, scope *grantScope, facts *Facts) *Refusal {
	for i := range claims {
		name := claims[i].name
		if IsReservedClaim(name) {
			return deny(ClaimInvalid, "claim "+name+" is reserved")
		}
		v, err := claims[i].program.Eval(facts)
		if err != nil {
			return unable(ClaimInvalid, "claim "+name+": its expression gives no value for this request: "+err.Error())
		}
		if v == nil {
			continue
		}
		if !fitsClaim(v, maxClaimBytes) {
			return deny(ClaimInvalid, "claim "+name+" is longer than 4 KiB")
		}
		j.values = append(j.values, scopedClaim{GrantedClaim{Name: name, Value: v}, scope})
	}
	return nil
}

// maxClaimBytes bounds one claim's value: half of the default token of 8 KiB.
const maxClaimBytes = 4096

// fitsClaim counts the strings of a value, which are what can be long.
func fitsClaim(v any, room int) bool {
	return claimBytes(v) <= room
}

func claimBytes(v any) int {
	switch x := v.(type) {
	case string:
		return len(x) + 2
	case []any:
		n := 2
		for _, e := range x {
			n += claimBytes(e) + 1
		}
		return n
	case map[string]any:
		n := 2
		for k, e := range x {
			n += len(k) + 4 + claimBytes(e)
		}
		return n
	}
	return 8
}

// IsReservedClaim says whether a claim belongs to the token service, so that no
// policy and no scope can set it. Letter case does not matter: readers differ.
func IsReservedClaim(name string) bool {
	switch strings.ToLower(name) {
	case "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "azp", "scope", "scp", "act", "may_act", "cnf", "txn",
		"impersonator", "auth_time", "acr", "amr", "sid", "nonce", "at_hash", "c_hash", "events", "typ", "token_use",
		"email_verified", "xqr":
		return true
	}
	return false
}
