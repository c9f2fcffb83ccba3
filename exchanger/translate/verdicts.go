// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"crypto/sha256"
	"encoding/json"
	"hash"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Verdicts remembers how the examples of each namespace went, under a digest of
// everything that they can see, so that a translation runs those alone for which
// something changed. Without it, dear examples of some tenants would make every
// change of every tenant slow, a revocation among them. It holds the last verdicts
// of each namespace, and is safe for concurrent use.
//
// A remembered verdict has no Subject and no Decision, which are for reports.
type Verdicts struct {
	mu          sync.Mutex
	byNamespace map[string]remembered
}

// remembered are the verdicts of one namespace.
type remembered struct {
	seen [sha256.Size]byte
	// byPolicy has the verdicts of each policy that was judged.
	byPolicy map[string][]ExampleResult
}

// NewVerdicts returns an empty memory.
func NewVerdicts() *Verdicts { return &Verdicts{byNamespace: map[string]remembered{}} }

func (v *Verdicts) of(namespace string, seen [sha256.Size]byte) map[string][]ExampleResult {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.byNamespace[namespace]; r.seen == seen {
		return r.byPolicy
	}
	return nil
}

// keep makes the given verdicts the whole memory: namespaces without examples, and
// those that are gone, are forgotten.
func (v *Verdicts) keep(all map[string]remembered) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.byNamespace = all
}

// seer digests what the examples of a namespace can see.
type seer struct {
	w    *world
	spec *policy.Spec
	// common is the digest of what all of them see: token services and issuers.
	common []byte
	parts  map[string]*part
	byID   map[string][]*policy.Client
}

// part is what the policy has of one namespace.
type part struct {
	Clients  []*policy.Client
	Scopes   []*policy.Scope
	Policies []*policy.Policy
}

func newSeer(w *world, spec *policy.Spec) *seer {
	s := &seer{w: w, spec: spec, parts: map[string]*part{}, byID: map[string][]*policy.Client{}}
	sum := sha256.New()
	write(sum, spec.Services)
	for i := range spec.Issuers {
		issuer := spec.Issuers[i]
		issuer.Keys = policy.Keys{} // an example's token is not signed
		write(sum, issuer)
	}
	s.common = sum.Sum(nil)
	for i := range spec.Clients {
		c := &spec.Clients[i]
		s.part(c.Namespace).Clients = append(s.part(c.Namespace).Clients, c)
		s.byID[c.ID] = append(s.byID[c.ID], c)
	}
	for i := range spec.Scopes {
		s.part(spec.Scopes[i].Namespace).Scopes = append(s.part(spec.Scopes[i].Namespace).Scopes, &spec.Scopes[i])
	}
	for i := range spec.Policies {
		s.part(spec.Policies[i].Namespace).Policies = append(s.part(spec.Policies[i].Namespace).Policies, &spec.Policies[i])
	}
	return s
}

func (s *seer) part(namespace string) *part {
	p, ok := s.parts[namespace]
	if !ok {
		p = &part{}
		s.parts[namespace] = p
	}
	return p
}

// sees is the digest of what the examples of these policies, all of one namespace,
// can see: the policies themselves; their namespace's part; who asks; which issuers
// the namespace may name; and, where a scope alone names the target, the part of
// whoever owns the scope.
func (s *seer) sees(list []*grant) [sha256.Size]byte {
	sum := sha256.New()
	_, _ = sum.Write(s.common)
	write(sum, s.part(list[0].namespace))
	var grants []policy.ImpersonationGrantSpec
	clients, owners, issuers := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, p := range list {
		write(sum, []any{p.name, p.service.name, p.audit, p.api.Spec})
		see := s.w.sightOf(p)
		for i := range p.api.Spec.Examples {
			g := &p.api.Spec.Examples[i].Given
			clients[g.Client] = true
			if g.Actor != nil || g.RequestedSubject != "" {
				grants = s.spec.Grants
			}
			for _, name := range named(g) {
				if see.issuer(name) {
					issuers[p.service.name+"/"+name] = true
				}
			}
			if len(g.Audience) == 0 && len(g.Resource) == 0 {
				s.owners(p, g, owners)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(clients)) {
		write(sum, s.byID[id])
	}
	for _, namespace := range slices.Sorted(maps.Keys(owners)) {
		write(sum, []any{namespace, s.part(namespace)})
	}
	write(sum, slices.Sorted(maps.Keys(issuers)))
	write(sum, grants)
	return [sha256.Size]byte(sum.Sum(nil))
}

// named are the issuers that an example names.
func named(g *v1alpha1.ExampleRequest) []string {
	names := []string{g.Issuer, g.Origin}
	if g.Actor != nil {
		names = append(names, g.Actor.Issuer)
	}
	return names
}

// owners adds the namespaces whose targets the scopes of an example may mean.
func (s *seer) owners(p *grant, g *v1alpha1.ExampleRequest, into map[string]bool) {
	for i := range s.spec.Services {
		if s.spec.Services[i].Name != p.service.name {
			continue
		}
		for _, scope := range strings.Fields(g.Scope) {
			for _, o := range s.spec.Services[i].ScopeOwners {
				prefix, star := strings.CutSuffix(o.Scope, "*")
				if o.Scope == scope || strings.HasPrefix(scope, o.Scope+":") || (star && strings.HasPrefix(scope, prefix)) {
					into[o.Namespace] = true
				}
			}
		}
	}
}

func write(to hash.Hash, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		b = nil // types of the Spec and the API cannot fail
	}
	_, _ = to.Write(append(b, 0))
}
