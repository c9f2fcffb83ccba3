// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

var start = time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)

func plan() Plan {
	return Plan{
		Algorithm: jose.ES256,
		Rotation:  Rotation{Period: 720 * time.Hour, PrePublish: time.Hour},
		Retain:    25 * time.Hour,
	}
}

// run advances until no key is missing, as a ring does, naming keys k1, k2, …
func run(slots []Slot, now time.Time, p Plan, made *int) []Slot {
	for range 3 {
		var missing string
		if slots, missing = Advance(slots, now, p); missing == "" {
			return slots
		}
		*made++
		slots = append(slots, NewSlot(fmt.Sprintf("k%d", *made), missing, now))
	}
	return slots
}

func states(slots []Slot) string {
	var out []string
	for _, s := range slots {
		out = append(out, fmt.Sprintf("%s %s %s", s.KeyID, s.Algorithm, s.State))
	}
	return fmt.Sprint(out)
}

func TestAdvanceFollowsAPlanThroughTime(t *testing.T) {
	t.Parallel()
	type step struct {
		at   time.Duration
		edit func(*Plan)
		want string
	}
	hours := func(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }
	for name, steps := range map[string][]step{
		"the first key signs at once, the second after it was published for an hour": {
			{at: 0, want: "[k1 ES256 Active]"},
			{at: hours(718.9), want: "[k1 ES256 Active]"},
			{at: hours(719), want: "[k1 ES256 Active k2 ES256 Prepared]"},
			{at: hours(719.9), want: "[k1 ES256 Active k2 ES256 Prepared]"},
			{at: hours(720), want: "[k1 ES256 Retired k2 ES256 Active]"},
			{at: hours(744.9), want: "[k1 ES256 Retired k2 ES256 Active]"},
			{at: hours(745), want: "[k2 ES256 Active]"},
		},
		"a process that slept over the rotation publishes first and activates an hour later": {
			{at: 0, want: "[k1 ES256 Active]"},
			{at: hours(1000), want: "[k1 ES256 Active k2 ES256 Prepared]"},
			{at: hours(1000.9), want: "[k1 ES256 Active k2 ES256 Prepared]"},
			{at: hours(1001), want: "[k1 ES256 Retired k2 ES256 Active]"},
		},
		"rotateAfter in the past asks for one rotation, not for one at every tick": {
			{at: 0, want: "[k1 ES256 Active]"},
			{at: hours(10), edit: func(p *Plan) { p.RotateAfter = start.Add(hours(9)) }, want: "[k1 ES256 Active k2 ES256 Prepared]"},
			{at: hours(11), want: "[k1 ES256 Retired k2 ES256 Active]"},
			{at: hours(12), want: "[k1 ES256 Retired k2 ES256 Active]"},
			{at: hours(100), want: "[k2 ES256 Active]"},
		},
		"rotateAfter in the future is prepared for": {
			{at: 0, edit: func(p *Plan) { p.RotateAfter = start.Add(hours(5)) }, want: "[k1 ES256 Active]"},
			{at: hours(4), want: "[k1 ES256 Active k2 ES256 Prepared]"},
			{at: hours(5), want: "[k1 ES256 Retired k2 ES256 Active]"},
		},
		"F317: a change of algorithm makes a new line, both published, until the cutover": {
			{at: 0, want: "[k1 ES256 Active]"},
			{at: hours(1), edit: func(p *Plan) { p.Algorithm = jose.EdDSA }, want: "[k1 ES256 Active k2 EdDSA Prepared]"},
			{at: hours(1.5), want: "[k1 ES256 Active k2 EdDSA Prepared]"},
			{at: hours(2), want: "[k1 ES256 Retired k2 EdDSA Active]"},
			{at: hours(27), want: "[k2 EdDSA Active]"},
		},
		"F317: a change of mind drops the prepared key, which signed nothing": {
			{at: 0, want: "[k1 ES256 Active]"},
			{at: hours(1), edit: func(p *Plan) { p.Algorithm = jose.EdDSA }, want: "[k1 ES256 Active k2 EdDSA Prepared]"},
			{at: hours(1.5), edit: func(p *Plan) { p.Algorithm = jose.ES256 }, want: "[k1 ES256 Active]"},
		},
		"F304: a revoked active key is gone and a new one active at once": {
			{at: 0, want: "[k1 ES256 Active]"},
			{at: hours(1), edit: func(p *Plan) { p.RevokedKeyIDs = []string{"k1"} }, want: "[k2 ES256 Active]"},
		},
		"F304: a revoked active key is replaced by the prepared one, however young": {
			{at: hours(0), want: "[k1 ES256 Active]"},
			{at: hours(719), want: "[k1 ES256 Active k2 ES256 Prepared]"},
			{at: hours(719.1), edit: func(p *Plan) { p.RevokedKeyIDs = []string{"k1"} }, want: "[k2 ES256 Active]"},
		},
		"a revoked retired key leaves the set": {
			{at: 0, want: "[k1 ES256 Active]"},
			{at: hours(719), want: "[k1 ES256 Active k2 ES256 Prepared]"},
			{at: hours(720), want: "[k1 ES256 Retired k2 ES256 Active]"},
			{at: hours(721), edit: func(p *Plan) { p.RevokedKeyIDs = []string{"k1"} }, want: "[k2 ES256 Active]"},
		},
		"F305: a clock that goes back an hour at the rotation changes nothing": {
			{at: 0, want: "[k1 ES256 Active]"},
			{at: hours(719), want: "[k1 ES256 Active k2 ES256 Prepared]"},
			{at: hours(720), want: "[k1 ES256 Retired k2 ES256 Active]"},
			{at: hours(719), want: "[k1 ES256 Retired k2 ES256 Active]"},
			{at: hours(720), want: "[k1 ES256 Retired k2 ES256 Active]"},
		},
		"without a period nothing rotates by itself": {
			{at: 0, edit: func(p *Plan) { p.Rotation.Period = 0 }, want: "[k1 ES256 Active]"},
			{at: hours(100000), want: "[k1 ES256 Active]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, made := plan(), 0
			var slots []Slot
			for i, s := range steps {
				if s.edit != nil {
					s.edit(&p)
				}
				slots = run(slots, start.Add(s.at), p, &made)
				if got := states(slots); got != s.want {
					t.Fatalf("step %d, after %s:\n got %s\nwant %s", i, s.at, got, s.want)
				}
			}
		})
	}
}

func TestAPlanThatWantsTooManyKeysRotatesLater(t *testing.T) {
	t.Parallel()
	p := Plan{Algorithm: jose.ES256, Rotation: Rotation{Period: time.Minute}, Retain: 24 * time.Hour}
	made := 0
	var slots []Slot
	for m := range 24 * 60 {
		if slots = run(slots, start.Add(time.Duration(m)*time.Minute), p, &made); len(slots) > maxSlots {
			t.Fatalf("%d slots after %d minutes, more than %d", len(slots), m, maxSlots)
		}
	}
	if made != maxSlots {
		t.Errorf("%d keys made in a day, want %d", made, maxSlots)
	}
}

// machine is the model that the property checks slots against.
type machine struct {
	p     Plan
	slots []Slot
	now   time.Time
	made  int

	seen map[string]State // the furthest state that each key has reached
	gone map[string]bool
}

func (m *machine) tick(t *rapid.T) {
	// A step that was computed and not stored: a crash, or a lost race.
	lost := rapid.IntRange(0, 4).Draw(t, "lost") == 0
	slots := m.slots
	for range 3 {
		next, missing := Advance(slots, m.now, m.p)
		again, missingAgain := Advance(next, m.now, m.p)
		if missing == "" && (missingAgain != "" || !slices.Equal(next, again)) {
			t.Fatalf("a second call at the same time changed %s to %s", states(next), states(again))
		}
		if slots = next; missing == "" {
			break
		}
		m.made++
		slots = append(slots, NewSlot(fmt.Sprintf("k%d", m.made), missing, m.now))
	}
	if lost {
		return
	}
	m.check(t, slots)
	m.slots = slots
}

func (m *machine) check(t *rapid.T, next []Slot) {
	before := map[string]Slot{}
	replaced := false // the active key was revoked, or there was none
	hadActive := false
	for _, s := range m.slots {
		before[s.KeyID] = s
		if s.State == Active {
			hadActive = true
			replaced = slices.Contains(m.p.RevokedKeyIDs, s.KeyID)
		}
	}
	active := 0
	for _, s := range next {
		if slices.Contains(m.p.RevokedKeyIDs, s.KeyID) {
			t.Fatalf("%s is revoked and still there", s.KeyID)
		}
		if m.gone[s.KeyID] {
			t.Fatalf("%s came back", s.KeyID)
		}
		if order := []State{Prepared, Active, Retired}; slices.Index(order, s.State) < slices.Index(order, m.seen[s.KeyID]) {
			t.Fatalf("%s went back from %s to %s", s.KeyID, m.seen[s.KeyID], s.State)
		}
		m.seen[s.KeyID] = s.State
		if s.State != Active {
			continue
		}
		active++
		if before[s.KeyID].State != Active && hadActive && !replaced &&
			m.now.Before(s.PublishedAt.Add(m.p.Rotation.PrePublish)) {
			t.Fatalf("%s signs after it was published for %s only", s.KeyID, m.now.Sub(s.PublishedAt))
		}
	}
	if active != 1 {
		t.Fatalf("%d active keys in %s", active, states(next))
	}
	for kid, s := range before {
		if slices.ContainsFunc(next, func(n Slot) bool { return n.KeyID == kid }) {
			continue
		}
		m.gone[kid] = true
		signed := s.State == Active || s.State == Retired
		if signed && !slices.Contains(m.p.RevokedKeyIDs, kid) &&
			(s.State == Active || m.now.Before(s.RetiredAt.Add(m.p.Retain))) {
			t.Fatalf("%s was dropped while tokens that it signed may live", kid)
		}
	}
}

func TestSlotMachine(t *testing.T) {
	t.Parallel()
	t.Run("F299: any interleaving keeps one active key, published before and kept after", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			m := &machine{p: plan(), now: start, seen: map[string]State{}, gone: map[string]bool{}}
			t.Repeat(map[string]func(*rapid.T){
				"tick": func(t *rapid.T) {
					m.now = m.now.Add(time.Duration(rapid.Int64Range(0, int64(400*time.Hour)).Draw(t, "later")))
					m.tick(t)
				},
				"soon": func(t *rapid.T) {
					m.now = m.now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "soon")))
					m.tick(t)
				},
				"clock back": func(t *rapid.T) {
					m.now = m.now.Add(-time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "earlier")))
					m.tick(t)
				},
				"algorithm": func(t *rapid.T) {
					m.p.Algorithm = rapid.SampledFrom([]string{jose.ES256, jose.EdDSA}).Draw(t, "algorithm")
				},
				"rotate": func(t *rapid.T) {
					m.p.RotateAfter = m.now.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(3*time.Hour)).Draw(t, "rotate")))
				},
				"revoke": func(t *rapid.T) {
					if len(m.slots) > 0 {
						kid := rapid.SampledFrom(m.slots).Draw(t, "revoked").KeyID
						m.p.RevokedKeyIDs = append(slices.Clone(m.p.RevokedKeyIDs), kid)
					}
				},
			})
		})
	})
}

func TestPlansThatCannotBeFollowedAreRefused(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*Plan){
		"no algorithm":            func(p *Plan) { p.Algorithm = "" },
		"a symmetric algorithm":   func(p *Plan) { p.Algorithm = "HS256" },
		"a negative period":       func(p *Plan) { p.Rotation.Period = -1 },
		"a period of prePublish":  func(p *Plan) { p.Rotation.Period = p.Rotation.PrePublish },
		"a negative retention":    func(p *Plan) { p.Retain = -1 },
		"a negative publish time": func(p *Plan) { p.Rotation.PrePublish = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plan()
			edit(&p)
			if err := p.Validate(); err == nil {
				t.Error("the plan was accepted")
			}
			if err := InMemory().Ensure("main", p, start); err == nil {
				t.Error("Ensure followed the plan")
			}
		})
	}
}
