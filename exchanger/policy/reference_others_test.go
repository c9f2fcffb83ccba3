// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"time"
)

// others is the reference's answer to who else has a part in a request: how long they
// leave, and the grant under which somebody is impersonated.
type others struct {
	left  time.Duration
	grant *ImpersonationGrantSpec
}

// party is somebody of a chain, as the reference knows them.
type party struct{ mapped, iss, sub, trust string }

func partyOf(t *Token) party { return party{t.Subject, t.RawIssuer, t.RawSubject, t.Issuer} }

func (a party) is(b party) bool {
	if a.mapped != "" && b.mapped != "" {
		return a.mapped == b.mapped
	}
	return a.iss == b.iss && a.sub == b.sub
}

// told lists the parties of act, outermost first.
func (ref reference) told() []party {
	var out []party
	s := ref.req.Subject
	for i, act := 0, s.Act; act != nil; i++ {
		p := party{iss: act["iss"].(string), sub: act["sub"].(string)}
		if s.Issuer == SelfIssuer {
			p.mapped, p.trust = s.Actors[i].Subject, s.Actors[i].Issuer
		}
		out = append(out, p)
		act, _ = act["act"].(map[string]any)
	}
	return out
}

// actorStands asks of the actor token what is asked of every subject token.
func (ref reference) actorStands(service *Service) bool {
	a := ref.req.Actor
	if a == nil {
		return true
	}
	issuer := find(ref.spec.Issuers, func(i Issuer) bool { return i.Name == a.Origin })
	return issuer != nil && !issuer.Suspended && issuer.ForActor && ref.stands(a, ref.req.ActorAs, issuer, service) &&
		a.Act == nil && a.Impersonator == nil && a.Under == ""
}

func (ref reference) others(p *Policy, client *Client, service *Service, targets []*Client) (others, bool) {
	r, s := ref.req, ref.req.Subject
	out := others{left: 24 * time.Hour}
	before := ref.told()
	var judged []party
	if len(before) > 0 {
		judged = append(judged, before[0])
	}
	all := append([]party{partyOf(s)}, before...)
	if r.Actor != nil {
		out.left = r.Actor.ExpiresAt.Sub(r.Now)
		all = append(all, partyOf(r.Actor))
		if p.Actor.Use != ActorsForbidden {
			judged = append(judged, partyOf(r.Actor))
		}
		// Whoever acts, and whoever impersonates by default, has a token for the client.
		if !slices.Contains(r.Actor.Audiences, client.ID) {
			return out, false
		}
	}
	depth := service.DelegationDepth
	switch p.Actor.Use {
	case ActorsForbidden:
		if len(before) > 0 || r.Actor != nil && !p.Impersonation {
			return out, false
		}
	case ActorsRequired:
		if len(judged) == 0 {
			return out, false
		}
		depth = min(depth, p.Actor.MaxDepth)
	case ActorsOptional:
		depth = min(depth, p.Actor.MaxDepth)
	}
	for i := range all {
		for _, b := range all[i+1:] {
			if all[i].is(b) {
				return out, false
			}
		}
	}
	if len(all)-1 > depth || !ref.mayActs(client, before) {
		return out, false
	}
	for _, a := range judged {
		if !ref.mayActHere(p, a) {
			return out, false
		}
	}
	return ref.impersonates(p, out, client, targets)
}

func (ref reference) mayActHere(p *Policy, a party) bool {
	from := a.trust
	if from == "" {
		from = ref.req.Subject.Origin // which tells of the actor, of its own people alone here
	}
	issuer := find(ref.spec.Issuers, func(i Issuer) bool { return i.Name == from })
	if issuer == nil || issuer.Suspended || !issuer.ForActor || !slices.Contains(p.Actor.Issuers, from) {
		return false
	}
	if may := ref.req.Subject.MayAct; p.Actor.HonorMayAct && may != nil && may["iss"] == a.iss && may["sub"] == a.sub {
		return true
	}
	return !slices.ContainsFunc(p.Actor.Rules, func(r Rule) bool { return r.Expression != "true" })
}

// mayActs knows may_act with iss and sub alone.
func (ref reference) mayActs(client *Client, before []party) bool {
	r, may := ref.req, ref.req.Subject.MayAct
	if may == nil {
		return true
	}
	if r.Actor != nil {
		return may["iss"] == r.Actor.RawIssuer && may["sub"] == r.Actor.RawSubject
	}
	if len(before) > 0 && may["iss"] == before[0].iss && may["sub"] == before[0].sub {
		return true
	}
	return may["iss"] == "https://sts.example" && may["sub"] == client.ID
}

// impersonates finds the grant, if one is needed.
func (ref reference) impersonates(p *Policy, out others, client *Client, targets []*Client) (others, bool) {
	r, s := ref.req, ref.req.Subject
	byActor := r.Actor != nil && p.Actor.Use == ActorsForbidden
	if r.RequestedSubject == "" && !byActor && s.Under == "" {
		return out, true
	}
	if !p.Impersonation || client.Public {
		return out, false
	}
	person, begins := s, s.Under == "" || byActor || r.RequestedSubject != ""
	if byActor {
		person = r.Actor
	}
	if begins && (s.Under != "" || s.Act != nil || r.Actor != nil && r.RequestedSubject != "") {
		return out, false
	}
	g := ref.grant
	if !begins {
		g = find(ref.spec.Grants, func(g ImpersonationGrantSpec) bool { return g.Name == s.Under })
	}
	if g == nil || !ref.grants(g, p, person, begins, client, targets) {
		return out, false
	}
	out.grant = g
	out.left = min(out.left, g.MaxLifetime, g.NotAfter.Sub(r.Now))
	return out, true
}

func (ref reference) grants(g *ImpersonationGrantSpec, p *Policy, person *Token, begins bool, client *Client, targets []*Client) bool {
	r, s := ref.req, ref.req.Subject
	subject, groups, ok := s.Subject, s.Groups, true
	if r.RequestedSubject != "" {
		known := find(g.Known, func(k KnownSubject) bool { return k.Subject == r.RequestedSubject })
		if known == nil {
			return false
		}
		subject, groups, ok = known.Subject, known.Groups, g.FromRequest
	} else if begins {
		ok = g.FromSubjectToken
	}
	who, in := person.Subject, person.Groups
	if !begins {
		if g.Name != s.Under {
			return false
		}
		who, in = s.By.Subject, s.By.Groups
	} else if !slices.Contains(g.Clients, client.ID) || who == subject || g.ReasonRequired && r.Reason == "" {
		return false
	}
	anyOf := func(list, of []string) bool {
		return slices.ContainsFunc(list, func(x string) bool { return slices.Contains(of, x) })
	}
	for _, t := range targets {
		ok = ok && slices.Contains(g.Targets, t.ID)
	}
	home, _, _ := strings.Cut(subject, ":")
	issuer := find(ref.spec.Issuers, func(i Issuer) bool { return i.Name == home })
	return ok && issuer != nil && !issuer.Suspended && issuer.ForSubject &&
		(slices.Contains(p.SubjectIssuers, home) || slices.Contains(p.SelfOrigins, home)) &&
		!r.Now.Before(g.NotBefore) && r.Now.Before(g.NotAfter) &&
		(slices.Contains(g.Subjects, who) || anyOf(in, g.Groups)) &&
		groups != nil && !anyOf(groups, g.ExcludeGroups) &&
		(slices.Contains(g.SubjectSubjects, subject) || anyOf(groups, g.SubjectGroups))
}
