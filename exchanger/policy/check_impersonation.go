// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"time"
)

// under is the ImpersonationGrant that a request is made under: who asks (by), to be
// whom (subject).
type under struct {
	grant   *impersonationGrant
	by      Actor
	subject *Token
	// begins says that the request impersonates; else the token was made so.
	begins bool
}

// impersonationAllowed holds the request, and the subject token, against what the
// policy says of impersonation. Like the check after it, it comes before every rule
// over the subject: who is asked for and may not be, and who does not exist, are
// refused by the same words.
func (j *judging) impersonationAllowed() *Refusal {
	switch {
	case j.policy.spec.Impersonation:
		return nil
	case j.request.RequestedSubject != "":
		return deny(ImpersonationForbidden, "impersonation is Forbidden, and requested_subject was sent")
	case !j.request.Subject.bareOfGrant():
		return deny(ImpersonationForbidden, "impersonation is Forbidden, and the subject token was made under one")
	}
	return nil
}

// impersonationGranted finds the grant under which the request impersonates, or under
// which the subject token was made, where there is anything of that kind.
func (j *judging) impersonationGranted() *Refusal {
	r := j.request
	byActor := r.Actor != nil && j.policy.spec.Actor.Use == ActorsForbidden
	switch {
	case r.RequestedSubject != "" || byActor:
		return j.impersonationBegins(byActor)
	case !r.Subject.bareOfGrant():
		return j.impersonationStands()
	}
	return nil
}

// impersonationGrants are the grants that are tried, one at a time and by name, where
// somebody may be impersonated: those that fit as far as no policy, no subject and no
// expression has a say. Where none does, it is the one that came nearest, so that the
// refusal can say what stood against it; and none, once, where nobody asks for any.
func (d *deciding) impersonationGrants() []*impersonationGrant {
	r := d.request
	person := r.Actor
	if r.RequestedSubject != "" {
		person = r.Subject
	}
	if person == nil {
		return []*impersonationGrant{nil}
	}
	var fit []*impersonationGrant
	var nearest *impersonationGrant
	came := -1
	for _, g := range d.service.grantsOf[d.client.spec.ID] {
		stage, ref := d.fits(g.spec, person)
		if ref == nil {
			fit = append(fit, g)
		} else if stage > came {
			nearest, came = g, stage
		}
	}
	if len(fit) > 0 {
		return fit
	}
	return []*impersonationGrant{nearest}
}

// grantStages are more than a grant can come through.
const grantStages = 8

// impersonationBegins asks the grant at hand whether the person may impersonate.
func (j *judging) impersonationBegins(byActor bool) *Refusal {
	r := j.request
	person := r.Subject
	if byActor {
		person = r.Actor
	}
	switch {
	case r.Actor != nil && r.RequestedSubject != "":
		return deny(ImpersonationGrant, "requested_subject and an actor_token: there are two ways to say who is meant")
	case !r.Subject.bare() || !person.bare():
		return deny(ImpersonationGrant, "a token with act or impersonator neither impersonates nor is impersonated")
	}
	if ref := j.impersonationUses(); ref != nil {
		return ref
	}
	if j.grant == nil {
		return deny(ImpersonationGrant, "no ImpersonationGrant in force names client "+j.client.spec.ID)
	}
	var stage int
	var ref *Refusal
	j.under, stage, ref = j.mayImpersonate(j.grant, person)
	j.grantStage = max(j.grantStage, stage)
	if ref != nil {
		return ref
	}
	j.facts.Subject, j.facts.Actor = j.under.subject, person
	return j.homeNamed()
}

// impersonationUses refuses what nobody gets under a grant: refresh tokens, and
// tokens for clients without a credential.
func (j *judging) impersonationUses() *Refusal {
	switch {
	case j.client.spec.Public || j.request.Client.Public:
		return deny(ImpersonationGrant, "a public client asks for nothing under an ImpersonationGrant")
	case j.request.TokenType == TypeRefreshToken || j.request.Grant == GrantRefresh:
		return deny(ImpersonationGrant, "there are no refresh tokens under an ImpersonationGrant")
	}
	return nil
}

// fits holds one grant against the request, as far as that takes neither a policy nor
// the subject. The stage says how far it got.
func (d *deciding) fits(s *ImpersonationGrantSpec, person *Token) (int, *Refusal) {
	r := d.request
	refuse := func(stage int, reason Reason, detail string) (int, *Refusal) {
		return stage, deny(reason, "ImpersonationGrant "+s.Name+": "+detail)
	}
	switch {
	case r.RequestedSubject != "" && !s.FromRequest:
		return refuse(0, ImpersonationGrant, "subjectFrom does not have RequestedSubject")
	case r.RequestedSubject == "" && !s.FromSubjectToken:
		return refuse(0, ImpersonationGrant, "subjectFrom does not have SubjectToken")
	case !s.inForceAt(r.Now):
		return refuse(1, ImpersonationGrant, "now is not between notBefore and notAfter")
	case !d.coveredBy(s):
		return refuse(2, ImpersonationGrant, "targets does not have every target of the request")
	case !among(person.Subject, person.Groups, s.Subjects, s.Groups):
		return refuse(3, ImpersonationGrant, "impersonators has neither the person nor a group of theirs")
	case s.ReasonRequired && strings.TrimSpace(r.Reason) == "":
		return refuse(4, ImpersonationReason, "it wants a reason, and the request gives none")
	}
	return 5, nil
}

// mayImpersonate holds one grant against the request. What the grant says of the
// subject comes last, so that an answer tells nothing of subjects to whom the grant is
// of no use.
func (j *judging) mayImpersonate(g *impersonationGrant, person *Token) (*under, int, *Refusal) {
	s := g.spec
	if stage, ref := j.fits(s, person); ref != nil {
		return nil, stage, ref
	}
	refuse := func(why string) (*under, int, *Refusal) {
		return nil, 5, deny(ImpersonationGrant, "ImpersonationGrant "+s.Name+": "+why)
	}
	subject := j.wanted(s)
	switch {
	case subject == nil:
		return refuse("the requested subject is not known")
	case subject.Subject == person.Subject:
		return refuse("the subject is the impersonator")
	}
	if why := s.mayBe(subject.Subject, subject.Groups); why != "" {
		return refuse(why)
	}
	seen := j.facts
	seen.Subject, seen.Actor = subject, person
	for _, rule := range [...]struct {
		compiledRule
		field string
	}{{g.impersonators, "impersonators.expression"}, {g.subjects, "subjects.expression"}} {
		if rule.program == nil {
			continue
		}
		if ref := holds(&rule.compiledRule, &seen, ImpersonationGrant, "ImpersonationGrant "+s.Name+": "+rule.field); ref != nil {
			ref.Outcome = Denied // as for whoever does not exist
			return nil, 6, ref
		}
	}
	u := &under{grant: g, by: person.asActor(j.client.spec.ID), subject: subject, begins: true}
	return u, 7, nil
}

// wanted is who is to be impersonated: the subject token's subject, or the requested
// one as the grant or a directory knows it; nil when nobody does. Nothing of the
// impersonator's own authentication is said of somebody else.
func (j *judging) wanted(s *ImpersonationGrantSpec) *Token {
	r := j.request
	if r.RequestedSubject == "" {
		return r.Subject
	}
	var known *KnownSubject
	for i := range s.Known {
		if s.Known[i].Subject == r.RequestedSubject {
			known = &s.Known[i]
		}
	}
	if known == nil && r.Directory != nil && r.Directory.Subject == r.RequestedSubject {
		known = r.Directory
	}
	if known == nil {
		return nil
	}
	t := &Token{
		Subject: known.Subject, Username: known.Username, Groups: known.Groups, Extra: known.Extra, Partial: true,
		MayAct: r.Subject.MayAct, Transaction: r.Subject.Transaction,
	}
	if home := j.service.homeOf(known.Subject); home != nil {
		t.Issuer, t.Origin = home.spec.Name, home.spec.Name
	}
	if t.Extra == nil {
		t.Extra = map[string]any{}
	}
	return t
}

// impersonationStands asks again of a token that was made under a grant: the grant
// must still be there, in time, for these targets and for both of them. What it says
// of clients and in expressions was asked when the token was made.
func (j *judging) impersonationStands() *Refusal {
	t := j.request.Subject
	if t.Issuer != SelfIssuer || t.Under == "" || t.By == nil {
		return deny(ImpersonationGrant, "the impersonator of a token that was not issued here has no ImpersonationGrant")
	}
	if ref := j.impersonationUses(); ref != nil {
		return ref
	}
	g, ok := j.service.grants[t.Under]
	if !ok {
		return deny(ImpersonationGrant, "ImpersonationGrant "+t.Under+", under which the subject token was made, is not in force")
	}
	var why string
	s := g.spec
	switch {
	case !s.inForceAt(j.request.Now):
		why = "now is not between notBefore and notAfter"
	case !j.coveredBy(s):
		why = "targets does not have every target of the request"
	case !among(t.By.Subject, t.By.Groups, s.Subjects, s.Groups):
		why = "impersonators has neither the person any more nor a group of theirs"
	default:
		why = s.mayBe(t.Subject, t.Groups)
	}
	if why != "" {
		return deny(ImpersonationGrant, "ImpersonationGrant "+s.Name+", under which the subject token was made: "+why)
	}
	j.under = &under{grant: g, by: *t.By, subject: t}
	return j.homeNamed()
}

// homeNamed wants the issuer to which the impersonated subject belongs among
// subject.issuers, or their origins: a grant brings nobody to a target who could not
// come by a token of their own.
func (j *judging) homeNamed() *Refusal {
	home := j.service.homeOf(j.under.subject.Subject)
	p := j.policy.spec
	switch {
	case home == nil:
		return deny(ImpersonationGrant, "the subject has no TrustedIssuer's identityPrefix")
	case home.spec.Suspended || !home.spec.ForSubject:
		return deny(ImpersonationGrant, "TrustedIssuer "+home.spec.Name+", to which the subject belongs, is suspended or not for subjects")
	case !slices.Contains(p.SubjectIssuers, home.spec.Name) && !slices.Contains(p.SelfOrigins, home.spec.Name):
		return deny(ImpersonationGrant, "subject.issuers does not name "+home.spec.Name+", to which the impersonated subject belongs")
	}
	return nil
}

// homeOf finds the issuer whose identities start as a subject does. No prefix is the
// beginning of another, and only one can be empty.
func (t *TokenService) homeOf(subject string) *TrustedIssuer {
	var rest *TrustedIssuer
	for _, i := range t.issuers {
		switch prefix := i.spec.Prefix; {
		case i.spec.Keys.Local:
			if strings.HasPrefix(subject, "system:serviceaccount:") {
				return i
			}
		case prefix == "":
			if rest == nil || rest.spec.Suspended {
				rest = i // of suspended ones nobody knows more than the name
			}
		case strings.HasPrefix(subject, prefix):
			return i
		}
	}
	if strings.HasPrefix(subject, systemPrefix) {
		return nil
	}
	return rest
}

// systemPrefix begins identities that are Kubernetes' own.
const systemPrefix = "system:"

func (s *ImpersonationGrantSpec) inForceAt(now time.Time) bool {
	return !now.Before(s.NotBefore) && now.Before(s.NotAfter)
}

// mayBe says why a subject cannot be impersonated under the grant; empty when it can.
// Kubernetes' own identities are not meant by any group: only by their names.
func (s *ImpersonationGrantSpec) mayBe(subject string, groups []string) string {
	switch {
	case groups == nil:
		return "the subject's groups are not known"
	case slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(s.ExcludeGroups, g) }):
		return "the subject is in one of excludeGroups"
	case strings.HasPrefix(subject, systemPrefix) && !slices.Contains(s.SubjectSubjects, subject):
		return "the subject is one of Kubernetes' own, and subjects.subjects does not name it"
	case !among(subject, groups, s.SubjectSubjects, s.SubjectGroups):
		return "subjects has neither the subject nor a group of theirs"
	}
	return ""
}

// among says whether somebody is one of a list of subjects, or in one of groups.
func among(subject string, in, subjects, groups []string) bool {
	return subject != "" && slices.Contains(subjects, subject) ||
		slices.ContainsFunc(in, func(g string) bool { return slices.Contains(groups, g) })
}

// coveredBy says whether one grant covers every target of the request: halves of two
// grants never combine.
func (d *deciding) coveredBy(s *ImpersonationGrantSpec) bool {
	return !slices.ContainsFunc(d.targets, func(t askedTarget) bool { return !slices.Contains(s.Targets, t.client.ID) })
}

// grantsScope says whether the grant, where there is one, lets a scope be given.
func (u *under) grantsScope(scope string) bool {
	return u == nil || slices.Contains(u.grant.spec.Scopes, scope)
}

// left is how long a token under the grant may live.
func (u *under) left(now time.Time, left time.Duration) time.Duration {
	if u == nil {
		return left
	}
	return min(or(u.grant.spec.MaxLifetime, left), u.grant.spec.NotAfter.Sub(now), left)
}

// WantsDirectory says whether a directory has to be asked about a requested subject:
// some grant lets this person, in the hands of this client, request subjects, and no
// such grant knows this one itself.
func (t *TokenService) WantsDirectory(client string, person *Token, subject string, now time.Time) bool {
	wants := false
	for _, g := range t.grantsOf[client] {
		s := g.spec
		if !s.FromRequest || !s.inForceAt(now) || !among(person.Subject, person.Groups, s.Subjects, s.Groups) {
			continue
		}
		if slices.ContainsFunc(s.Known, func(k KnownSubject) bool { return k.Subject == subject }) {
			return false
		}
		wants = true
	}
	return wants
}
