// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys/signer"
)

// State is where a slot is on its way. It only moves forward.
type State string

// The states of a slot.
const (
	// Prepared is published and does not sign yet.
	Prepared State = "Prepared"
	// Active is published and signs.
	Active State = "Active"
	// Retired is published and does not sign any more.
	Retired State = "Retired"
)

// Source is where a key came from.
type Source string

// The sources of keys.
const (
	// Managed keys are made here.
	Managed Source = ""
	// SecretRef keys were made elsewhere and handed over.
	SecretRef Source = "SecretRef"
	// External keys stay with a signer that is asked for every signature.
	External Source = "External"
)

// Slot is one key's place, without the key.
type Slot struct {
	KeyID     string
	Algorithm string
	State     State
	Source    Source
	// PublishedAt is when the key became visible to relying parties.
	PublishedAt time.Time
	// ActivatedAt is when it began to sign; zero while Prepared.
	ActivatedAt time.Time
	// RetiredAt is when it signed last; zero until Retired.
	RetiredAt time.Time
}

// Rotation says how often the signing key changes.
type Rotation struct {
	// Period is how long a key signs; zero means until RotateAfter asks.
	Period time.Duration
	// PrePublish is how long a key is published before it signs. It is at least
	// the key set's max-age plus clock skew; the caller checks that.
	PrePublish time.Duration
}

// Plan is what a TokenService asks of its keys.
type Plan struct {
	// Algorithm is what new keys sign with. Another one than the Active key's
	// begins a new line: the old key signs until the new one has been published
	// long enough.
	Algorithm string
	Rotation  Rotation
	// RotateAfter asks for a key that became active at this time or later.
	RotateAfter time.Time
	// RevokedKeyIDs are never used or published again.
	RevokedKeyIDs []string
	// Retain is how long a retired key stays published: the longest life of a
	// token plus clock skew.
	Retain time.Duration
	// Source is where keys come from. With another one than Managed, Rotation.Period
	// and RotateAfter mean nothing: there is a new key when Given is another one.
	Source Source
	// Given is the key to use where the source is not Managed; nil says that it is
	// not known now, so that what is there goes on.
	Given *Given
	// Signer is who signs where the source is External.
	Signer signer.Config
}

// maxSlots bounds how many keys are published at once. Relying parties like
// ourselves read at most 50 (jose.DefaultKeySetKeys). A plan that wants more,
// such as a period of a minute with tokens of a day, rotates later instead.
const maxSlots = 32

// Validate reports a plan that cannot be followed.
func (p Plan) Validate() error {
	switch r := p.Rotation; {
	case !slices.Contains(jose.Algorithms(), p.Algorithm):
		return fmt.Errorf("signing algorithm %q is not one of %v", p.Algorithm, jose.Algorithms())
	case p.Source != Managed && p.Source != SecretRef && p.Source != External:
		return fmt.Errorf("key source %q is not one of SecretRef, External", p.Source)
	case r.Period < 0 || r.PrePublish < 0 || p.Retain < 0:
		return errors.New("rotation period, prePublish and retention must not be negative")
	case p.Given != nil:
		return p.validateGiven()
	case p.Source == Managed && r.Period != 0 && r.Period <= r.PrePublish:
		return fmt.Errorf("rotation period %s must be longer than prePublish %s", r.Period, r.PrePublish)
	}
	return nil
}

// Advance moves slots to where the plan wants them at now. It returns the new
// slots and, when a key is missing, the algorithm of the key to make, or of the
// given one; the caller adds it (NewSlot) and calls Advance again. Slots is not altered; it has at
// most one Active slot, and so has the result.
//
// It is pure and idempotent: equal input gives equal output, and a second call
// at the same time changes nothing. A clock that goes back makes nothing happen
// earlier and nothing happen twice, because no slot goes back.
func Advance(slots []Slot, now time.Time, p Plan) (next []Slot, missing string) {
	for _, s := range slots {
		if !p.drops(s, now) {
			next = append(next, s)
		}
	}
	active := slices.IndexFunc(next, func(s Slot) bool { return s.State == Active })
	// The one that was published first has waited longest.
	prepared := -1
	for i, s := range next {
		if s.State == Prepared && (prepared < 0 || s.PublishedAt.Before(next[prepared].PublishedAt)) {
			prepared = i
		}
	}
	switch {
	case active < 0 && prepared < 0:
		return next, p.wants(next)
	case active < 0:
		// The first key, or the one after a revocation: waiting would mean that
		// nobody signs.
		next[prepared].State, next[prepared].ActivatedAt = Active, now
		return Advance(next, now, p) // one Prepared less: this ends
	}
	due, ever := p.due(next[active])
	switch {
	case !ever:
		return next, ""
	case prepared < 0:
		if !now.Before(due.Add(-p.Rotation.PrePublish)) && len(next) < maxSlots {
			return next, p.wants(next)
		}
	case !now.Before(due) && !now.Before(next[prepared].PublishedAt.Add(p.Rotation.PrePublish)), p.gone(next[active]):
		next[active].State, next[active].RetiredAt = Retired, now
		next[prepared].State, next[prepared].ActivatedAt = Active, now
		return Advance(next, now, p)
	}
	return next, ""
}

// wants is the algorithm of the next key, "" when there is none to be had: the
// given key is not known, or it is one that has retired, and no slot goes back.
func (p Plan) wants(slots []Slot) string {
	if p.Source == Managed {
		return p.Algorithm
	}
	if p.Given == nil || slices.Contains(p.RevokedKeyIDs, p.Given.KeyID()) ||
		slices.ContainsFunc(slots, func(s Slot) bool { return s.KeyID == p.Given.KeyID() }) {
		return ""
	}
	return p.Algorithm
}

// gone says that the active key cannot sign any more: to wait until its successor
// has been published for long would mean that nobody signs.
func (p Plan) gone(active Slot) bool {
	return active.Source == External && p.Source == External && p.Given != nil && slices.Contains(p.Given.Gone, active.KeyID)
}

// NewSlot is the slot of a key that Advance asked for: published from now on.
func NewSlot(keyID, algorithm string, now time.Time) Slot {
	return Slot{KeyID: keyID, Algorithm: algorithm, State: Prepared, PublishedAt: now}
}

// drops reports slots that must go: revoked, retired long enough, or prepared
// for a line that is not wanted any more (such a key has signed nothing).
func (p Plan) drops(s Slot, now time.Time) bool {
	switch {
	case slices.Contains(p.RevokedKeyIDs, s.KeyID):
		return true
	case s.State == Retired:
		return !now.Before(s.RetiredAt.Add(p.Retain))
	case s.State == Prepared:
		return s.Algorithm != p.Algorithm || s.Source != p.Source || p.Given != nil && s.KeyID != p.Given.KeyID()
	}
	return false
}

// Due is when the Active key should have handed over, if ever: by its age, because a
// newer one was asked for, or because the plan wants another kind of key. The next one
// may need its time of publication from then on. Without an Active key it is never.
func (p Plan) Due(slots []Slot) (due time.Time, ever bool) {
	i := slices.IndexFunc(slots, func(s Slot) bool { return s.State == Active })
	if i < 0 {
		return due, false
	}
	return p.due(slots[i])
}

// due is when the active slot should hand over, if ever.
func (p Plan) due(active Slot) (due time.Time, ever bool) {
	if active.Algorithm != p.Algorithm || active.Source != p.Source || p.Given != nil && active.KeyID != p.Given.KeyID() {
		return active.ActivatedAt, true
	}
	if p.Source != Managed {
		return due, false
	}
	if p.Rotation.Period > 0 {
		due, ever = active.ActivatedAt.Add(p.Rotation.Period), true
	}
	if p.RotateAfter.After(active.ActivatedAt) && (!ever || p.RotateAfter.Before(due)) {
		due, ever = p.RotateAfter, true
	}
	return due, ever
}
