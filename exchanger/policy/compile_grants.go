// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
)

// impersonationGrant is an ImpersonationGrant with its expressions compiled.
type impersonationGrant struct {
	spec          *ImpersonationGrantSpec
	impersonators compiledRule
	subjects      compiledRule
}

// grants indexes the ImpersonationGrants by name, which tokens keep, and by client,
// which a request knows first.
func (c *compilation) grants(spec *Spec) error {
	for i := range spec.Grants {
		s := &spec.Grants[i]
		svc, err := c.service(s.TokenService, "impersonation grant", s.Name)
		if err != nil {
			return err
		}
		if _, dup := svc.grants[s.Name]; dup {
			return fmt.Errorf("impersonation grant %s: twice", s.Name)
		}
		g := &impersonationGrant{spec: s}
		for _, e := range [...]struct {
			to   *compiledRule
			text string
		}{{&g.impersonators, s.Expression}, {&g.subjects, s.SubjectExpression}} {
			p, err := c.program(EnvPolicy, WantBool, e.text)
			if err != nil {
				return fmt.Errorf("impersonation grant %s: %w", s.Name, err)
			}
			*e.to = compiledRule{program: p, text: e.text}
		}
		if svc.grants == nil {
			svc.grants, svc.grantsOf = map[string]*impersonationGrant{}, map[string][]*impersonationGrant{}
		}
		svc.grants[s.Name] = g
		for _, id := range s.Clients {
			if !slices.Contains(svc.grantsOf[id], g) {
				svc.grantsOf[id] = append(svc.grantsOf[id], g)
			}
		}
	}
	for _, svc := range c.snapshot.services {
		for _, list := range svc.grantsOf {
			slices.SortFunc(list, func(a, b *impersonationGrant) int { return strings.Compare(a.spec.Name, b.spec.Name) })
		}
	}
	return nil
}
