// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

func scopeCases() map[string]decideCase {
	scopes := func(asked ...string) func(*Spec, *Request) {
		return func(_ *Spec, r *Request) { r.Scopes, r.ScopesGiven = asked, len(asked) > 0 }
	}
	images := func(change func(*Policy), asked ...string) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			change(policyNamed(s, "images"))
			r.Scopes, r.ScopesGiven = asked, len(asked) > 0
		}
	}
	return map[string]decideCase{
		"a scope that the namespace does not have is unknown":                 {scopes("videos"), refusedBy("scopesKnown", ScopeUnknown)},
		"a scope of another target of the namespace is unknown here":          {scopes("contacts"), refusedBy("scopesKnown", ScopeUnknown)},
		"F43: a scope that the policy does not grant is refused":              {images(func(p *Policy) { p.Scopes = []string{"wide"} }, "images"), refusedBy("scopes", ScopeNotGranted)},
		"F197: a policy without scopes grants none that is asked for":         {images(func(p *Policy) { p.Scopes = nil }, "images"), refusedBy("scopes", ScopeNotGranted)},
		"F203: a scope that the subject does not hold is refused":             {scopes("wide"), refusedBy("scopes", ScopeNotHeld)},
		"F203: a policy that spells the widening may add a scope":             {images(func(p *Policy) { p.AddScopes = true }, "wide"), granted("wide")},
		"F43: excess that the policy narrows is left out":                     {images(func(p *Policy) { p.NarrowExcess = true }, "images", "wide"), granted("images")},
		"excess that leaves nothing is refused":                               {images(func(p *Policy) { p.NarrowExcess = true }, "wide"), refusedBy("scopeRules", ScopeNotGranted)},
		"F42: no scope asked gives what the subject holds within the policy":  {scopes(), granted("images")},
		"F42: the policy's defaults are bounded by what the subject holds":    {images(func(p *Policy) { p.DefaultScopesSet, p.DefaultScopes = true, []string{"images", "wide"} }), granted("images")},
		"F42: defaults of which nothing is left are refused":                  {images(func(p *Policy) { p.DefaultScopesSet, p.DefaultScopes = true, []string{"wide"} }), refusedBy("scopeRules", ScopeNotGranted)},
		"F42: a policy that may add scopes has no defaults of its own accord": {images(func(p *Policy) { p.AddScopes = true }), refusedBy("scopeRules", ScopeNotGranted)},
		"a policy that may add scopes grants its defaults":                    {images(func(p *Policy) { p.AddScopes, p.DefaultScopesSet, p.DefaultScopes = true, true, []string{"wide"} }), granted("wide")},
		"defaultScopes [] is a token without scope":                           {images(func(p *Policy) { p.DefaultScopesSet = true }), granted("")},
		"target.scopes [] is a token without scope":                           {images(func(p *Policy) { p.Scopes = nil }), granted("")},
		"a scope whose rule is false is refused when it was asked for": {func(s *Spec, _ *Request) {
			scopeNamed(s, "images").Rules = []Rule{{Expression: "false"}}
		}, refusedBy("scopeRules", ScopeRule)},
		"a scope whose rule is false is left out when it was not asked for": {func(s *Spec, r *Request) {
			scopeNamed(s, "images").Rules = []Rule{{Expression: "false"}}
			r.Scopes, r.ScopesGiven, r.Subject.Scopes = nil, false, []string{"images", "wide"}
		}, granted("wide")},
		"F212: a scope whose rule errs is refused, also when it was not asked for": {func(s *Spec, r *Request) {
			scopeNamed(s, "images").Rules = []Rule{{Expression: "error"}}
			r.Scopes, r.ScopesGiven = nil, false
		}, unableBy("scopeRules", ScopeRule)},
		"a scope that stays out of the token is granted all the same":             {images(func(p *Policy) { p.AddScopes = true }, "silent"), granted("")},
		"a parametric scope is granted with the value that its expression allows": {images(func(p *Policy) { p.AddScopes = true }, "org:acme"), granted("org:acme")},
		"a parametric scope with another value is refused":                        {images(func(p *Policy) { p.AddScopes = true }, "org:evil"), refusedBy("scopeRules", ScopeRule)},
		"a parametric scope without value is unknown":                             {images(func(p *Policy) { p.AddScopes = true }, "org"), refusedBy("scopesKnown", ScopeUnknown)},
		"a parametric scope with a value that no value can be is unknown":         {images(func(p *Policy) { p.AddScopes = true }, "org:a/b"), refusedBy("scopesKnown", ScopeUnknown)},
		"a parametric scope has one value per request":                            {images(func(p *Policy) { p.AddScopes = true }, "org:acme", "org:evil"), refusedBy("scopesKnown", ScopeRule)},
		"one value of a parametric scope never covers another": {func(_ *Spec, r *Request) {
			r.Scopes, r.Subject.Scopes = []string{"org:acme"}, []string{"org:other"}
		}, refusedBy("scopes", ScopeNotHeld)},
	}
}

func manyTargetCases() map[string]decideCase {
	both := func(change func(*Spec, *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			r.Audiences = []string{"media/images-resource", "media/contacts-resource"}
			r.Scopes = []string{"images", "contacts"}
			change(s, r)
		}
	}
	const aud = "media/images-resource media/contacts-resource"
	return map[string]decideCase{
		"R14: two targets with a policy each give one token": {both(func(*Spec, *Request) {}), verdict{scope: "images contacts", aud: aud}},
		"F38: one target that is not granted refuses all":    {both(func(s *Spec, _ *Request) { s.Policies = s.Policies[1:] }), refusedBy("targetGranted", TargetNotGranted)},
		"F39: a scope for both targets must be granted for both": {both(func(s *Spec, r *Request) {
			r.Scopes, r.Subject.Scopes = []string{"wide"}, []string{"wide"}
			policyNamed(s, "contacts").Scopes = []string{"contacts"}
		}), refusedBy("scopes", ScopeNotGranted)},
		"Reject comes before Narrow": {both(func(s *Spec, r *Request) {
			r.Scopes, r.Subject.Scopes = []string{"images", "wide"}, []string{"images", "wide"}
			policyNamed(s, "contacts").Scopes, policyNamed(s, "contacts").NarrowExcess = []string{"contacts"}, true
			policyNamed(s, "contacts").DefaultScopesSet = true
		}), refusedBy("combine", ScopeNotGranted)},
		"a scope that one target narrows away is granted for none": {both(func(s *Spec, r *Request) {
			r.Scopes, r.Subject.Scopes = []string{"images", "contacts", "wide"}, []string{"images", "contacts", "wide"}
			policyNamed(s, "contacts").Scopes, policyNamed(s, "contacts").NarrowExcess = []string{"contacts"}, true
			policyNamed(s, "images").NarrowExcess = true
		}), verdict{scope: "images contacts", aud: aud}},
		"of two targets one may be asked for without a scope of its own": {both(func(_ *Spec, r *Request) { r.Scopes = []string{"images"} }), verdict{scope: "images", aud: aud}},
		"the lifetime is the least":                                      {both(func(s *Spec, _ *Request) { policyNamed(s, "contacts").Lifetime = time.Minute }), verdict{scope: "images contacts", aud: aud, seconds: 60}},
		"a claim given two different values refuses": {both(func(s *Spec, _ *Request) {
			policyNamed(s, "contacts").Claims, policyNamed(s, "images").Claims = []Claim{{"tenant", "text a"}}, []Claim{{"tenant", "text b"}}
		}), refusedBy("combine", ClaimConflict)},
		"a claim given twice the same value is one claim": {both(func(s *Spec, _ *Request) {
			policyNamed(s, "contacts").Claims, policyNamed(s, "images").Claims = []Claim{{"tenant", "text a"}}, []Claim{{"tenant", "text a"}}
		}), verdict{scope: "images contacts", aud: aud, claims: "tenant"}},
		"defaults of two targets are joined": {both(func(_ *Spec, r *Request) { r.Scopes, r.ScopesGiven = nil, false }), verdict{scope: "images contacts", aud: aud}},
		"F28: the order of targets makes no difference to what is granted": {both(func(_ *Spec, r *Request) {
			r.Audiences = []string{"media/contacts-resource", "media/images-resource"}
		}), verdict{scope: "images contacts", aud: "media/contacts-resource media/images-resource"}},
	}
}

func choiceCases() map[string]decideCase {
	second := func(change func(second *Policy, r *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			p := *policyNamed(s, "images")
			p.Name = "aaa"
			change(&p, r)
			s.Policies = append(s.Policies, p)
		}
	}
	return map[string]decideCase{
		"F219: of several policies the first by name is taken": {second(func(p *Policy, _ *Request) { p.Lifetime = time.Minute }), verdict{scope: "images", aud: "media/images-resource", policy: "media/aaa", seconds: 60}},
		"a policy that grants the whole request comes before one that narrows it": {second(func(p *Policy, r *Request) {
			p.NarrowExcess, p.Scopes = true, []string{"images"}
			r.Scopes, r.Subject.Scopes = []string{"images", "wide"}, []string{"images", "wide"}
		}), verdict{scope: "images wide", aud: "media/images-resource", policy: "media/images"}},
		"F196: halves of two policies never combine": {second(func(p *Policy, r *Request) {
			p.Scopes, r.Scopes, r.Subject.Scopes = []string{"contacts"}, []string{"wide", "silent"}, []string{"wide"}
			p.AddScopes = true
		}), refusedBy("scopes", ScopeNotGranted)},
		"the check that got furthest decides the refusal": {second(func(p *Policy, r *Request) {
			p.SubjectIssuers = nil
			r.Scopes = []string{"wide"}
		}), refusedBy("scopes", ScopeNotHeld)},
		"an audit policy grants nothing":                 {func(s *Spec, _ *Request) { policyNamed(s, "images").AuditOnly = true }, refusedBy("targetGranted", TargetNotGranted)},
		"an audit policy does not stand in the way":      {second(func(p *Policy, _ *Request) { p.AuditOnly, p.Lifetime = true, time.Minute }), granted("images")},
		"a policy for all clients counts":                {func(s *Spec, _ *Request) { p := policyNamed(s, "images"); p.AllClients, p.Clients = true, nil }, granted("images")},
		"F197: a policy for no client counts for nobody": {func(s *Spec, _ *Request) { policyNamed(s, "images").Clients = nil }, refusedBy("targetGranted", TargetNotGranted)},
		"F198: a star in a list is no wildcard":          {func(s *Spec, _ *Request) { policyNamed(s, "images").Clients = []string{"*"} }, refusedBy("targetGranted", TargetNotGranted)},
	}
}

func claimCases() map[string]decideCase {
	claims := func(c ...Claim) func(*Spec, *Request) {
		return func(s *Spec, _ *Request) { policyNamed(s, "images").Claims = c }
	}
	return map[string]decideCase{
		"a policy's claim goes into the token":        {claims(Claim{"tenant", "text acme"}), verdict{scope: "images", aud: "media/images-resource", claims: "tenant"}},
		"a claim that is null is left out":            {claims(Claim{"tenant", "null"}), granted("images")},
		"F212: a claim whose expression errs refuses": {claims(Claim{"tenant", "error"}), unableBy("claims", ClaimInvalid)},
		"F147: a claim longer than 4 KiB refuses":     {claims(Claim{"tenant", "long"}), refusedBy("claims", ClaimInvalid)},
		"F146: a reserved claim refuses":              {claims(Claim{"Sub", "text root"}), refusedBy("claims", ClaimInvalid)},
		"a scope's claim goes into the token when the scope is granted": {func(s *Spec, _ *Request) {
			scopeNamed(s, "images").Claims = []Claim{{"quota", "number 10"}}
		}, verdict{scope: "images", aud: "media/images-resource", claims: "quota"}},
		"a scope's claim stays out when the scope is not granted": {func(s *Spec, _ *Request) {
			scopeNamed(s, "wide").Claims = []Claim{{"quota", "number 10"}}
		}, granted("images")},
	}
}
