// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func (w *world) translateScopes() {
	for _, s := range w.scopes {
		if s.absent != "" {
			continue
		}
		w.serviceOf(s.object, s.api.Spec.TokenServiceRef)
		w.guard(s.object, func() { w.translateScope(s) })
	}
}

func (w *world) translateScope(s *scope) {
	spec := &s.api.Spec
	s.spec = policy.Scope{Namespace: s.namespace, Name: s.name, Scope: spec.Scope, InToken: true}
	if s.service != nil {
		s.spec.TokenService = s.service.name
	}
	if spec.Scope == "" {
		s.spec.Scope = s.name
	}
	switch {
	case !isScope(s.spec.Scope):
		s.invalid("spec.scope", "expected at most 256 printable ASCII characters without spaces, quotes, backslashes or *")
	case s.spec.Scope == "offline_access":
		s.invalid("spec.scope", "offline_access is reserved: it asks for a refresh token")
	}
	s.text("spec.description", spec.Description, 0, 1024)
	w.scopeTargets(s, spec.Targets)
	if spec.IncludeInTokenScope != nil {
		s.spec.InToken = *spec.IncludeInTokenScope
	}
	if spec.Parameter != nil && spec.Parameter.Expression != "" {
		s.spec.Parameter = w.expression(s.object, "spec.parameter.expression", policy.EnvScope, policy.WantBool, spec.Parameter.Expression)
	}
	s.spec.Claims = w.claims(s.object, "spec.claims", policy.EnvScope, spec.Claims)
	s.spec.Rules = w.rules(s.object, "spec.rules", policy.EnvScope, spec.Rules, 16)
}

// scopeTargets resolves the clients that the scope is of. An absent list is every
// target of the namespace; an empty one would be a list that permits nothing, and
// is refused, lest it be taken for absent.
func (w *world) scopeTargets(s *scope, list []v1alpha1.LocalReference) {
	if list == nil {
		s.spec.AllTargets = true
		return
	}
	if len(list) == 0 {
		s.invalid("spec.targets", "expected at least one, or no targets at all, which means every target of the namespace")
	}
	s.atMost("spec.targets", len(list), 64)
	if s.service == nil {
		return
	}
	for n, t := range list {
		s.named(fmt.Sprintf("spec.targets[%d]", n), "", t.Name)
		if id, ok := w.ownTarget(s.object, t.Name); ok {
			s.spec.Targets = append(s.spec.Targets, id)
		} else {
			s.unresolved(v1alpha1.ReasonRefNotFound, fmt.Sprintf("spec.targets[%d]", n), "%s", w.notInForce(kindClient, s.namespace, t.Name))
		}
	}
	s.spec.Targets = sortedSet(s.spec.Targets)
}

// ownTarget finds a client of the object's own namespace and TokenService.
func (w *world) ownTarget(o *object, name string) (id string, ok bool) {
	c, found := w.clientByRef[o.namespace+"/"+name]
	o.hangsOn(kindClient, o.namespace, name, c.objectOf())
	if !found || c.service != o.service {
		return "", false
	}
	return c.spec.ID, true
}

// scopeConflicts lets the first ClientScope by name have a scope of a namespace.
func (w *world) scopeConflicts() {
	for _, s := range w.scopes {
		if !s.valid() || s.service == nil {
			continue
		}
		key := scopeKey{s.service.name, s.namespace, s.spec.Scope}
		if first, taken := w.scopeByName[key]; taken {
			s.problem(v1alpha1.ReasonConflicted, "spec.scope", "%s is the scope of ClientScope %s, which comes first by name", s.spec.Scope, first.name)
			continue
		}
		w.scopeByName[key] = s
	}
}

// scopeOwners says which scopes can be asked for without an audience: those that
// name targets, and that an entry of the TokenService delegates to the namespace,
// or that are the operator's own. Within one entry the first namespace wins.
func (w *world) scopeOwners() {
	for _, svc := range w.services {
		if !svc.inForce() {
			continue
		}
		owners := map[policy.ScopeOwner]bool{}
		lost := map[*scope]bool{}
		for n := -1; n < len(svc.api.Spec.Names); n++ {
			first := map[string]string{}
			for _, s := range w.scopes {
				if s.service != svc || !s.inForce() || s.spec.AllTargets || !w.entitled(svc, n, s) {
					continue
				}
				if owner, taken := first[s.spec.Scope]; taken && owner != s.namespace {
					lost[s] = true
					continue
				}
				first[s.spec.Scope] = s.namespace
				owners[policy.ScopeOwner{Scope: s.spec.Scope, Namespace: s.namespace}] = true
			}
		}
		for owner := range owners {
			svc.spec.ScopeOwners = append(svc.spec.ScopeOwners, owner)
		}
		slices.SortFunc(svc.spec.ScopeOwners, func(a, b policy.ScopeOwner) int {
			return compare(a.Scope+"\x00"+a.Namespace, b.Scope+"\x00"+b.Namespace)
		})
		for s := range lost {
			if !owners[policy.ScopeOwner{Scope: s.spec.Scope, Namespace: s.namespace}] {
				s.warn("scope %s without an audience means another namespace's, which comes first in the same delegation: ask for it with an audience", s.spec.Scope)
			}
		}
	}
}

// entitled says whether entry n of names gives the scope to its namespace; entry
// -1 is the operator's namespace, which needs none. A parametric scope is also
// given by a prefix that ends where its value begins.
func (w *world) entitled(svc *service, n int, s *scope) bool {
	if n < 0 {
		return s.namespace == w.in.OperatorNamespace
	}
	d := &svc.api.Spec.Names[n]
	if !w.holds(&d.Namespaces, s.namespace) {
		return false
	}
	return slices.ContainsFunc(delegatedScopes(d), func(p v1alpha1.NamePattern) bool {
		if covers(p, s.spec.Scope) {
			return true
		}
		return s.spec.Parameter != "" && strings.HasSuffix(string(p), ":*") && covers(p, s.spec.Scope+":x")
	})
}
