// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

// keySet is one accepted state of an issuer's keys; it does not change.
type keySet struct {
	set        *jose.KeySet
	generation uint64
	warnings   []string
	fetchedAt  time.Time
	until      time.Time // zero: never ends (inline)
	from       string
}

func (k *keySet) expired(now time.Time) bool {
	return !k.until.IsZero() && !now.Before(k.until)
}

// newKeySet reads a document in the light of the one before it, which may be
// nil. A document without a usable key is an error, never an empty set: an
// issuer that has lost all its keys cannot be told from one that is broken.
// generation makes a new number.
func newKeySet(body []byte, before *keySet, generation func() uint64) (*keySet, error) {
	set, unused, err := jose.ParseKeySet(body, jose.KeySetOptions{MaxBytes: maxJWKSBytes})
	if err != nil {
		return nil, fmt.Errorf("key set refused: %w", err)
	}
	if set.Len() == 0 {
		if len(unused) > 0 {
			return nil, fmt.Errorf("the key set has no usable key; %s", unused[0])
		}
		return nil, errors.New("the key set has no keys")
	}
	next := &keySet{set: set}
	for _, w := range unused {
		next.warnings = append(next.warnings, w.String())
	}
	if before == nil {
		next.generation = generation()
		return next, nil
	}
	lost, replaced := compare(before.set, set)
	next.generation = before.generation
	if lost {
		next.generation = generation()
	}
	next.warnings = append(next.warnings, replaced...)
	if !lost && set.Len() == before.set.Len() { // nothing lost, nothing new
		next.set = before.set
		for _, w := range before.warnings { // what was replaced stays said until the keys change again
			if !slices.Contains(next.warnings, w) && isReplaced(w) {
				next.warnings = append(next.warnings, w)
			}
		}
	}
	return next, nil
}

const replacedText = " was replaced by another one under the same ID: tokens that the old one signed are refused"

func isReplaced(w string) bool {
	return len(w) > len(replacedText) && w[len(w)-len(replacedText):] == replacedText
}

// compare says whether a key of the old set is gone or changed, and which IDs
// stand for another key now.
func compare(before, after *jose.KeySet) (lost bool, replaced []string) {
	for _, kid := range before.KeyIDs() {
		was, _ := before.Key(kid)
		is, ok := after.Key(kid)
		switch {
		case !ok:
			lost = true
		case !sameKey(was, is):
			lost = true
			replaced = append(replaced, fmt.Sprintf("key %q", clip(kid))+replacedText)
		}
	}
	return lost, replaced
}

func sameKey(a, b *jose.PublicKey) bool {
	x, errX := a.MarshalJSON()
	y, errY := b.MarshalJSON()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
