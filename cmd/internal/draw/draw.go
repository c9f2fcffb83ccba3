// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package draw

import (
	"slices"
)

// Picture is columns of boxes, from left to right, and lines between them.
type Picture struct {
	Title   string
	Columns []Column
	Lines   []Line
	// Legend says what the lines mean, below the picture.
	Legend string
}

// Column is boxes below each other.
type Column struct {
	Title string
	Boxes []Box
}

// Box is one thing.
type Box struct {
	// ID is what lines refer to; it is never shown.
	ID string
	// Kind chooses the look: issuer, client, policy, target.
	Kind string
	Name string
	// Notes are further lines of text.
	Notes []string
	// Faint is for what is there and does not count.
	Faint bool
}

// Line leads from one box to another one, of a column further right.
type Line struct {
	From, To string
	// Kind chooses the look: subject, origin, asks, grants.
	Kind  string
	Label string
}

// settle orders the boxes of every column by where their lines come from and go
// to, so that few lines cross: a few sweeps of the barycenter method, which is as
// good as any for columns of which most are sorted well to begin with.
func (p *Picture) settle() {
	place := map[string]int{}
	columns := map[string]int{}
	number := func(c int) {
		for i, b := range p.Columns[c].Boxes {
			place[b.ID] = i
		}
	}
	neighbours := map[string][]string{}
	for c := range p.Columns {
		number(c)
		for _, b := range p.Columns[c].Boxes {
			columns[b.ID] = c
		}
	}
	for _, l := range p.Lines {
		neighbours[l.From] = append(neighbours[l.From], l.To)
		neighbours[l.To] = append(neighbours[l.To], l.From)
	}
	for range sweeps {
		for c := range p.Columns {
			p.sort(c, func(id string) (float64, bool) {
				sum, n := 0.0, 0
				for _, o := range neighbours[id] {
					other := len(p.Columns[columns[o]].Boxes)
					sum += (float64(place[o]) + 0.5) / float64(max(other, 1))
					n++
				}
				return sum / float64(max(n, 1)), n > 0
			})
			number(c)
		}
	}
}

// sweeps is how often every column is ordered: the order rarely moves after the
// third.
const sweeps = 4

// sort orders a column; boxes without lines go to the end.
func (p *Picture) sort(c int, weight func(string) (float64, bool)) {
	boxes := p.Columns[c].Boxes
	weights := make(map[string]float64, len(boxes))
	for _, b := range boxes {
		w, ok := weight(b.ID)
		if !ok {
			w = 2 // more than any place has
		}
		weights[b.ID] = w
	}
	slices.SortStableFunc(boxes, func(a, b Box) int {
		switch {
		case weights[a.ID] < weights[b.ID]:
			return -1
		case weights[a.ID] > weights[b.ID]:
			return 1
		}
		return 0
	})
}
