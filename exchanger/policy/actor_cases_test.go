// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"time"
)

// Parties of these cases: alice of corp (the subject), the agent bot of the cluster
// (the actor token), and the nurse of corp, of whom tokens tell in act.
const (
	botSubject = "k8s:system:serviceaccount:agents:bot"
	botAct     = `{"client_id":"shop/frontend","iss":"https://k8s.example","sub":"system:serviceaccount:agents:bot"}`
	nurseAct   = `{"iss":"https://corp.example","sub":"nurse"}`
)

// delegating lets agents of the cluster and people of corp act for people of corp.
func delegating(s *Spec) *Policy {
	p := policyNamed(s, "images")
	p.Actor = ActorPolicy{
		Use: ActorsOptional, Issuers: []string{"corp", "k8s"}, SelfOrigins: []string{"corp"}, Audience: AudienceRule{Match: AudienceClient},
		MaxDepth: 2, HonorMayAct: true,
	}
	return p
}

// acted is a request with the bot's token, at a policy that admits actors.
func acted(change func(p *Policy, r *Request)) func(*Spec, *Request) {
	return func(s *Spec, r *Request) {
		p := delegating(s)
		r.Actor, r.ActorAs = bot(), AsJWT
		change(p, r)
	}
}

func told(sub string) map[string]any {
	return map[string]any{"iss": "https://corp.example", "sub": sub}
}

// nursed is alice's own token of ours, with the nurse acting.
func nursed() *Token {
	t := own()
	t.Act = told("nurse")
	t.Actors = []Actor{{
		Issuer: "corp", Origin: "corp", RawIssuer: "https://corp.example", RawSubject: "nurse", Subject: "corp:nurse", ClientID: "shop/frontend",
		Groups: []string{"corp:nurses"},
	}}
	return t
}

func withAct(act string) verdict {
	v := granted("images")
	v.act = act
	return v
}

func actorTokenCases() map[string]decideCase {
	actor := func(change func(*Token)) func(*Spec, *Request) {
		return acted(func(_ *Policy, r *Request) { change(r.Actor) })
	}
	return map[string]decideCase{
		"R27: an actor becomes act: iss and sub of its token, and the client that asked": {acted(func(*Policy, *Request) {}), withAct(botAct)},
		"where actors are optional, none is needed":                                      {func(s *Spec, _ *Request) { delegating(s) }, granted("images")},
		"where one is required, none is too few":                                         {func(s *Spec, _ *Request) { delegating(s).Use(ActorsRequired) }, refusedBy("actor", ActorRequired)},
		"one that is required is enough":                                                 {acted(func(p *Policy, _ *Request) { p.Use(ActorsRequired) }), withAct(botAct)},
		"F206, R11: the issuer of an actor token must be there": {
			actor(func(t *Token) { t.Origin, t.Issuer = "nobody", "nobody" }), refusedBy("actorIssuer", IssuerUnknown),
		},
		"F206: it must be trusted for actors": {func(s *Spec, r *Request) {
			acted(func(*Policy, *Request) {})(s, r)
			issuerNamed(s, "k8s").ForActor = false
		}, refusedBy("actorIssuer", IssuerUnknown)},
		"F206: it must not be suspended": {func(s *Spec, r *Request) {
			acted(func(*Policy, *Request) {})(s, r)
			issuerNamed(s, "k8s").Suspended = true
		}, refusedBy("actorIssuer", IssuerSuspended)},
		"it need not be trusted for subjects": {func(s *Spec, r *Request) {
			acted(func(*Policy, *Request) {})(s, r)
			issuerNamed(s, "k8s").ForSubject = false
		}, withAct(botAct)},
		"F206: an issuer that is made anew for another is not the origin of our own token": {acted(func(_ *Policy, r *Request) {
			r.Actor, r.ActorAs = own(), AsAccessToken
			r.Actor.Subject, r.Actor.RawSubject, r.Actor.OriginURL = "corp:bob", "corp:bob", "https://other.example"
		}), refusedBy("actorIssuer", IssuerUnknown)},
		"F206: an actor token is what actor_token_type says": {acted(func(_ *Policy, r *Request) { r.ActorAs = AsIDToken }), refusedBy("actorClass", TokenClass)},
		"F206: an expired actor token":                       {actor(func(t *Token) { t.ExpiresAt = now().Add(-time.Minute) }), refusedBy("actorTime", TokenExpired)},
		"F206: an actor token of the future":                 {actor(func(t *Token) { t.NotBefore = now().Add(time.Hour) }), refusedBy("actorTime", TokenNotYetValid)},
		"F206: an actor token without exp":                   {actor(func(t *Token) { t.ExpiresAt = time.Time{} }), refusedBy("actorTime", TokenMalformed)},
		"F206: an old actor token":                           {actor(func(t *Token) { t.IssuedAt = now().Add(-25 * time.Hour) }), refusedBy("actorTime", TokenTooOld)},
		"F206: a revoked actor token": {func(s *Spec, r *Request) {
			acted(func(*Policy, *Request) {})(s, r)
			issuerNamed(s, "k8s").RevokeIssuedBefore = now()
		}, refusedBy("actorNotRevoked", TokenRevoked)},
		"F206: somebody's client credential as an actor token": {
			actor(func(t *Token) { t.Audiences = []string{"https://sts.example", "shop/frontend"} }), refusedBy("actorNoCredential", TokenClass),
		},
		"F68: the client's own credential as its actor token": {acted(func(_ *Policy, r *Request) {
			r.Actor.Audiences = []string{"https://sts.example"}
			r.Client.CredentialDigest = r.Actor.Digest
		}), withAct(botAct)},
		"F206: an actor token that does not say whom it was for": {actor(func(t *Token) { t.Audiences = nil }), refusedBy("actorAddressed", ActorAudience)},
		"F206: an actor token for somebody else":                 {actor(func(t *Token) { t.Audiences = []string{"shop/other"} }), refusedBy("actorAudience", ActorAudience)},
		"F206: an actor token that was issued to the client":     {actor(func(t *Token) { t.Audiences, t.ClientID = nil, "shop/frontend" }), withAct(botAct)},
		"F206: actor.audience has its own rule": {acted(func(p *Policy, _ *Request) {
			p.Actor.Audience = AudienceRule{Match: AudienceAnyOf, AnyOf: []string{"gateway"}}
		}), refusedBy("actorAudience", ActorAudience)},
		"actor.audience is not the subject's": {acted(func(p *Policy, r *Request) {
			p.SubjectAudience = AudienceRule{Match: AudienceAnyOf, AnyOf: []string{"gateway"}}
			r.Subject.Audiences = []string{"gateway"}
		}), withAct(botAct)},
		"F206: an issuer that actor.issuers does not name": {acted(func(p *Policy, _ *Request) { p.Actor.Issuers = []string{"corp"} }), refusedBy("actorNamed", ActorIssuer)},
		"our own token as an actor's, of a named origin": {acted(func(_ *Policy, r *Request) {
			r.Actor, r.ActorAs = own(), AsAccessToken
			r.Actor.Subject, r.Actor.RawSubject, r.Actor.Digest = "corp:bob", "corp:bob", [32]byte{3}
		}), withAct(`{"client_id":"shop/frontend","iss":"https://sts.example","sub":"corp:bob"}`)},
		"F206: our own token as an actor's, of another origin": {acted(func(p *Policy, r *Request) {
			p.Actor.SelfOrigins = nil
			r.Actor, r.ActorAs = own(), AsAccessToken
			r.Actor.Subject, r.Actor.RawSubject = "corp:bob", "corp:bob"
		}), refusedBy("actorNamed", ActorIssuer)},
		"F204: an actor for whom somebody acts is none":             {actor(func(t *Token) { t.Act = told("mallory") }), refusedBy("actorBare", ActorDepth)},
		"F204: an actor who is impersonated is none":                {actor(func(t *Token) { t.Impersonator = told("mallory") }), refusedBy("actorBare", ActorDepth)},
		"F204: an actor whose token was made under a grant is none": {actor(func(t *Token) { t.Under = "support" }), refusedBy("actorBare", ActorDepth)},
		"R36: a rule over the actor":                                {acted(func(p *Policy, _ *Request) { p.Actor.Rules = []Rule{{Expression: "actor " + botSubject}} }), withAct(botAct)},
		"R36: a rule over the actor that is false":                  {acted(func(p *Policy, _ *Request) { p.Actor.Rules = []Rule{{Expression: "actor corp:bob"}} }), refusedBy("actorRules", ActorRule)},
		"a rule over the actor that errs":                           {acted(func(p *Policy, _ *Request) { p.Actor.Rules = []Rule{{Expression: "error"}} }), unableBy("actorRules", ActorRule)},
		"rules of the policy see the actor":                         {acted(func(p *Policy, _ *Request) { p.Rules = []Rule{{Expression: "actor corp:bob"}} }), refusedBy("rules", PolicyRule)},
		"a token does not outlive the actor's": {actor(func(t *Token) { t.ExpiresAt = now().Add(time.Minute) }), func() verdict {
			v := withAct(botAct)
			v.seconds = 60
			return v
		}()},
		"F48, F205: the subject token as actor token": {acted(func(p *Policy, r *Request) {
			r.Actor, r.ActorAs = alice(), AsAccessToken
		}), refusedBy("actorChain", ActorLoop)},
		"F205: another token of the subject as actor token": {acted(func(_ *Policy, r *Request) {
			r.Actor, r.ActorAs = alice(), AsAccessToken
			r.Actor.Digest, r.Actor.TokenID = [32]byte{9}, "t9"
		}), refusedBy("actorChain", ActorLoop)},
		"F205: the subject, as our own token says it": {acted(func(_ *Policy, r *Request) {
			r.Actor, r.ActorAs = own(), AsAccessToken
			r.Actor.Digest = [32]byte{9}
		}), refusedBy("actorChain", ActorLoop)},
	}
}

// Use is a policy's actor.use.
func (p *Policy) Use(u ActorUse) { p.Actor.Use = u }

func actorChainCases() map[string]decideCase {
	own := func(change func(p *Policy, r *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			p := delegating(s)
			r.Subject = nursed()
			change(p, r)
		}
	}
	foreign := func(act map[string]any, change func(p *Policy, r *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			p := delegating(s)
			r.Subject.Act = act
			change(p, r)
		}
	}
	same := func(*Policy, *Request) {}
	nested := func(n int) map[string]any {
		act := told("a0")
		for i := range n - 1 {
			outer := told("a" + strings.Repeat("x", i+1))
			outer["act"] = act
			act = outer
		}
		return act
	}
	return map[string]decideCase{
		"the current actor of our own token is judged as if presented": {own(same), withAct(nurseAct)},
		"one in the token is enough where one is required":             {own(func(p *Policy, _ *Request) { p.Use(ActorsRequired) }), withAct(nurseAct)},
		"its issuer must be named":                                     {own(func(p *Policy, _ *Request) { p.Actor.Issuers = []string{"k8s"} }), refusedBy("actorNamed", ActorIssuer)},
		"its issuer must still be trusted for actors": {func(s *Spec, r *Request) {
			own(same)(s, r)
			issuerNamed(s, "corp").ForActor = false
		}, refusedBy("actorNamed", IssuerUnknown)},
		"rules see the facts that were sealed with it": {own(func(p *Policy, _ *Request) { p.Actor.Rules = []Rule{{Expression: "actorGroup corp:nurses"}} }), withAct(nurseAct)},
		"rules that it does not meet refuse":           {own(func(p *Policy, _ *Request) { p.Actor.Rules = []Rule{{Expression: "actorGroup corp:doctors"}} }), refusedBy("actorRules", ActorRule)},
		"rules of the policy see it as the actor":      {own(func(p *Policy, _ *Request) { p.Rules = []Rule{{Expression: "actor corp:bob"}} }), refusedBy("rules", PolicyRule)},
		"what act says and what is sealed must be one": {own(func(_ *Policy, r *Request) { r.Subject.Act = told("doctor") }), refusedBy("actor", TokenMalformed)},
		"what is sealed without act is no actor":       {own(func(_ *Policy, r *Request) { r.Subject.Actors = nil }), refusedBy("actor", TokenMalformed)},
		"R27: a further actor nests the one before": {
			own(func(_ *Policy, r *Request) { r.Actor, r.ActorAs = bot(), AsJWT }),
			withAct(`{"act":` + nurseAct + `,` + botAct[1:]),
		},
		"both actors are judged, the new one and the current one": {own(func(p *Policy, r *Request) {
			r.Actor, r.ActorAs = bot(), AsJWT
			p.Actor.Issuers = []string{"k8s"}
		}), refusedBy("actorNamed", ActorIssuer)},
		"F142, R28: who acted before the current actor decides nothing": {own(func(p *Policy, r *Request) {
			r.Subject.Act = map[string]any{"iss": "https://corp.example", "sub": "nurse", "act": map[string]any{"iss": "https://evil.example", "sub": "mallory"}}
			r.Subject.Actors = append(r.Subject.Actors, Actor{RawIssuer: "https://evil.example", RawSubject: "mallory"})
			p.Actor.Rules = []Rule{{Expression: "actor corp:nurse"}}
		}), withAct(`{"act":{"iss":"https://evil.example","sub":"mallory"},"iss":"https://corp.example","sub":"nurse"}`)},
		"F205: an actor that is in the chain already": {own(func(_ *Policy, r *Request) {
			r.Actor, r.ActorAs = alice(), AsAccessToken
			r.Actor.Subject, r.Actor.RawSubject, r.Actor.Digest = "corp:nurse", "nurse", [32]byte{9}
		}), refusedBy("actorChain", ActorLoop)},
		"F205: an actor that is in the chain under another token": {own(func(_ *Policy, r *Request) {
			r.Actor, r.ActorAs = nursed(), AsAccessToken
			r.Actor.Act, r.Actor.Actors = nil, nil
			r.Actor.Subject, r.Actor.RawSubject, r.Actor.Digest = "corp:nurse", "corp:nurse", [32]byte{9}
		}), refusedBy("actorChain", ActorLoop)},
		"F205: a chain at maxDepth":                           {own(func(p *Policy, r *Request) { r.Actor, r.ActorAs = bot(), AsJWT }), withAct(`{"act":` + nurseAct + `,` + botAct[1:])},
		"F205: a chain one too long":                          {own(func(p *Policy, r *Request) { r.Actor, r.ActorAs, p.Actor.MaxDepth = bot(), AsJWT, 1 }), refusedBy("actorChain", ActorDepth)},
		"F205: the service's own cap":                         {foreign(nested(5), func(p *Policy, _ *Request) { p.Actor.MaxDepth = 8 }), refusedBy("actorChain", ActorDepth)},
		"F141: a chain deeper than anybody reads":             {foreign(nested(16), func(p *Policy, _ *Request) { p.Actor.MaxDepth = 8 }), refusedBy("actor", ActorDepth)},
		"a foreign token tells of an actor of its own issuer": {foreign(told("nurse"), same), withAct(nurseAct)},
		"a foreign token's issuer must be one that may tell of actors": {
			foreign(told("nurse"), func(p *Policy, _ *Request) { p.Actor.Issuers = []string{"k8s"} }),
			refusedBy("actorNamed", ActorIssuer),
		},
		"a foreign token's issuer must be trusted for actors": {func(s *Spec, r *Request) {
			foreign(told("nurse"), same)(s, r)
			issuerNamed(s, "corp").ForActor = false
		}, refusedBy("actorNamed", ActorIssuer)},
		"a foreign token tells of an actor of another named issuer": {
			foreign(map[string]any{"iss": "https://k8s.example", "sub": "bot"}, same),
			withAct(`{"iss":"https://k8s.example","sub":"bot"}`),
		},
		"a foreign token tells of an actor of nobody's": {foreign(map[string]any{"iss": "https://evil.example", "sub": "bot"}, same), refusedBy("actorNamed", ActorIssuer)},
		"a rule over facts that nobody verified errs":   {foreign(told("nurse"), func(p *Policy, _ *Request) { p.Actor.Rules = []Rule{{Expression: "actor corp:nurse"}} }), unableBy("actorRules", ActorRule)},
		"F141: act without sub":                         {foreign(map[string]any{"iss": "https://corp.example"}, same), refusedBy("actor", TokenMalformed)},
		"F141: act without iss":                         {foreign(map[string]any{"sub": "nurse"}, same), refusedBy("actor", TokenMalformed)},
		"F141: act with a sub that is no string":        {foreign(map[string]any{"iss": "https://corp.example", "sub": true}, same), refusedBy("actor", TokenMalformed)},
		"F141: act inside act that is no object":        {foreign(map[string]any{"iss": "https://corp.example", "sub": "nurse", "act": "x"}, same), refusedBy("actor", TokenMalformed)},
		"F141: act that repeats itself":                 {foreign(map[string]any{"iss": "https://corp.example", "sub": "nurse", "act": told("nurse")}, same), refusedBy("actorChain", ActorLoop)},
		"F141: act that is the subject":                 {foreign(told("alice"), same), refusedBy("actorChain", ActorLoop)},
		"R29: exp and aud inside act mean nothing, and are carried as they came": {
			foreign(map[string]any{"iss": "https://corp.example", "sub": "nurse", "exp": int64(1), "aud": "x"}, same),
			withAct(`{"aud":"x","exp":1,"iss":"https://corp.example","sub":"nurse"}`),
		},
		"a raw actor came through a token of ours, and its first issuer may tell of actors": {own(func(_ *Policy, r *Request) {
			r.Subject.Actors = []Actor{{RawIssuer: "https://corp.example", RawSubject: "nurse"}}
		}), withAct(nurseAct)},
		"a raw actor came through a token of ours, and its first issuer may not": {own(func(p *Policy, r *Request) {
			r.Subject.Actors = []Actor{{RawIssuer: "https://corp.example", RawSubject: "nurse"}}
			p.Actor.Issuers = []string{"k8s"}
		}), refusedBy("actorNamed", ActorIssuer)},
	}
}

func mayActCases() map[string]decideCase {
	may := func(mayAct map[string]any, change func(p *Policy, r *Request)) func(*Spec, *Request) {
		return acted(func(p *Policy, r *Request) {
			r.Subject.MayAct = withIssuer(mayAct, r.Subject.RawIssuer)
			change(p, r)
		})
	}
	same := func(*Policy, *Request) {}
	isBot := map[string]any{"iss": "https://k8s.example", "sub": "system:serviceaccount:agents:bot"}
	noRules := func(p *Policy, _ *Request) { p.Actor.Rules = []Rule{{Expression: "false"}} }
	return map[string]decideCase{
		"R33: may_act names the actor as its token does":                    {may(isBot, same), withAct(botAct)},
		"F143, F207: may_act names another actor":                           {may(map[string]any{"iss": "https://k8s.example", "sub": "somebody"}, same), refusedBy("mayAct", MayAct)},
		"F143, KC-35: may_act without iss means the subject's issuer":       {may(map[string]any{"sub": "system:serviceaccount:agents:bot"}, same), refusedBy("mayAct", MayAct)},
		"F143: may_act names the client, and an actor token is another's":   {may(map[string]any{"sub": "corp-shop"}, same), refusedBy("mayAct", MayAct)},
		"F143: may_act with a member that nobody knows":                     {may(map[string]any{"iss": isBot["iss"], "sub": isBot["sub"], "tenant": "x"}, same), refusedBy("mayAct", MayAct)},
		"R33: may_act that names the asking client by its ID":               {may(map[string]any{"client_id": "shop/frontend"}, same), withAct(botAct)},
		"F143: may_act with an iss that is no string":                       {may(map[string]any{"client_id": "shop/frontend", "iss": true}, same), refusedBy("mayAct", MayAct)},
		"F143: may_act that names the actor, and another client":            {may(map[string]any{"iss": isBot["iss"], "sub": isBot["sub"], "client_id": "shop/other"}, same), refusedBy("mayAct", MayAct)},
		"F207: a may_act that names the actor stands in for rules":          {may(isBot, noRules), withAct(botAct)},
		"F207: not where the policy says otherwise":                         {may(isBot, func(p *Policy, r *Request) { noRules(p, r); p.Actor.HonorMayAct = false }), refusedBy("actorRules", ActorRule)},
		"F207: one that names the client stands in for nothing":             {may(map[string]any{"client_id": "shop/frontend"}, noRules), refusedBy("actorRules", ActorRule)},
		"F207: it stands in for rules only: the issuer must be named":       {may(isBot, func(p *Policy, _ *Request) { p.Actor.Issuers = []string{"corp"} }), refusedBy("actorNamed", ActorIssuer)},
		"F207: it stands in for rules only: the token must be for us":       {may(isBot, func(_ *Policy, r *Request) { r.Actor.Audiences = []string{"shop/other"} }), refusedBy("actorAudience", ActorAudience)},
		"F207: it stands in for rules only: actors must be admitted at all": {may(isBot, func(p *Policy, _ *Request) { p.Actor = ActorPolicy{} }), refusedBy("actor", ActorForbidden)},
		"R33: may_act names the current actor of the token, which counts as presented": {func(s *Spec, r *Request) {
			delegating(s)
			r.Subject = nursed()
			r.Subject.MayAct = told("nurse")
		}, withAct(nurseAct)},
		"F143: may_act names neither the current actor of the token nor the client": {func(s *Spec, r *Request) {
			delegating(s)
			r.Subject = nursed()
			r.Subject.MayAct = told("doctor")
		}, refusedBy("mayAct", MayAct)},
		"F143: may_act names the current actor, and another comes": {may(told("nurse"), func(_ *Policy, r *Request) {
			mayAct := r.Subject.MayAct
			r.Subject = nursed()
			r.Subject.MayAct = mayAct
		}), refusedBy("mayAct", MayAct)},
		"F143: without may_act the rules decide": {acted(func(p *Policy, r *Request) { noRules(p, r) }), refusedBy("actorRules", ActorRule)},
	}
}
