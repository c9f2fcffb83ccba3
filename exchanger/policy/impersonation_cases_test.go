// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

const supporterClaim = `{"iss":"https://corp.example","sub":"sam","client_id":"shop/frontend","grant":"support"}`

// granting lets members of corp:support, at shop/frontend, be members of corp:staff.
func granting(s *Spec) *ImpersonationGrantSpec {
	p := policyNamed(s, "images")
	p.Impersonation = true
	s.Grants = []ImpersonationGrantSpec{{
		Name: "support", TokenService: "default", Clients: []string{"shop/frontend"}, Groups: []string{"corp:support"},
		SubjectGroups: []string{"corp:staff"}, SubjectSubjects: []string{"corp:boss"}, ExcludeGroups: []string{"corp:admins"},
		FromSubjectToken: true, FromRequest: true, Targets: []string{"media/images-resource", "media/contacts-resource"},
		Scopes: []string{"images", "contacts", "wide"}, NotBefore: now().Add(-time.Hour), NotAfter: now().Add(time.Hour),
		Known: []KnownSubject{
			{Subject: "corp:boss", Username: "boss", Groups: []string{"corp:directors"}},
			{Subject: "corp:clerk", Groups: []string{"corp:staff"}},
			{Subject: "corp:root", Groups: []string{"corp:staff", "corp:admins"}},
			{Subject: "corp:unknown"},
			{Subject: "system:admin", Groups: []string{"corp:staff"}},
			{Subject: "nobody:x", Groups: []string{"corp:staff"}},
			{Subject: "k8s:x", Groups: []string{"corp:staff"}},
		},
	}}
	return &s.Grants[0]
}

// sam supports: a verified token of corp for shop/frontend.
func sam() *Token {
	t := alice()
	t.RawSubject, t.Subject, t.Groups, t.TokenID, t.Digest = "sam", "corp:sam", []string{"corp:support"}, "s1", [32]byte{7}
	return t
}

// asks is sam's request to be somebody.
func asks(whom string, change func(g *ImpersonationGrantSpec, s *Spec, r *Request)) func(*Spec, *Request) {
	return func(s *Spec, r *Request) {
		g := granting(s)
		r.Subject, r.RequestedSubject = sam(), whom
		change(g, s, r)
	}
}

// holds is sam's request with a token of alice's.
func asksWith(change func(g *ImpersonationGrantSpec, s *Spec, r *Request)) func(*Spec, *Request) {
	return func(s *Spec, r *Request) {
		g := granting(s)
		r.Actor, r.ActorAs = sam(), AsAccessToken
		change(g, s, r)
	}
}

func by(claim string) verdict {
	v := granted("images")
	v.by = claim
	return v
}

func impersonationCases() map[string]decideCase {
	same := func(*ImpersonationGrantSpec, *Spec, *Request) {}
	refused := refusedBy("grant", ImpersonationGrant)
	return map[string]decideCase{
		"F46: requested_subject under a grant; R30: the token has no act": {asks("corp:boss", same), by(supporterClaim)},
		"an actor token under a grant":                                    {asksWith(same), by(supporterClaim)},
		"F201: requested_subject where there is no grant":                 {asks("corp:boss", func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) { s.Grants = nil }), refused},
		"F201: an actor token where there is no grant":                    {asksWith(func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) { s.Grants = nil }), refused},
		"F201: requested_subject where the policy forbids it": {asks("corp:boss", func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) {
			policyNamed(s, "images").Impersonation = false
		}), refusedBy("impersonation", ImpersonationForbidden)},
		"of two policies, the one that lets nobody be impersonated says less": {asks("corp:ghost", func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) {
			p := *policyNamed(s, "images")
			p.Name, p.Impersonation = "a", false
			s.Policies = append(s.Policies, p)
		}), refused},
		"where the policy admits actors, a grant is not consulted": {asksWith(func(g *ImpersonationGrantSpec, s *Spec, _ *Request) {
			delegating(s)
			g.NotAfter = now()
		}), withAct(`{"client_id":"shop/frontend","iss":"https://corp.example","sub":"sam"}`)},
		"where the policy requires actors, requested_subject alone is none": {asks("corp:boss", func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) {
			delegating(s).Use(ActorsRequired)
		}), refusedBy("actor", ActorRequired)},
		"two supporters do not make one impersonation": {asks("corp:boss", func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Actor, r.ActorAs = sam(), AsAccessToken
			r.Actor.Subject, r.Actor.RawSubject, r.Actor.Digest = "corp:sue", "sue", [32]byte{8}
		}), refused},
		"requested_subject and an actor token say two things": {asks("corp:boss", func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Actor, r.ActorAs = bot(), AsJWT
		}), refused},
		"requested_subject and an actor token say two things where actors are admitted, too": {asks("corp:boss", func(_ *ImpersonationGrantSpec, s *Spec, r *Request) {
			delegating(s)
			r.Actor, r.ActorAs = bot(), AsJWT
		}), refused},
		"with Delegation, act names who asked": {
			asks("corp:boss", func(g *ImpersonationGrantSpec, _ *Spec, _ *Request) { g.Delegation = true }),
			withAct(`{"client_id":"shop/frontend","iss":"https://corp.example","sub":"sam"}`),
		},
		"with Delegation, act names whose actor token it was": {
			asksWith(func(g *ImpersonationGrantSpec, _ *Spec, _ *Request) { g.Delegation = true }),
			withAct(`{"client_id":"shop/frontend","iss":"https://corp.example","sub":"sam"}`),
		},
		"rules are about the requested subject": {asks("corp:boss", func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) {
			policyNamed(s, "images").SubjectRules = []Rule{{Expression: "group corp:directors"}}
		}), by(supporterClaim)},
		"rules are not about who asks": {asks("corp:boss", func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) {
			policyNamed(s, "images").SubjectRules = []Rule{{Expression: "group corp:support"}}
		}), refusedBy("subjectRules", SubjectRule)},
		"rules see who asks as the actor": {asks("corp:boss", func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) {
			policyNamed(s, "images").Rules = []Rule{{Expression: "actor corp:sam"}}
		}), by(supporterClaim)},
		"scopes are narrowed to those of who asks": {asks("corp:boss", func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Subject.Scopes = []string{"contacts"}
		}), refusedBy("scopes", ScopeNotHeld)},
		"the token of who asks must be for the client": {asks("corp:boss", func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Subject.Audiences = []string{"shop/other"}
		}), refusedBy("audience", SubjectAudience)},
		"an impersonator's actor token must be for the client, whatever actor.audience says": {asksWith(func(_ *ImpersonationGrantSpec, s *Spec, r *Request) {
			policyNamed(s, "images").Actor.Audience = AudienceRule{Match: AudienceAnyOf, AnyOf: []string{"gateway"}}
			r.Actor.Audiences = []string{"gateway"}
		}), refusedBy("actorAudience", ActorAudience)},
		"may_act of the subject must name the impersonator": {asksWith(func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Subject.MayAct = told("somebody")
		}), refusedBy("mayAct", MayAct)},
		"a bound token of who asks is not unbound": {asks("corp:boss", func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Subject.Confirmed = true
		}), refusedBy("binding", SubjectBinding)},
		"the token does not outlive that of who asks": {asks("corp:boss", func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Subject.ExpiresAt = now().Add(40 * time.Second)
		}), lasting(40)},
		"the token does not outlive the impersonator's actor token": {asksWith(func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Actor.ExpiresAt = now().Add(50 * time.Second)
		}), lasting(50)},
		"nobody impersonates in somebody else's name": {asks("corp:boss", func(_ *ImpersonationGrantSpec, s *Spec, r *Request) {
			delegating(s)
			r.Subject.Act = told("nurse")
		}), refused},
		"nobody impersonates who is impersonated": {asks("corp:boss", func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Subject = made()
			r.Subject.Groups = []string{"corp:support"}
		}), refused},
		"nobody impersonates somebody who is impersonated": {asksWith(func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) { r.Subject = made() }), refused},
		"a foreign token's impersonator has no grant": {func(s *Spec, r *Request) {
			granting(s)
			r.Subject.Impersonator = map[string]any{"sub": "sam", "grant": "support"}
		}, refused},
	}
}

func lasting(seconds int) verdict {
	v := by(supporterClaim)
	v.seconds = seconds
	return v
}

func grantCases() map[string]decideCase {
	grant := func(change func(*ImpersonationGrantSpec)) func(*Spec, *Request) {
		return asks("corp:boss", func(g *ImpersonationGrantSpec, _ *Spec, _ *Request) { change(g) })
	}
	same := func(*ImpersonationGrantSpec, *Spec, *Request) {}
	refused := refusedBy("grant", ImpersonationGrant)
	return map[string]decideCase{
		"a grant names the clients":               {grant(func(g *ImpersonationGrantSpec) { g.Clients = []string{"shop/other"} }), refused},
		"a grant names the people, by group":      {grant(func(g *ImpersonationGrantSpec) { g.Groups = []string{"corp:staff"} }), refused},
		"a grant names the people, one by one":    {grant(func(g *ImpersonationGrantSpec) { g.Groups, g.Subjects = nil, []string{"corp:sam"} }), by(supporterClaim)},
		"a grant that names nobody":               {grant(func(g *ImpersonationGrantSpec) { g.Groups = nil }), refused},
		"the expression of impersonators":         {grant(func(g *ImpersonationGrantSpec) { g.Expression = "actor corp:sam" }), by(supporterClaim)},
		"an expression that is false":             {grant(func(g *ImpersonationGrantSpec) { g.Expression = "actor corp:bob" }), refused},
		"an expression that errs":                 {grant(func(g *ImpersonationGrantSpec) { g.Expression = "error" }), refused},
		"the expression of subjects":              {grant(func(g *ImpersonationGrantSpec) { g.SubjectExpression = "group corp:directors" }), by(supporterClaim)},
		"an expression of subjects that is false": {grant(func(g *ImpersonationGrantSpec) { g.SubjectExpression = "group corp:staff" }), refused},
		"before notBefore":                        {grant(func(g *ImpersonationGrantSpec) { g.NotBefore = now().Add(time.Second) }), refused},
		"at notBefore":                            {grant(func(g *ImpersonationGrantSpec) { g.NotBefore = now() }), by(supporterClaim)},
		"at notAfter":                             {grant(func(g *ImpersonationGrantSpec) { g.NotAfter = now() }), refused},
		"shortly before notAfter":                 {grant(func(g *ImpersonationGrantSpec) { g.NotAfter = now().Add(90 * time.Second) }), lasting(90)},
		"maxTokenLifetime":                        {grant(func(g *ImpersonationGrantSpec) { g.MaxLifetime = 70 * time.Second }), lasting(70)},
		"subjectFrom without RequestedSubject":    {grant(func(g *ImpersonationGrantSpec) { g.FromRequest = false }), refused},
		"subjectFrom without SubjectToken":        {asksWith(func(g *ImpersonationGrantSpec, _ *Spec, _ *Request) { g.FromSubjectToken = false }), refused},
		"a target that the grant does not have":   {grant(func(g *ImpersonationGrantSpec) { g.Targets = []string{"media/contacts-resource"} }), refused},
		"a scope that the grant does not have":    {grant(func(g *ImpersonationGrantSpec) { g.Scopes = []string{"contacts"} }), refusedBy("scopes", ScopeNotGranted)},
		"a second grant that has the scope": {asks("corp:boss", func(g *ImpersonationGrantSpec, s *Spec, _ *Request) {
			other := *g
			other.Name = "support-b"
			g.Scopes = []string{"contacts"}
			s.Grants = append(s.Grants, other)
		}), by(`{"iss":"https://corp.example","sub":"sam","client_id":"shop/frontend","grant":"support-b"}`)},
		"a reason that is required": {grant(func(g *ImpersonationGrantSpec) { g.ReasonRequired = true }), refusedBy("grant", ImpersonationReason)},
		"a reason of blanks":        {asks("corp:boss", func(g *ImpersonationGrantSpec, _ *Spec, r *Request) { g.ReasonRequired, r.Reason = true, "  " }), refusedBy("grant", ImpersonationReason)},
		"a reason that is given":    {asks("corp:boss", func(g *ImpersonationGrantSpec, _ *Spec, r *Request) { g.ReasonRequired, r.Reason = true, "ticket 7" }), by(supporterClaim)},
		"a stranger to the grant is not told that it wants a reason": {asks("corp:boss", func(g *ImpersonationGrantSpec, _ *Spec, _ *Request) {
			g.ReasonRequired, g.Groups = true, []string{"corp:x"}
		}), refused},
		"a member of the group":                     {asks("corp:clerk", same), by(supporterClaim)},
		"a subject whom nobody knows":               {asks("corp:ghost", same), refused},
		"F202: a member of excludeGroups":           {asks("corp:root", same), refused},
		"F202: a subject whose groups are unknown":  {asks("corp:unknown", func(g *ImpersonationGrantSpec, _ *Spec, _ *Request) { g.SubjectSubjects = []string{"corp:unknown"} }), refused},
		"F202: a system identity that no name says": {asks("system:admin", same), refused},
		"F202: a system identity by a group": {asks("system:serviceaccount:shop:x", func(g *ImpersonationGrantSpec, s *Spec, _ *Request) {
			local(s)
			g.Known = append(g.Known, KnownSubject{Subject: "system:serviceaccount:shop:x", Groups: []string{"corp:staff"}})
		}), refused},
		"F202: a system identity that is named": {asks("system:serviceaccount:shop:x", func(g *ImpersonationGrantSpec, s *Spec, _ *Request) {
			local(s)
			g.Known = append(g.Known, KnownSubject{Subject: "system:serviceaccount:shop:x", Groups: []string{"corp:staff"}})
			g.SubjectSubjects = []string{"system:serviceaccount:shop:x"}
		}), by(supporterClaim)},
		"F202: a system identity is not that of an issuer without prefix": {asks("system:admin", func(g *ImpersonationGrantSpec, s *Spec, _ *Request) {
			issuerNamed(s, "k8s").Prefix = ""
			policyNamed(s, "images").SubjectIssuers = []string{"corp", "k8s"}
			g.SubjectSubjects = []string{"system:admin"}
		}), refused},
		"a subject of no issuer":                               {asks("nobody:x", same), refused},
		"a subject of an issuer that the policy does not name": {asks("k8s:x", same), refused},
		"a subject of an issuer that is suspended": {asks("k8s:x", func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) {
			policyNamed(s, "images").SubjectIssuers = []string{"corp", "k8s"}
			issuerNamed(s, "k8s").Suspended = true
		}), refused},
		"a subject of another issuer that the policy names": {asks("k8s:x", func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) {
			policyNamed(s, "images").SubjectIssuers = []string{"corp", "k8s"}
		}), by(supporterClaim)},
		"somebody to be himself": {asks("corp:sam", func(g *ImpersonationGrantSpec, _ *Spec, _ *Request) {
			g.Known = append(g.Known, KnownSubject{Subject: "corp:sam", Groups: []string{"corp:staff"}})
		}), refused},
		"a subject whom the directory knows": {asks("corp:carla", func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Directory = &KnownSubject{Subject: "corp:carla", Groups: []string{"corp:staff"}}
		}), by(supporterClaim)},
		"a directory that answers for another": {asks("corp:carla", func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Directory = &KnownSubject{Subject: "corp:clerk", Groups: []string{"corp:staff"}}
		}), refused},
		"the grant knows better than the directory": {asks("corp:root", func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Directory = &KnownSubject{Subject: "corp:root", Groups: []string{"corp:staff"}}
		}), refused},
		"no refresh token": {asks("corp:boss", func(_ *ImpersonationGrantSpec, s *Spec, r *Request) {
			policyNamed(s, "images").TokenTypes = append(policyNamed(s, "images").TokenTypes, TypeRefreshToken)
			r.TokenType = TypeRefreshToken
		}), refused},
		"F69: no public client": {asks("corp:boss", func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) { clientNamed(s, "shop/frontend").Public = true }), refused},
		"several targets under one grant": {asks("corp:boss", func(_ *ImpersonationGrantSpec, s *Spec, r *Request) {
			policyNamed(s, "contacts").Impersonation = true
			r.Audiences, r.Scopes = []string{"media/images-resource", "media/contacts-resource"}, []string{"images", "contacts"}
		}), func() verdict {
			v := by(supporterClaim)
			v.scope, v.aud = "images contacts", "media/images-resource media/contacts-resource"
			return v
		}()},
		"several targets under two grants": {asks("corp:boss", func(g *ImpersonationGrantSpec, s *Spec, r *Request) {
			policyNamed(s, "contacts").Impersonation = true
			other := *g
			other.Name, other.Targets, g.Targets = "b", []string{"media/contacts-resource"}, []string{"media/images-resource"}
			s.Grants = append(s.Grants, other)
			r.Audiences, r.Scopes = []string{"media/images-resource", "media/contacts-resource"}, []string{"images", "contacts"}
		}), refused},
	}
}

// local makes the cluster the local one.
func local(s *Spec) {
	i := issuerNamed(s, "k8s")
	i.Keys.Local, i.Prefix = true, ""
	policyNamed(s, "images").SubjectIssuers = []string{"corp", "k8s"}
}

// made is a token of ours that was made under the grant.
func made() *Token {
	t := own()
	t.Under = "support"
	t.Impersonator = map[string]any{"iss": "https://corp.example", "sub": "sam", "client_id": "shop/frontend", "grant": "support"}
	t.By = &Actor{
		Issuer: "corp", Origin: "corp", RawIssuer: "https://corp.example", RawSubject: "sam", Subject: "corp:sam", ClientID: "shop/frontend",
		Groups: []string{"corp:support"},
	}
	return t
}

func madeUnderCases() map[string]decideCase {
	again := func(change func(g *ImpersonationGrantSpec, s *Spec, r *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			g := granting(s)
			r.Subject = made()
			change(g, s, r)
		}
	}
	grant := func(change func(*ImpersonationGrantSpec)) func(*Spec, *Request) {
		return again(func(g *ImpersonationGrantSpec, _ *Spec, _ *Request) { change(g) })
	}
	refused := refusedBy("grant", ImpersonationGrant)
	return map[string]decideCase{
		"a token that was made under a grant, once more": {grant(func(*ImpersonationGrantSpec) {}), by(supporterClaim)},
		"it needs a policy that allows impersonation": {again(func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) {
			policyNamed(s, "images").Impersonation = false
		}), refusedBy("impersonation", ImpersonationForbidden)},
		"its grant was deleted":               {again(func(_ *ImpersonationGrantSpec, s *Spec, _ *Request) { s.Grants = nil }), refused},
		"its grant has ended":                 {grant(func(g *ImpersonationGrantSpec) { g.NotAfter = now() }), refused},
		"its grant does not cover the target": {grant(func(g *ImpersonationGrantSpec) { g.Targets = []string{"media/contacts-resource"} }), refused},
		"its grant does not have the scope":   {grant(func(g *ImpersonationGrantSpec) { g.Scopes = []string{"contacts"} }), refusedBy("scopes", ScopeNotGranted)},
		"its grant does not name the person":  {grant(func(g *ImpersonationGrantSpec) { g.Groups = []string{"corp:others"} }), refused},
		"its grant does not name the subject": {grant(func(g *ImpersonationGrantSpec) { g.SubjectGroups = nil }), refused},
		"its grant excludes the subject":      {grant(func(g *ImpersonationGrantSpec) { g.ExcludeGroups = []string{"corp:staff"} }), refused},
		"its grant bounds the lifetime":       {grant(func(g *ImpersonationGrantSpec) { g.MaxLifetime = 70 * time.Second }), lasting(70)},
		"another client may exchange it":      {grant(func(g *ImpersonationGrantSpec) { g.Clients = []string{"shop/other"} }), by(supporterClaim)},
		"no refresh token for it": {again(func(_ *ImpersonationGrantSpec, s *Spec, r *Request) {
			policyNamed(s, "images").TokenTypes = append(policyNamed(s, "images").TokenTypes, TypeRefreshToken)
			r.TokenType = TypeRefreshToken
		}), refused},
		"without what was sealed it is nobody's": {again(func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) { r.Subject.By = nil }), refused},
		"the issuer of the subject must be named": {again(func(_ *ImpersonationGrantSpec, s *Spec, r *Request) {
			r.Subject.Subject = "k8s:x"
		}), refused},
		"made with Delegation, it has act: the policy's actor decides too": {again(func(_ *ImpersonationGrantSpec, _ *Spec, r *Request) {
			r.Subject.Impersonator, r.Subject.Act, r.Subject.Actors = nil, told("sam"), []Actor{*r.Subject.By}
		}), refusedBy("actor", ActorForbidden)},
		"made with Delegation, at a policy with actors": {again(func(_ *ImpersonationGrantSpec, s *Spec, r *Request) {
			delegating(s)
			r.Subject.Impersonator, r.Subject.Act, r.Subject.Actors = nil, told("sam"), []Actor{*r.Subject.By}
		}), withAct(`{"iss":"https://corp.example","sub":"sam"}`)},
		"an actor may act for somebody who is impersonated, where the policy admits both": {again(func(_ *ImpersonationGrantSpec, s *Spec, r *Request) {
			delegating(s)
			r.Actor, r.ActorAs = bot(), AsJWT
		}), func() verdict {
			v := withAct(botAct)
			v.by = supporterClaim
			return v
		}()},
	}
}
