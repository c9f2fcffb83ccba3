// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"reflect"
	"slices"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// MaxRows bounds how many rows of a kind a Difference lists: at some 300 bytes a
// row that is 30 MB, and nobody reads the first thousand. The rest is counted.
const MaxRows = 100_000

// Difference is what one Spec allows and another does not.
type Difference struct {
	// Gained and Lost are access that only the new, or only the old, gives.
	Gained []Granted `json:"gained"`
	Lost   []Granted `json:"lost"`
	// Changed are all differences in what access depends on: whether it widens or
	// narrows may hang on a token.
	Changed []Change `json:"changed"`
	// ReachGained and ReachLost are what chains of exchanges reach, in one of the two
	// only. A chain is made of access: each of its steps is access that is there.
	ReachGained []Reach `json:"reachGained"`
	ReachLost   []Reach `json:"reachLost"`
	// ReachCut says that there were more chains than a search looks at.
	ReachCut bool `json:"reachCut,omitempty"`
	// GainedOmitted and LostOmitted count rows beyond MaxRows.
	GainedOmitted int `json:"gainedOmitted,omitempty"`
	LostOmitted   int `json:"lostOmitted,omitempty"`
}

// Empty says whether nothing differs: then the Specs are the same.
func (d *Difference) Empty() bool { return len(d.Gained)+len(d.Lost)+len(d.Changed) == 0 }

// Compare tells what differs from before to after.
func Compare(before, after *policy.Spec) *Difference {
	a, b := newWorld(before), newWorld(after)
	d := &Difference{Gained: []Granted{}, Lost: []Granted{}, ReachGained: []Reach{}, ReachLost: []Reach{}, Changed: Changes(before, after)}
	if len(d.Changed) == 0 {
		return d
	}
	same := equalParties(before, after)
	for _, t := range union(a.targets, b.targets) {
		if same && sameFor(a, b, t) {
			continue
		}
		was, is := a.accessTo(t), b.accessTo(t)
		d.Gained, d.GainedOmitted = keep(d.Gained, without(is, was), d.GainedOmitted)
		d.Lost, d.LostOmitted = keep(d.Lost, without(was, is), d.LostOmitted)
	}
	d.compareReach(a, b)
	return d
}

// equalParties says whether clients and issuers, which any policy may name, are
// the same in all that access hangs on.
func equalParties(a, b *policy.Spec) bool {
	return reflect.DeepEqual(a.Clients, b.Clients) && reflect.DeepEqual(a.Issuers, b.Issuers)
}

// sameFor says whether nothing that names a target differs, given the same
// clients and issuers.
func sameFor(a, b *world, t named) bool {
	space := named{t.service, ""}
	if c, ok := a.clients[t]; ok {
		space.name = c.Namespace
	}
	return reflect.DeepEqual(a.granting[t], b.granting[t]) && reflect.DeepEqual(a.scopes[space], b.scopes[space])
}

func union(a, b []named) []named {
	out := slices.Clone(a)
	seen := make(map[named]bool, len(a))
	for _, t := range a {
		seen[t] = true
	}
	for _, t := range b {
		if !seen[t] {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, compareNamed)
	return out
}

// without are those of list that other does not have; both are sorted.
func without(list, other []Granted) []Granted {
	var out []Granted
	for _, g := range list {
		_, found := slices.BinarySearchFunc(other, g, func(o, g Granted) int { return o.compare(g.Access) })
		if !found {
			out = append(out, g)
		}
	}
	return out
}

func keep(list, more []Granted, omitted int) ([]Granted, int) {
	room := max(MaxRows-len(list), 0)
	if len(more) <= room {
		return append(list, more...), omitted
	}
	return append(list, more[:room]...), omitted + len(more) - room
}
