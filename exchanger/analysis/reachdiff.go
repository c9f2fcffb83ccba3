// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"cmp"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Reach is access that takes more than one exchange: a token of an issuer that
// Client presents becomes, through others, one for the target with the scope.
type Reach struct {
	TokenService string  `json:"tokenService"`
	Client       string  `json:"client"`
	Subject      Subject `json:"subject"`
	Target       string  `json:"target"`
	Scope        string  `json:"scope"`
	// Steps is one of the shortest ways.
	Steps []Step `json:"steps"`
}

func (r *Reach) compare(o *Reach) int {
	return cmp.Or(
		strings.Compare(r.TokenService, o.TokenService), strings.Compare(r.Target, o.Target), strings.Compare(r.Client, o.Client),
		strings.Compare(r.Subject.String(), o.Subject.String()), strings.Compare(r.Scope, o.Scope),
	)
}

// reach lists what chains of two exchanges and more reach, sorted. cut says that
// there was more than a search looks at.
func (w *world) reach() (list []Reach, cut bool) {
	s := &search{world: w, hops: MostHops, work: mostWork, parties: w.parties()}
	for _, t := range w.targets {
		if !slices.ContainsFunc(w.granting[t], func(p *policy.Policy) bool { return len(p.SelfOrigins) > 0 }) {
			continue
		}
		for _, scope := range w.askable(t) {
			found := map[Access]bool{}
			for _, p := range detours(s.run(t, scope)) {
				first := p.First()
				key := Access{TokenService: t.service, Client: first.Client, Subject: first.Subject, Target: t.name, Scope: scope}
				if len(p.Steps) < 2 || found[key] {
					continue
				}
				found[key] = true
				list = append(list, Reach{t.service, first.Client, first.Subject, t.name, scope, p.Steps})
			}
		}
	}
	slices.SortFunc(list, func(a, b Reach) int { return a.compare(&b) })
	return list, s.work <= 0
}

// compareReach fills in what chains gain and lose.
func (d *Difference) compareReach(before, after *world) {
	a, cutA := before.reach()
	b, cutB := after.reach()
	d.ReachCut = cutA || cutB
	gained, lost := notIn(b, a), notIn(a, b)
	d.ReachGained = append(d.ReachGained, gained[:min(len(gained), MaxRows)]...)
	d.ReachLost = append(d.ReachLost, lost[:min(len(lost), MaxRows)]...)
	d.ReachCut = d.ReachCut || len(gained) > MaxRows || len(lost) > MaxRows
}

func notIn(list, other []Reach) []Reach {
	var out []Reach
	for i := range list {
		if _, found := slices.BinarySearchFunc(other, &list[i], func(o Reach, r *Reach) int { return o.compare(r) }); !found {
			out = append(out, list[i])
		}
	}
	return out
}
