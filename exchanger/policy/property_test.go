// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawWorld draws a small installation in which names collide often enough that
// much is allowed and much is not.
func drawWorld(t *rapid.T) *Spec {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	some := func(label string, from ...string) []string {
		var out []string
		for _, f := range from {
			if rapid.Bool().Draw(t, label+f) {
				out = append(out, f)
			}
		}
		return out
	}
	yes := func(label string) bool { return rapid.IntRange(0, 3).Draw(t, label) != 2 }
	rare := func(label string) bool { return rapid.IntRange(0, 15).Draw(t, label) == 11 } // draws favour small numbers
	spec := world()
	scopes := []string{"images", "contacts", "wide"}
	for i := range spec.Clients {
		c := &spec.Clients[i]
		c.Suspended = rare("suspended")
		if rare("lifetime") {
			c.Lifetime = time.Duration(rapid.IntRange(5, 900).Draw(t, "clientLifetime")) * time.Second
		}
		if rare("clientRevoke") {
			c.RevokeIssuedBefore = now().Add(-time.Duration(rapid.IntRange(0, 300).Draw(t, "clientRevokeAt")) * time.Second)
		}
	}
	for i := range spec.Issuers {
		spec.Issuers[i].Suspended = rare("issuerSuspended")
		if rare("issuerRevoke") {
			spec.Issuers[i].RevokeIssuedBefore = now().Add(-time.Duration(rapid.IntRange(0, 300).Draw(t, "issuerRevokeAt")) * time.Second)
		}
	}
	spec.Scopes = slices.DeleteFunc(spec.Scopes, func(s Scope) bool { return s.Parameter != "" || s.Name == "silent" })
	for i := range spec.Scopes {
		s := &spec.Scopes[i]
		if rare("scopeAll") {
			s.AllTargets, s.Targets = true, nil
		}
		if rare("scopeRule") {
			s.Rules = []Rule{{Expression: pick("scopeRuleIs", "true", "false", "error")}}
		}
	}
	spec.Policies = nil
	for n := range rapid.SampledFrom([]int{4, 3, 5, 2, 1, 0}).Draw(t, "policies") {
		p := Policy{
			Namespace: pick("ns", "media", "media", "media", "shop"), Name: fmt.Sprintf("p%d", rapid.IntRange(0, 99).Draw(t, "name")*10+n), TokenService: "default",
			AuditOnly: rare("audit"), AllClients: rare("all"), Clients: some("client", "shop/frontend", "shop/other"),
			SubjectIssuers: some("issuer", "corp", "corp2", "k8s"), SelfOrigins: some("origin", "corp"),
			SubjectClasses:  []Class{ClassAccessToken, ClassIDToken},
			SubjectAudience: AudienceRule{Match: AudienceMatch(pick("match", "Client", "Client", "Issuer", "AnyOf")), AnyOf: some("anyOf", "gateway")},
			Targets:         some("target", "media/images-resource", "media/contacts-resource", "shop/frontend"),
			Scopes:          some("scope", scopes...), AddScopes: rare("add"), NarrowExcess: rare("narrow"),
			TokenTypes: []TokenType{TypeAccessToken},
		}
		if yes("good") {
			base := world().Policies[rapid.IntRange(0, 1).Draw(t, "base")]
			base.Name, base.AuditOnly, base.AllClients, base.AddScopes, base.NarrowExcess = p.Name, p.AuditOnly, p.AllClients, p.AddScopes, p.NarrowExcess
			base.SelfOrigins = []string{"corp"}
			if yes("scopes") {
				base.Scopes = p.Scopes
			}
			p = base
			p.Scopes = slices.DeleteFunc(slices.Clone(p.Scopes), func(s string) bool { return s == "org" || s == "silent" })
		}
		if rare("defaults") {
			p.DefaultScopesSet, p.DefaultScopes = true, some("default", scopes...)
		}
		if rare("rule") {
			p.SubjectRules = []Rule{{Expression: pick("ruleIs", "true", "false", "error")}}
		}
		if rare("policyLifetime") {
			p.Lifetime = time.Duration(rapid.IntRange(5, 900).Draw(t, "policyLifetimeIs")) * time.Second
		}
		if rare("claim") {
			p.Claims = []Claim{{"tenant", pick("claimIs", "text a", "text b", "error")}}
		}
		drawOthers(t, &p)
		spec.Policies = append(spec.Policies, p)
	}
	drawGrants(t, spec)
	return spec
}

// drawOthers draws who may act, and whether anybody may be impersonated.
func drawOthers(t *rapid.T, p *Policy) {
	p.Impersonation = rapid.IntRange(0, 2).Draw(t, "impersonation") == 1
	if use := rapid.SampledFrom([]ActorUse{ActorsForbidden, ActorsOptional, ActorsOptional, ActorsRequired}).Draw(t, "use"); use != ActorsForbidden {
		p.Actor = ActorPolicy{
			Use: use, Issuers: []string{"corp", "k8s"}, SelfOrigins: []string{"corp"}, Audience: AudienceRule{Match: AudienceClient},
			MaxDepth: rapid.IntRange(1, 3).Draw(t, "depth"), HonorMayAct: rapid.Bool().Draw(t, "honor"),
		}
		if rapid.IntRange(0, 3).Draw(t, "actorIssuer") == 2 {
			p.Actor.Issuers = []string{"k8s"}
		}
		if rapid.IntRange(0, 3).Draw(t, "actorRule") == 2 {
			p.Actor.Rules = []Rule{{Expression: rapid.SampledFrom([]string{"true", "false", "error"}).Draw(t, "actorRuleIs")}}
		}
	}
}

// drawGrants draws grants of the kind that the request may be made under.
func drawGrants(t *rapid.T, spec *Spec) {
	for n := range rapid.IntRange(0, 2).Draw(t, "grants") {
		base := world()
		g := *granting(base)
		g.Name = []string{"support", "also"}[n]
		odd := func(label string) bool { return rapid.IntRange(0, 7).Draw(t, label) == 5 }
		if odd("grantTargets") {
			g.Targets = g.Targets[:1]
		}
		if odd("grantScopes") {
			g.Scopes = []string{"images"}
		}
		if odd("grantEnds") {
			g.NotAfter = now().Add(time.Duration(rapid.IntRange(-1, 60).Draw(t, "grantEnd")) * time.Second)
		}
		if odd("grantSource") {
			g.FromRequest = false
		}
		g.ReasonRequired = odd("grantReason")
		g.MaxLifetime = time.Duration(rapid.IntRange(60, 600).Draw(t, "grantLife")) * time.Second
		spec.Grants = append(spec.Grants, g)
	}
}

// drawParties draws who acts, and who is to be impersonated by whom.
func drawParties(t *rapid.T, r *Request) {
	switch rapid.IntRange(0, 9).Draw(t, "parties") {
	case 1, 2:
		r.Actor, r.ActorAs = bot(), AsJWT
	case 3:
		r.Actor, r.ActorAs = sam(), AsAccessToken
	case 4:
		r.Subject = nursed()
	case 5:
		r.Subject = nursed()
		r.Actor, r.ActorAs = bot(), AsJWT
	case 6:
		r.Subject, r.RequestedSubject = sam(), rapid.SampledFrom([]string{"corp:boss", "corp:clerk", "corp:root", "corp:ghost", "corp:unknown"}).Draw(t, "requested")
	case 7:
		r.Subject = made()
	case 8:
		r.Subject = alice()
		r.Subject.Act = told("nurse")
	}
	if rapid.IntRange(0, 7).Draw(t, "mayAct") == 5 {
		r.Subject.MayAct = rapid.SampledFrom([]map[string]any{
			told("nurse"), told("sam"), {"iss": "https://sts.example", "sub": "shop/frontend"}, {"iss": "https://k8s.example", "sub": "system:serviceaccount:agents:bot"},
		}).Draw(t, "may")
	}
	if r.Actor != nil && rapid.IntRange(0, 7).Draw(t, "actorOdd") == 5 {
		r.Actor.ExpiresAt = now().Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "actorExp")) * time.Second)
	}
	if rapid.Bool().Draw(t, "why") {
		r.Reason = "ticket 7"
	}
}

func drawRequest(t *rapid.T) *Request {
	r := ask()
	if rapid.IntRange(0, 3).Draw(t, "own") == 2 {
		r.Subject = own()
	}
	drawParties(t, r)
	some := func(label string, from ...string) []string {
		var out []string
		for _, f := range from {
			if rapid.Bool().Draw(t, label+f) {
				out = append(out, f)
			}
		}
		return out
	}
	r.Client.ID = rapid.SampledFrom([]string{"shop/frontend", "shop/frontend", "shop/frontend", "shop/other", "hr/api"}).Draw(t, "asking")
	r.Audiences = rapid.SampledFrom([][]string{
		{"media/images-resource"}, {"media/contacts-resource"}, {"media/images-resource", "media/contacts-resource"}, nil,
	}).Draw(t, "audience")
	if rapid.IntRange(0, 7).Draw(t, "odd") == 5 {
		r.Audiences = some("oddAudience", "hr/api", "nobody", "media/img", "shop/frontend")
	}
	if rapid.IntRange(0, 7).Draw(t, "resource") == 5 {
		r.Resources = []string{"https://images.media.example/api"}
	}
	r.Scopes = rapid.SampledFrom([][]string{{"images"}, {"contacts"}, {"wide"}, {"images", "contacts"}, {"images", "wide"}, {"contacts", "images", "wide"}}).Draw(t, "asked")
	if rapid.IntRange(0, 3).Draw(t, "noScope") == 0 {
		r.Scopes = nil
	}
	r.ScopesGiven = len(r.Scopes) > 0
	r.Subject.Scopes = []string{"contacts", "images", "wide"}
	if rapid.IntRange(0, 3).Draw(t, "fewer") == 2 {
		r.Subject.Scopes = some("held", "images", "contacts", "wide")
	}
	r.Subject.Audiences = rapid.SampledFrom([][]string{{"shop/frontend"}, {"shop/frontend"}, {"shop/frontend", "gateway"}, {"shop/frontend"}, {"gateway"}, {"shop/web"}, {"https://sts.example/corp"}, nil}).Draw(t, "aud")
	r.Subject.ExpiresAt = now().Add(time.Duration(rapid.SampledFrom([]int{900, 300, 601, 50, 9, 10, -10, -40}).Draw(t, "exp")) * time.Second)
	if rapid.IntRange(0, 15).Draw(t, "cnf") == 11 {
		r.Subject.Confirmed = true
	}
	return r
}

func mustCompile(t interface{ Fatal(...any) }, spec *Spec) *Snapshot {
	s, err := Compile(spec, 1, words{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestF195DecideAgreesWithASlowReferenceEvaluator(t *testing.T) {
	t.Parallel()
	allowed, withOthers := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		spec := drawWorld(t)
		snap := mustCompile(t, spec)
		for range 20 {
			if r := drawRequest(t); agree(t, spec, snap, r) {
				allowed++
				if r.Actor != nil || r.Subject.Act != nil || r.RequestedSubject != "" || r.Subject.Under != "" {
					withOthers++
				}
			}
		}
	})
	t.Logf("%d draws were allowed, %d with others", allowed, withOthers)
	if allowed < 30 || withOthers < 5 {
		t.Errorf("%d draws were allowed: they prove nothing", allowed)
	}
}

// agree fails when Decide and the reference differ, and says whether both allow.
func agree(t *rapid.T, spec *Spec, snap *Snapshot, r *Request) bool {
	d := snap.Decide(r)
	want, ok := reference{spec: spec, req: r}.decide()
	g, got := d.Grant()
	if got != ok {
		t.Fatalf("decided %v (%s by %s: %s), the reference says %v", got, d.Reason, d.Check, d.Detail, ok)
	}
	if !ok {
		return false
	}
	var policies []string
	for _, tp := range g.Targets {
		policies = append(policies, tp.Policy)
	}
	slices.Sort(policies)
	slices.Sort(want.policies)
	if strings.Join(g.Granted, " ") != strings.Join(want.scopes, " ") || !sameSet(g.Audiences, want.audience) ||
		!g.ExpiresAt.Equal(want.expires.Truncate(time.Second)) || !slices.Equal(policies, want.policies) || g.Sealed.Under != want.grant {
		t.Fatalf("granted %v %v %v %v, the reference %+v", g.Granted, g.Audiences, g.ExpiresAt, policies, want)
	}
	return true
}

func TestF193WhatIsGrantedLiesWithinWhatWasAskedHeldAndAllowed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec, r := drawWorld(t), drawRequest(t)
		d := mustCompile(t, spec).Decide(r)
		g, ok := d.Grant()
		if !ok {
			return
		}
		if g.ExpiresAt.After(r.Subject.ExpiresAt) {
			t.Fatal("outlives the subject token")
		}
		for _, s := range g.Granted {
			if r.ScopesGiven && !slices.Contains(r.Scopes, s) {
				t.Fatalf("scope %s was not asked for", s)
			}
			for _, tp := range g.Targets {
				p := find(spec.Policies, func(p Policy) bool { return p.Namespace+"/"+p.Name == tp.Policy })
				sc := find(spec.Scopes, func(x Scope) bool { return x.Namespace == p.Namespace && x.Scope == s })
				if !sc.AllTargets && !slices.Contains(sc.Targets, tp.Target) {
					continue
				}
				if !slices.Contains(p.Scopes, s) || (!p.AddScopes && !slices.Contains(r.Subject.Scopes, s)) {
					t.Fatalf("policy %s does not grant scope %s", tp.Policy, s)
				}
			}
		}
	})
}

func TestF192RemovingAnyObjectNeverTurnsADenialIntoAnAllowance(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec, r := drawWorld(t), drawRequest(t)
		before := mustCompile(t, spec).Decide(r)
		less := *spec
		switch rapid.IntRange(0, 4).Draw(t, "remove") {
		case 0:
			less.Policies = without(t, spec.Policies)
		case 4:
			less.Grants = without(t, spec.Grants)
		case 1:
			less.Clients = without(t, spec.Clients)
		case 2:
			less.Issuers = without(t, spec.Issuers)
		case 3:
			less.Scopes = without(t, spec.Scopes)
		}
		after := mustCompile(t, &less).Decide(r)
		if before.Outcome != Allowed && after.Outcome == Allowed {
			t.Fatalf("refused with %s before, allowed after a removal", before.Reason)
		}
	})
}

func without[T any](t *rapid.T, list []T) []T {
	if len(list) == 0 {
		return list
	}
	i := rapid.IntRange(0, len(list)-1).Draw(t, "which")
	return slices.Delete(slices.Clone(list), i, i+1)
}

func TestF191TheOrderOfListsMakesNoDifference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec, r := drawWorld(t), drawRequest(t)
		before := mustCompile(t, spec).Decide(r)
		other := *spec
		other.Policies = rapid.Permutation(spec.Policies).Draw(t, "policies")
		other.Clients = rapid.Permutation(spec.Clients).Draw(t, "clients")
		other.Scopes = rapid.Permutation(spec.Scopes).Draw(t, "scopes")
		other.Grants = rapid.Permutation(spec.Grants).Draw(t, "grants")
		other.Issuers = rapid.Permutation(spec.Issuers).Draw(t, "issuers")
		after := mustCompile(t, &other).Decide(r)
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("%+v, and in another order %+v", before, after)
		}
	})
}

func TestF225DecideIsPure(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec, r := drawWorld(t), drawRequest(t)
		snap := mustCompile(t, spec)
		specBefore, requestBefore := encoded(t, spec), encoded(t, r)
		first, second := snap.Decide(r), snap.Decide(r)
		if !reflect.DeepEqual(first, second) {
			t.Fatal("the same request was decided in two ways")
		}
		if encoded(t, spec) != specBefore || encoded(t, r) != requestBefore {
			t.Fatal("deciding changed the snapshot or the request")
		}
	})
}

func encoded(t *rapid.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestF194OtherNamespacesObjectsChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec, r := drawWorld(t), drawRequest(t)
		r.Audiences = []string{"media/images-resource"}
		r.Resources = nil
		before := mustCompile(t, spec).Decide(r)
		more := *spec
		p := Policy{
			Namespace: "evil", Name: "aaa", TokenService: "default", AllClients: true, SubjectIssuers: []string{"corp", "k8s"}, SelfOrigins: []string{"corp"},
			SubjectClasses: []Class{ClassAccessToken, ClassIDToken, ClassJWT}, SubjectAudience: AudienceRule{Match: AudienceClient},
			Targets: []string{"media/images-resource", "evil/api"}, Scopes: []string{"images", "contacts", "wide"}, AddScopes: true, TokenTypes: []TokenType{TypeAccessToken},
		}
		more.Policies = append(slices.Clone(spec.Policies), p)
		more.Clients = append(slices.Clone(spec.Clients), Client{ID: "evil/api", Namespace: "evil", Name: "api", TokenService: "default", TokenExchange: true})
		more.Scopes = append(slices.Clone(spec.Scopes), Scope{Namespace: "evil", Name: "images", TokenService: "default", Scope: "images", Targets: []string{"media/images-resource"}, InToken: true})
		after := mustCompile(t, &more).Decide(r)
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("%+v, and with another tenant's objects %+v", before, after)
		}
	})
}

// FuzzDecide holds Decide against the reference for what a fuzzer draws.
func FuzzDecide(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		spec := drawWorld(t)
		agree(t, spec, mustCompile(t, spec), drawRequest(t))
	}))
}
