// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// people are those of the drawn worlds; sam and ann support.
func people() []string { return []string{"alice", "bob", "carol", "sam", "ann"} }

// drawParties makes the world's two policies ones that may admit actors and
// impersonation, and draws grants.
func drawParties(rt *rapid.T) func(*policy.Spec) {
	depth := rapid.IntRange(1, 4).Draw(rt, "service depth")
	var drawn []policy.Policy
	base := []policy.Policy{plainPolicy("a", images, "images"), plainPolicy("b", contacts, "contacts")}
	for i := range rapid.IntRange(2, 4).Draw(rt, "policies") {
		p := base[i%2]
		p.Name = fmt.Sprintf("%s-%d", p.Name, i)
		p.Impersonation = rapid.IntRange(0, 2).Draw(rt, "impersonation") > 0
		if use := rapid.SampledFrom([]policy.ActorUse{policy.ActorsForbidden, policy.ActorsOptional, policy.ActorsOptional, policy.ActorsRequired}).Draw(rt, "use"); use != policy.ActorsForbidden {
			p.Actor = policy.ActorPolicy{
				Use: use, Issuers: []string{"corp"}, SelfOrigins: []string{"corp"}, Audience: policy.AudienceRule{Match: policy.AudienceClient},
				MaxDepth: rapid.IntRange(1, 4).Draw(rt, "depth"), HonorMayAct: rapid.Bool().Draw(rt, "honor"),
			}
		}
		drawn = append(drawn, p)
	}
	delegation, asks := rapid.Bool().Draw(rt, "delegation"), rapid.IntRange(0, 3).Draw(rt, "grant") > 0
	return func(s *policy.Spec) {
		s.Services[0].DelegationDepth, s.Policies = depth, drawn
		if asks {
			impersonating(s)
			g := &s.Grants[0]
			g.Delegation, g.ReasonRequired, g.Targets, g.Scopes = delegation, false, []string{images, contacts}, []string{"images", "contacts"}
			for i := range s.Policies {
				s.Policies[i].Impersonation = drawn[i].Impersonation
			}
		}
	}
}

func plainPolicy(name, target, scope string) policy.Policy {
	return policy.Policy{
		Namespace: "media", Name: name, TokenService: mainService, Clients: []string{app}, SubjectIssuers: []string{"corp"}, SelfOrigins: []string{"corp"},
		SubjectClasses: []policy.Class{policy.ClassAccessToken}, SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient},
		Targets: []string{target}, Scopes: []string{scope}, AddScopes: true, TokenTypes: []policy.TokenType{policy.TypeAccessToken, policy.TypeJWT},
	}
}

// has is a token with what it says.
type has struct {
	token string
	says  claims
}

// chainOf lists the actors of a token, outermost first.
func chainOf(says claims) []claims {
	var out []claims
	for act, ok := says["act"].(claims); ok; act, ok = act["act"].(claims) {
		out = append(out, claims{"iss": act["iss"], "sub": act["sub"]})
	}
	return out
}

// Whatever is exchanged for whatever in whatever order: nobody who acts or
// impersonates is ever lost on the way, no chain is longer than it may be or has
// anybody twice, nothing lives longer, and nobody becomes somebody else without a
// grant.
func TestF208NoSequenceOfExchangesForgetsAnybody(t *testing.T) {
	t.Parallel()
	var granted, acted, impersonated, nested int
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, drawParties(rt))
		groups := map[string][]string{"sam": {"support"}, "ann": {"support"}, "alice": {"staff"}, "bob": {"staff"}, "carol": {"staff", "admins"}}
		var all []has
		for _, who := range people() {
			over := claims{"sub": who, "groups": groups[who], "exp": w.Now().Add(time.Duration(rapid.IntRange(60, 600).Draw(rt, "life")) * time.Second).Unix()}
			if rapid.IntRange(0, 5).Draw(rt, "may act") == 4 {
				over["may_act"] = claims{"sub": rapid.SampledFrom(people()).Draw(rt, "who may")}
			}
			says := maps.Clone(over)
			says["iss"] = corpURL
			all = append(all, has{w.token(over), says})
		}
		for range 30 {
			from := rapid.SampledFrom(all).Draw(rt, "token")
			target, scope := images, "images"
			if rapid.Bool().Draw(rt, "other") {
				target, scope = contacts, "contacts"
			}
			over := url.Values{"audience": {target}, "scope": {scope}, "requested_token_type": {rapid.SampledFrom([]string{"", oauth.URNJWT}).Draw(rt, "type")}}
			var actor has
			switch rapid.IntRange(0, 3).Draw(rt, "with") {
			case 1, 2:
				actor = rapid.SampledFrom(all).Draw(rt, "actor")
				over.Set("actor_token", actor.token)
				over.Set("actor_token_type", oauth.URNAccessToken)
			case 3:
				over.Set("requested_subject", rapid.SampledFrom([]string{"corp:clerk", "corp:root", "corp:ghost"}).Draw(rt, "requested"))
			}
			answer := w.exchange(form(from.token, over))
			if answer.Response == nil {
				continue
			}
			granted++
			next := has{answer.Response.AccessToken, w.claimsOf(answer.Response.AccessToken)}
			if problem := forgets(w, from, actor, next, over); problem != "" {
				rt.Fatalf("%s\nfrom  %v\nactor %v\ngives %v", problem, from.says, actor.says, next.says)
			}
			if next.says["act"] != nil {
				acted++
			}
			if len(chainOf(next.says)) > 1 {
				nested++
			}
			if next.says["impersonator"] != nil {
				impersonated++
			}
			all = append(all, next)
		}
	})
	t.Logf("%d granted, %d with an actor, %d with several, %d impersonated", granted, acted, nested, impersonated)
	if granted < 100 || acted < 20 || nested < 5 || impersonated < 20 {
		t.Error("the worlds are too strict to prove anything")
	}
}

// forgets says what is wrong with a token that was given for another.
func forgets(w *world, from, actor, next has, asked url.Values) string {
	before, after := chainOf(from.says), chainOf(next.says)
	subject := "corp:" + fmt.Sprint(from.says["sub"])
	if from.says["iss"] == mainIssuer {
		subject = fmt.Sprint(from.says["sub"])
	}
	begins := asked.Get("requested_subject") != "" || actor.token != "" && len(after) == len(before) ||
		actor.token != "" && w.spec.Grants != nil && w.spec.Grants[0].Delegation && len(before) == 0
	tail := after[max(len(after)-len(before), 0):]
	mayAct := from.says["may_act"]
	if m, ok := mayAct.(claims); ok && m["iss"] == nil {
		mayAct = claims{"iss": corpURL, "sub": m["sub"]}
	}
	switch {
	case next.says["exp"].(int64) > from.says["exp"].(int64) || actor.token != "" && next.says["exp"].(int64) > actor.says["exp"].(int64):
		return "it lives longer"
	case !reflect.DeepEqual(tail, before) && len(before) > 0:
		return "an actor is lost, or another one"
	case len(after) > len(before)+1 || len(after) > w.spec.Services[0].DelegationDepth:
		return "the chain is too long"
	case len(after) > len(before) && actor.token == "" && !begins:
		return "somebody acts who was not there"
	case !reflect.DeepEqual(next.says["may_act"], mayAct):
		return "may_act is another"
	case from.says["impersonator"] != nil && !reflect.DeepEqual(next.says["impersonator"], from.says["impersonator"]):
		return "the impersonator is lost, or another one"
	case from.says["impersonator"] == nil && next.says["impersonator"] != nil && !begins:
		return "somebody impersonates out of nothing"
	case asked.Get("requested_subject") != "" && (next.says["sub"] != "corp:clerk" || next.says["impersonator"] == nil && next.says["act"] == nil || len(before) > 0):
		return "a requested subject without trace, or one that nobody may be"
	case asked.Get("requested_subject") == "" && next.says["sub"] != subject:
		return "the subject is another"
	case actor.token != "" && next.says["act"] == nil && next.says["impersonator"] == nil:
		return "the actor token was ignored"
	}
	for i, a := range after {
		if a["iss"] == corpURL && next.says["sub"] == "corp:"+fmt.Sprint(a["sub"]) || a["sub"] == next.says["sub"] || slices.ContainsFunc(after[:i], func(b claims) bool { return reflect.DeepEqual(a, b) }) {
			return "somebody acts twice, or for himself"
		}
	}
	return ""
}
