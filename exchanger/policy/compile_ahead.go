// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"runtime"
	"sync"
)

// fewExpressions are compiled as they come: below, starting workers costs more
// than it saves.
const fewExpressions = 64

// ahead compiles the distinct expressions of the spec on all cores, since they are
// nearly all of what a compilation costs. An expression that does not compile is
// left out here, and told where it stands.
func (c *compilation) ahead(spec *Spec) {
	keys := expressions(spec)
	if len(keys) < fewExpressions {
		return
	}
	work := make(chan programKey)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8) {
		wg.Go(func() {
			for key := range work {
				if p := c.attempt(key); p != nil {
					mu.Lock()
					c.programs[key] = p
					mu.Unlock()
				}
			}
		})
	}
	for key := range keys {
		work <- key
	}
	close(work)
	wg.Wait()
}

// attempt compiles one expression. A panic is left to the compilation in order:
// its caller can contain it, and a worker's would end the process.
func (c *compilation) attempt(key programKey) (p Program) {
	defer func() {
		if recover() != nil {
			p = nil
		}
	}()
	p, err := c.compiler.Compile(key.env, key.want, key.text)
	if err != nil {
		return nil
	}
	return p
}

// expressions are the distinct expressions of a spec.
func expressions(spec *Spec) map[programKey]struct{} {
	keys := map[programKey]struct{}{}
	add := func(env Environment, want ResultType, text string) {
		if text != "" {
			keys[programKey{env, want, text}] = struct{}{}
		}
	}
	rules := func(env Environment, list []Rule) {
		for i := range list {
			add(env, WantBool, list[i].Expression)
		}
	}
	claims := func(env Environment, list []Claim) {
		for i := range list {
			add(env, WantAny, list[i].Expression)
		}
	}
	for i := range spec.Policies {
		p := &spec.Policies[i]
		rules(EnvPolicy, p.SubjectRules)
		rules(EnvPolicy, p.Actor.Rules)
		rules(EnvPolicy, p.Rules)
		claims(EnvPolicy, p.Claims)
	}
	for i := range spec.Externals {
		e := &spec.Externals[i]
		rules(EnvPolicy, e.SubjectRules)
		rules(EnvPolicy, e.Actor.Rules)
		rules(EnvPolicy, e.Rules)
	}
	for i := range spec.Clients {
		if t := spec.Clients[i].SAML; t != nil {
			claims(EnvPolicy, t.Attributes)
		}
	}
	for i := range spec.Grants {
		add(EnvPolicy, WantBool, spec.Grants[i].Expression)
		add(EnvPolicy, WantBool, spec.Grants[i].SubjectExpression)
	}
	for i := range spec.Scopes {
		s := &spec.Scopes[i]
		add(EnvScope, WantBool, s.Parameter)
		rules(EnvScope, s.Rules)
		claims(EnvScope, s.Claims)
	}
	for i := range spec.Issuers {
		s := &spec.Issuers[i]
		rules(EnvUser, s.UserRules)
		for n := range s.ClaimRules {
			add(EnvClaims, WantBool, s.ClaimRules[n].Expression)
		}
	}
	return keys
}
