// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestF122ATokenOfOursIsASubjectOnlyWhereAPolicySaysSo(t *testing.T) {
	t.Parallel()
	hop := func(w *world, subject string) url.Values {
		return form(subject, url.Values{"client_id": {images}, "audience": {contacts}, "scope": {"contacts"}})
	}
	chain := func(s *policy.Spec) {
		for i := range s.Clients {
			if s.Clients[i].ID == images {
				s.Clients[i].TokenExchange, s.Clients[i].SecretDigests = true, []string{digest(secret)}
			}
		}
		s.Policies[0].Clients = append(s.Policies[0].Clients, images)
		s.Policies[0].AddScopes = true
	}
	for name, c := range map[string]struct {
		change func(*policy.Spec)
		reason policy.Reason
	}{
		"F122: named with its origin":        {func(*policy.Spec) {}, ""},
		"F122: not named":                    {func(s *policy.Spec) { s.Policies[0].SelfOrigins = nil }, policy.SubjectIssuer},
		"F122: named with another origin":    {func(s *policy.Spec) { s.Policies[0].SelfOrigins = []string{"partner"} }, policy.SubjectIssuer},
		"F122: the origin is gone":           {func(s *policy.Spec) { s.Issuers[0].Name = "renamed" }, policy.IssuerUnknown},
		"F122: the origin was suspended":     {func(s *policy.Spec) { s.Issuers[0].Suspended = true }, policy.IssuerSuspended},
		"F122: the origin may not any more":  {func(s *policy.Spec) { s.Issuers[0].ForSubject = false }, policy.IssuerUnknown},
		"F122: what the origin gave is void": {func(s *policy.Spec) { s.Issuers[0].RevokeIssuedBefore = now().Add(time.Hour) }, policy.TokenRevoked},
		"F122: what we gave is void":         {func(s *policy.Spec) { s.Services[0].RevokeIssuedBefore = now().Add(time.Hour) }, policy.TokenRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, chain)
			first := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
			w.change(c.change)
			answer := w.exchange(hop(w, first))
			if c.reason != "" {
				refused(t, answer, c.reason)
				return
			}
			a, b := w.claimsOf(first), w.claimsOf(granted(t, answer).AccessToken)
			if a["txn"] != b["txn"] || a["sub"] != b["sub"] || a["jti"] == b["jti"] || b["client_id"] != images {
				t.Errorf("first %v\nthen %v: want the same subject and transaction", a, b)
			}
		})
	}
}

func now() time.Time { return time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC) }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// The small worlds of the fixpoint test: four clients in two namespaces that are
// targets too, four scopes, and whatever policies come up.
func places() []string { return []string{"east/a", "east/b", "west/c", "west/d"} }

func names() []string { return []string{"read", "write", "list", "drop"} }

func namespaceOf(id string) string {
	namespace, _, _ := strings.Cut(id, "/")
	return namespace
}

func drawWorld(rt *rapid.T) func(*policy.Spec) {
	some := func(label string, list []string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(list), len(list)/2, len(list), rapid.ID[string]).Draw(rt, label)
	}
	var clients []policy.Client
	for _, id := range places() {
		_, name, _ := strings.Cut(id, "/")
		clients = append(clients, policy.Client{
			ID: id, Namespace: namespaceOf(id), Name: name, TokenService: mainService, SecretDigests: []string{digest(secret)},
			TokenExchange: rapid.IntRange(0, 9).Draw(rt, id+" may exchange") < 9,
		})
	}
	var scopes []policy.Scope
	for _, namespace := range []string{"east", "west"} {
		for _, name := range some(namespace+" scopes", names()) {
			var targets []string
			for _, id := range some(namespace+" "+name, places()) {
				if namespaceOf(id) == namespace {
					targets = append(targets, id)
				}
			}
			slices.Sort(targets)
			scopes = append(scopes, policy.Scope{
				Namespace: namespace, Name: name, TokenService: mainService, Scope: name, Targets: targets, AllTargets: len(targets) == 0, InToken: true,
			})
		}
	}
	slices.SortFunc(scopes, func(a, b policy.Scope) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	var policies []policy.Policy
	for i := range rapid.IntRange(1, 6).Draw(rt, "policies") {
		target := rapid.SampledFrom(places()).Draw(rt, "target")
		p := policy.Policy{
			Namespace: namespaceOf(target), Name: fmt.Sprintf("p%d", i), TokenService: mainService, Clients: some("clients", places()),
			SubjectClasses: []policy.Class{policy.ClassAccessToken}, SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient},
			Targets: []string{target}, Scopes: some("granted", names()), DefaultScopesSet: rapid.IntRange(0, 3).Draw(rt, "no default scope") == 3, TokenTypes: []policy.TokenType{policy.TypeAccessToken},
			AddScopes: rapid.IntRange(0, 4).Draw(rt, "adds") == 4, NarrowExcess: rapid.Bool().Draw(rt, "narrows"),
			Lifetime: time.Duration(rapid.IntRange(60, 600).Draw(rt, "lifetime")) * time.Second,
		}
		if rapid.IntRange(0, 4).Draw(rt, "audience rule") == 4 {
			p.SubjectAudience = policy.AudienceRule{Match: policy.AudienceAnyOf, AnyOf: some("any of", places())}
		}
		if rapid.IntRange(0, 3).Draw(rt, "from corp") < 3 {
			p.SubjectIssuers = []string{"corp"}
		}
		if rapid.IntRange(0, 3).Draw(rt, "from self") < 3 {
			p.SelfOrigins = []string{"corp"}
		}
		policies = append(policies, p)
	}
	slices.SortFunc(policies, func(a, b policy.Policy) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	return func(s *policy.Spec) {
		s.Services[0].ScopeOwners = nil
		s.Clients, s.Scopes, s.Policies = clients, scopes, policies
	}
}

// held is a token as the model sees it: for whom, from whom, and the most scopes
// that it can have.
type held struct {
	audience, client string // audience: the targets, joined
	scopes           []string
	own              bool
}

// reachable is the model: everything that any number of exchanges can give, by
// anybody, from one first token. It is deliberately dumb: it tries every client,
// every target and every pair of targets of one namespace with every token until
// nothing new comes up.
func reachable(s *policy.Spec, first held) map[string][]string {
	all := []held{first}
	reached := map[string][]string{} // audience and client → scopes
	for n := 0; n < len(all); n++ {
		for _, c := range s.Clients {
			if !c.TokenExchange {
				continue
			}
			for i, one := range places() {
				for _, two := range places()[i:] {
					if namespaceOf(one) != namespaceOf(two) {
						continue
					}
					targets := []string{one, two}
					if one == two {
						targets = targets[:1]
					}
					scopes, ok := mayHave(s, all[n], c.ID, targets)
					if !ok {
						continue
					}
					key := strings.Join(targets, " ") + " by " + c.ID
					before, known := reached[key]
					grown := before
					for _, scope := range scopes {
						if !slices.Contains(grown, scope) {
							grown = append(slices.Clone(grown), scope)
						}
					}
					if known && len(grown) == len(before) {
						continue
					}
					reached[key] = grown
					all = append(all, held{strings.Join(targets, " "), c.ID, grown, true})
				}
			}
		}
	}
	return reached
}

// mayHave says whether the client may get a token for all the targets from the
// one it holds, and which scopes it can have at most.
func mayHave(s *policy.Spec, from held, client string, targets []string) ([]string, bool) {
	granted := map[string]map[string]bool{} // target → scopes
	for _, target := range targets {
		for i := range s.Policies {
			p := &s.Policies[i]
			issuer := !from.own && len(p.SubjectIssuers) > 0 || from.own && len(p.SelfOrigins) > 0
			if !issuer || !slices.Contains(p.Targets, target) || !slices.Contains(p.Clients, client) || !meant(p, from, client) {
				continue
			}
			if granted[target] == nil {
				granted[target] = map[string]bool{}
			}
			for _, scope := range p.Scopes {
				if p.AddScopes || slices.Contains(from.scopes, scope) {
					granted[target][scope] = true
				}
			}
		}
		if granted[target] == nil {
			return nil, false
		}
	}
	var out []string
	for i := range s.Scopes {
		scope := &s.Scopes[i]
		if scope.Namespace != namespaceOf(targets[0]) {
			continue
		}
		belongs, all := false, true
		for _, target := range targets {
			if scope.AllTargets || slices.Contains(scope.Targets, target) {
				belongs, all = true, all && granted[target][scope.Scope]
			}
		}
		if belongs && all {
			out = append(out, scope.Scope)
		}
	}
	return out, true
}

func meant(p *policy.Policy, from held, client string) bool {
	audience := strings.Fields(from.audience)
	if p.SubjectAudience.Match == policy.AudienceClient {
		return slices.Contains(audience, client) || from.client == client
	}
	return slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(p.SubjectAudience.AnyOf, a) })
}

// kept is a token that somebody got, and how many exchanges it took.
type kept struct {
	token, audience string
	expiry          int64
	depth           int
}

// drawRequest asks at random, and more often than not for what some policy is
// about, so that there is something to be got.
func drawRequest(rt *rapid.T, s *policy.Spec, tokens []kept) (from kept, client string, targets []string, v url.Values) {
	from = rapid.SampledFrom(tokens).Draw(rt, "token")
	client, target := rapid.SampledFrom(places()).Draw(rt, "client"), rapid.SampledFrom(places()).Draw(rt, "audience")
	if rapid.IntRange(0, 9).Draw(rt, "aimed") < 9 {
		p := rapid.SampledFrom(s.Policies).Draw(rt, "policy")
		target = p.Targets[0]
		if audience := strings.Fields(from.audience); slices.Contains(p.Clients, audience[0]) {
			client = audience[0]
		} else if len(p.Clients) > 0 {
			client = rapid.SampledFrom(p.Clients).Draw(rt, "named client")
		}
	}
	targets = []string{target}
	if other := rapid.SampledFrom(places()).Draw(rt, "second audience"); other != target && rapid.IntRange(0, 4).Draw(rt, "two") == 4 {
		targets = append(targets, other)
	}
	v = form(from.token, url.Values{"client_id": {client}, "audience": targets})
	v.Del("scope")
	if asked := rapid.SliceOfNDistinct(rapid.SampledFrom(names()), 1, 2, rapid.ID[string]).Draw(rt, "scope"); rapid.IntRange(0, 2).Draw(rt, "asks") == 2 {
		v.Set("scope", strings.Join(asked, " "))
	}
	slices.Sort(targets)
	return from, client, targets, v
}

func TestF208NoSequenceOfExchangesReachesMoreThanThePoliciesSay(t *testing.T) {
	t.Parallel()
	const longest = 5
	var byDepth [longest + 1]int
	refusals := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, drawWorld(rt))
		holder := rapid.SampledFrom(places()).Draw(rt, "first holder")
		scopes := rapid.SliceOfNDistinct(rapid.SampledFrom(names()), 1, 4, rapid.ID[string]).Draw(rt, "first scopes")
		expires := w.Now().Add(time.Duration(rapid.IntRange(200, 900).Draw(rt, "life")) * time.Second).Unix()
		first := w.token(claims{"aud": holder, "scope": strings.Join(scopes, " "), "exp": expires})
		limit := reachable(w.spec, held{holder, "", scopes, false})
		tokens := []kept{{first, holder, expires, 0}}
		for range 30 {
			w.advance(time.Duration(rapid.IntRange(0, 10).Draw(rt, "wait")) * time.Second)
			from, client, targets, v := drawRequest(rt, w.spec, tokens)
			answer := w.exchange(v)
			if answer.Response == nil {
				refusals++
				continue
			}
			byDepth[from.depth+1]++
			c := w.claimsOf(answer.Response.AccessToken)
			got, audience := strings.Fields(answer.Response.Scope), strings.Join(targets, " ")
			most, ok := limit[audience+" by "+client]
			expiry := c["exp"].(int64)
			switch {
			case !ok:
				rt.Fatalf("%s reached %v, which no policy lets anybody reach from the first token", client, targets)
			case slices.ContainsFunc(got, func(s string) bool { return !slices.Contains(most, s) }):
				rt.Fatalf("%s reached %v with %v, and the policies give %v at most", client, targets, got, most)
			case v.Has("scope") && slices.ContainsFunc(got, func(s string) bool { return !slices.Contains(strings.Fields(v.Get("scope")), s) }):
				rt.Fatalf("%v were asked for, %v were given", v["scope"], got)
			case expiry > from.expiry || expiry > expires:
				rt.Fatalf("exp grew from %d to %d", from.expiry, expiry)
			case c["sub"] != "corp:alice":
				rt.Fatalf("the subject became %v", c["sub"])
			}
			if from.depth+1 < longest {
				tokens = append(tokens, kept{answer.Response.AccessToken, audience, expiry, from.depth + 1})
			}
		}
	})
	t.Logf("granted by length of the chain: %v; refused: %d", byDepth, refusals)
	if byDepth[1] < 20 || byDepth[2] < 5 || refusals < 20 {
		t.Error("the worlds are too strict or too lax to prove anything")
	}
}
