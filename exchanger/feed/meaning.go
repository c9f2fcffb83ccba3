// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Meaning says in sentences who may get what under a Spec: one line for each
// policy, client and target, sorted. Rules narrow further; they are not told.
func Meaning(spec *policy.Spec) []string {
	var out []string
	for i := range spec.Policies {
		p := &spec.Policies[i]
		if p.AuditOnly || len(p.SubjectIssuers)+len(p.SelfOrigins) == 0 {
			continue // It grants nothing, or knows no issuer whose tokens it takes.
		}
		clients := p.Clients
		if p.AllClients {
			clients = []string{"every client"}
		}
		for _, client := range clients {
			for _, target := range p.Targets {
				out = append(out, sentence(p, client, target))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func sentence(p *policy.Policy, client, target string) string {
	from := slices.Clone(p.SubjectIssuers)
	if len(p.SelfOrigins) > 0 {
		from = append(from, "this service (first from "+strings.Join(p.SelfOrigins, ", ")+")")
	}
	scopes := "without scope"
	if len(p.Scopes) > 0 {
		scopes = "with at most " + strings.Join(p.Scopes, " ")
		if p.AddScopes {
			scopes += ", held or not"
		}
	}
	return client + " may exchange tokens of " + strings.Join(from, ", ") + " for " + target + " " + scopes + " (policy " + p.Namespace + "/" + p.Name + ")"
}

// Difference returns what is in after and not in before, and the other way round.
func Difference(before, after []string) (gained, lost []string) {
	for _, s := range after {
		if _, found := slices.BinarySearch(before, s); !found {
			gained = append(gained, s)
		}
	}
	for _, s := range before {
		if _, found := slices.BinarySearch(after, s); !found {
			lost = append(lost, s)
		}
	}
	return gained, lost
}
