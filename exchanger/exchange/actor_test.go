// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// admitting lets people of corp act at every target, two deep.
func admitting(s *policy.Spec) {
	for i := range s.Policies {
		s.Policies[i].Actor = policy.ActorPolicy{
			Use: policy.ActorsOptional, Issuers: []string{"corp"}, SelfOrigins: []string{"corp"}, MaxDepth: 2, HonorMayAct: true,
			Audience: policy.AudienceRule{Match: policy.AudienceClient}, Rules: []policy.Rule{{Expression: "'corp:staff' in actor.groups"}},
		}
	}
}

// acting adds an actor token to a form.
func acting(token string, over url.Values) url.Values {
	v := url.Values{"actor_token": {token}, "actor_token_type": {oauth.URNAccessToken}}
	for k, values := range over {
		v[k] = values
	}
	return v
}

func TestAnActorStandsInTheTokenAndInTheRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change(admitting)
	response := granted(t, w.exchange(form(w.token(claims{"may_act": claims{"sub": "bob"}}), acting(w.token(claims{"sub": "bob"}), nil))))
	got := w.claimsOf(response.AccessToken)
	t.Run("R27, R36: act names the actor as its token does, and the client that asked", func(t *testing.T) {
		want := claims{"iss": corpURL, "sub": "bob", "client_id": app}
		if !reflect.DeepEqual(got["act"], want) || got["sub"] != "corp:alice" {
			t.Errorf("act %v of %v, want %v", got["act"], got["sub"], want)
		}
	})
	t.Run("R33: may_act stays", func(t *testing.T) {
		if want := (claims{"iss": corpURL, "sub": "bob"}); !reflect.DeepEqual(got["may_act"], want) {
			t.Errorf("may_act %v, want %v", got["may_act"], want)
		}
	})
	t.Run("the record has the actor and all digests", func(t *testing.T) {
		r := w.sink.last(t)
		if r.Actor != (audit.Identity{Issuer: "corp", Subject: "corp:bob"}) || r.Subject.Subject != "corp:alice" || len(r.TokensIn) != 2 {
			t.Errorf("actor %+v, subject %+v, %d digests", r.Actor, r.Subject, len(r.TokensIn))
		}
	})
	t.Run("at the next hop the actor is judged by what was sealed, and stays", func(t *testing.T) {
		next := granted(t, w.exchange(form(response.AccessToken, nil)))
		again := w.claimsOf(next.AccessToken)
		if !reflect.DeepEqual(again["act"], got["act"]) {
			t.Errorf("act %v, want %v", again["act"], got["act"])
		}
		if r := w.sink.last(t); r.Actor != (audit.Identity{Issuer: "corp", Subject: "corp:bob"}) {
			t.Errorf("actor %+v", r.Actor)
		}
	})
	t.Run("a token with act goes nowhere where actors are forbidden, whatever type is asked for", func(t *testing.T) {
		w.change(func(s *policy.Spec) {
			for i := range s.Policies {
				s.Policies[i].Actor = policy.ActorPolicy{}
			}
		})
		for _, wanted := range []string{"", oauth.URNJWT, oauth.URNAccessToken} {
			refused(t, w.exchange(form(response.AccessToken, url.Values{"requested_token_type": {wanted}})), policy.ActorForbidden)
		}
	})
}

func TestF206AnActorTokenIsVerifiedAsTheSubjectTokenIs(t *testing.T) {
	t.Parallel()
	now := func(w *world) time.Time { return w.Now() }
	for name, c := range map[string]struct {
		token  func(w *world) string
		reason policy.Reason
		check  string
	}{
		"F206: no token":                 {func(*world) string { return "nonsense" }, policy.TokenMalformed, "actorToken"},
		"F206: a stranger's":             {func(w *world) string { return w.token(claims{"iss": "https://evil.example"}) }, policy.IssuerUnknown, "actorToken"},
		"F206: signed with another key":  {func(w *world) string { return w.sign(w.signer, "at+jwt", claims{"iss": corpURL, "sub": "bob"}, nil) }, policy.TokenSignature, "actorToken"},
		"F206: expired":                  {func(w *world) string { return w.token(claims{"sub": "bob", "exp": now(w).Add(-time.Minute).Unix()}) }, policy.TokenExpired, "actorTime"},
		"F206: without exp":              {func(w *world) string { return w.token(claims{"sub": "bob", "exp": nil}) }, policy.TokenMalformed, "actorToken"},
		"F206: for another client":       {func(w *world) string { return w.token(claims{"sub": "bob", "aud": signer}) }, policy.ActorAudience, "actorAudience"},
		"F206: azp and client_id differ": {func(w *world) string { return w.token(claims{"sub": "bob", "azp": "a", "client_id": "b"}) }, policy.ActorAudience, "actorToken"},
		"F206: of another class":         {func(w *world) string { return w.token(claims{"sub": "bob", "events": claims{}}) }, policy.TokenClass, "actorToken"},
		"F206: whom no rule admits":      {func(w *world) string { return w.token(claims{"sub": "bob", "groups": []string{"guests"}}) }, policy.ActorRule, "actorRules"},
		"F206: with unknown groups":      {func(w *world) string { return w.token(claims{"sub": "bob", "groups": nil}) }, policy.ActorRule, "actorRules"},
		"F204: with an act of its own": {func(w *world) string {
			return w.token(claims{"sub": "bob", "act": claims{"iss": corpURL, "sub": "eve"}})
		}, policy.ActorDepth, "actorBare"},
		"R39: bound to a key": {func(w *world) string { return w.token(claims{"sub": "bob", "cnf": claims{"jkt": "x"}}) }, policy.SubjectBinding, "binding"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.change(admitting)
			refused(t, w.exchange(form(w.token(nil), acting(c.token(w), nil))), c.reason)
			if r := w.sink.last(t); r.Check != c.check || len(r.TokensIn) != 2 {
				t.Errorf("refused by %s with %d digests, want %s", r.Check, len(r.TokensIn), c.check)
			}
		})
	}
	t.Run("F206: of an issuer that is not for actors, before anything is fetched", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.change(admitting, func(s *policy.Spec) { s.Issuers[0].ForActor = false })
		before := w.fetches.asked.Load()
		refused(t, w.exchange(form(w.token(nil), acting(w.token(claims{"sub": "bob"}), nil))), policy.IssuerUnknown)
		if n := w.fetches.asked.Load() - before; n > 1 {
			t.Errorf("%d keys were asked for, want the subject's", n)
		}
	})
	t.Run("F206: one that was remembered as a subject's", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.change(admitting)
		bob := w.token(claims{"sub": "bob"})
		for range 3 {
			granted(t, w.exchange(form(bob, nil)))
		}
		w.change(func(s *policy.Spec) { s.Issuers[0].ForActor = false })
		refused(t, w.exchange(form(w.token(nil), acting(bob, nil))), policy.IssuerUnknown)
	})
	t.Run("F34, F48: what was revoked", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.change(admitting)
		bob := w.token(claims{"sub": "bob"})
		w.advance(time.Second)
		w.change(func(s *policy.Spec) { s.Issuers[0].RevokeIssuedBefore = w.Now() })
		refused(t, w.exchange(form(w.token(claims{"iat": w.Now().Add(time.Second).Unix()}), acting(bob, nil))), policy.TokenRevoked)
	})
}

// impersonating lets members of corp:support at app be members of corp:staff.
func impersonating(s *policy.Spec) {
	for i := range s.Policies {
		s.Policies[i].Impersonation = true
	}
	s.Grants = []policy.ImpersonationGrantSpec{{
		Name: "support", TokenService: mainService, Clients: []string{app}, Groups: []string{"corp:support"},
		SubjectGroups: []string{"corp:staff"}, ExcludeGroups: []string{"corp:admins"}, FromSubjectToken: true, FromRequest: true,
		Targets: []string{images}, Scopes: []string{"images"}, NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), MaxLifetime: 2 * time.Minute,
		ReasonRequired: true,
		Known: []policy.KnownSubject{
			{Subject: "corp:clerk", Username: "clerk", Groups: []string{"corp:staff"}, Extra: map[string]any{"tenant": "acme"}},
			{Subject: "corp:root", Groups: []string{"corp:staff", "corp:admins"}, Extra: map[string]any{"tenant": "acme"}},
		},
	}}
}

func TestImpersonationIsToldToTheRecordAndTheTarget(t *testing.T) {
	t.Parallel()
	asked := url.Values{"requested_subject": {"corp:clerk"}, "reason": {"ticket 7"}}
	supporter := claims{"sub": "sam", "groups": []string{"support"}, "tenant": "helpdesk"}
	wanted := claims{"iss": corpURL, "sub": "sam", "client_id": app, "grant": "support"}
	t.Run("F46, R30: requested_subject", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.change(impersonating)
		got := w.claimsOf(granted(t, w.exchange(form(w.token(supporter), asked))).AccessToken)
		if got["sub"] != "corp:clerk" || got["tenant"] != "acme" || got["act"] != nil || !reflect.DeepEqual(got["impersonator"], wanted) {
			t.Errorf("sub %v, tenant %v, act %v, impersonator %v", got["sub"], got["tenant"], got["act"], got["impersonator"])
		}
		r := w.sink.last(t)
		by := audit.Impersonator{Issuer: corpURL, Subject: "sam", ClientID: app, Grant: "support"}
		if r.Impersonator == nil || *r.Impersonator != by || r.Subject != (audit.Identity{Issuer: "corp", Subject: "corp:clerk"}) ||
			r.RequestedSubject != "corp:clerk" || r.StatedReason != "ticket 7" {
			t.Errorf("record %+v by %+v, %q because %q", r.Subject, r.Impersonator, r.RequestedSubject, r.StatedReason)
		}
		if exp, iat := got["exp"].(int64), got["iat"].(int64); exp-iat != 120 {
			t.Errorf("it lives from %d to %d, want two minutes", iat, exp)
		}
	})
	t.Run("a subject token and the impersonator's actor token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.change(impersonating)
		got := w.claimsOf(granted(t, w.exchange(form(w.token(nil), acting(w.token(supporter), url.Values{"reason": {"ticket 7"}})))).AccessToken)
		if got["sub"] != "corp:alice" || got["act"] != nil || !reflect.DeepEqual(got["impersonator"], wanted) {
			t.Errorf("sub %v, act %v, impersonator %v", got["sub"], got["act"], got["impersonator"])
		}
	})
	t.Run("what was made under a grant goes no further once the grant is gone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.change(impersonating)
		made := granted(t, w.exchange(form(w.token(supporter), asked))).AccessToken
		again := w.claimsOf(granted(t, w.exchange(form(made, nil))).AccessToken)
		if !reflect.DeepEqual(again["impersonator"], wanted) {
			t.Errorf("impersonator %v", again["impersonator"])
		}
		refused(t, w.exchange(form(made, url.Values{"audience": {contacts}, "scope": {"contacts"}})), policy.ImpersonationGrant)
		w.change(func(s *policy.Spec) { s.Grants = nil })
		refused(t, w.exchange(form(made, nil)), policy.ImpersonationGrant)
	})
	t.Run("unknown and forbidden subjects are answered alike, before anything that differs", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.change(impersonating, func(s *policy.Spec) {
			s.Policies[1].SubjectRules = []policy.Rule{{Expression: "subject.claims.nope == 'x'"}}
		})
		var answers []oauth.WireError
		for _, subject := range []string{"corp:root", "corp:nobody", "system:admin", "x"} {
			answer := w.exchange(form(w.token(supporter), url.Values{"requested_subject": {subject}, "reason": {"r"}}))
			refused(t, answer, policy.ImpersonationGrant)
			answers = append(answers, oauth.ErrorFor(answer.Refusal.Reason))
		}
		if len(slices.Compact(answers)) != 1 {
			t.Errorf("answers %+v", answers)
		}
	})
	t.Run("a reason with control characters, or one of a book, is no reason", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.change(impersonating)
		for _, reason := range []string{"a\nb", "a\x00", string(make([]byte, 513)), "\xff"} {
			refused(t, w.exchange(form(w.token(supporter), url.Values{"requested_subject": {"corp:clerk"}, "reason": {reason}})), policy.FormInvalid)
		}
		refused(t, w.exchange(form(w.token(supporter), url.Values{"requested_subject": {"corp:clerk"}})), policy.ImpersonationReason)
	})
}
