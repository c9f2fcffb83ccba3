// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"bytes"
	"crypto/x509"
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
	until      time.Time // zero: does not end (inline, carried by a fresh carrier)
	from       string
	// authorities are those of a trust bundle; nil when it has none.
	authorities *x509.CertPool
}

func (k *keySet) expired(now time.Time) bool {
	return !k.until.IsZero() && !now.Before(k.until)
}

// parsed is a document that was read, not yet in the light of the one before it.
type parsed struct {
	set      *jose.KeySet
	warnings []string
	from     string
}

// parseKeys reads a document. One without a usable key is an error, never an empty
// set: an issuer that has lost all its keys cannot be told from one that is broken.
//
// A trust bundle is a key set with X.509 authorities, which are keys as good as any.
func parseKeys(body []byte, from string, bundle bool) (parsed, error) {
	set, unused, err := jose.ParseKeySet(body, jose.KeySetOptions{MaxBytes: maxJWKSBytes, SPIFFE: bundle})
	if err != nil {
		return parsed{}, fmt.Errorf("key set refused: %w", err)
	}
	if set.Len()+len(set.Authorities()) == 0 {
		if len(unused) > 0 {
			return parsed{}, fmt.Errorf("the key set has no usable key; %s", unused[0])
		}
		return parsed{}, errors.New("the key set has no keys")
	}
	p := parsed{set: set, from: from}
	for _, w := range unused {
		p.warnings = append(p.warnings, w.String())
	}
	return p, nil
}

// after makes the next state of a document and of the state before it, which may
// be nil. Keys that stay are the very same keys, so that what they verified stays
// verified when another is added. generation makes a new number.
func (p parsed) after(before *keySet, generation func() uint64) *keySet {
	next := &keySet{set: p.set, warnings: slices.Clone(p.warnings), from: p.from, authorities: poolOf(p.set)}
	if before == nil {
		next.generation = generation()
		return next
	}
	set, lost, replaced := follow(before.set, p.set)
	next.set, next.generation = set, before.generation
	if lost {
		next.generation = generation()
	}
	next.warnings = append(next.warnings, replaced...)
	if !lost && set.Len() == before.set.Len() && len(set.Authorities()) == len(before.set.Authorities()) { // nothing lost, nothing new
		for _, w := range before.warnings { // what was replaced stays said until the keys change again
			if !slices.Contains(next.warnings, w) && isReplaced(w) {
				next.warnings = append(next.warnings, w)
			}
		}
	}
	return next
}

// with adds the keys of another document, whose word counts where both have a
// kid. It has at most twice jose's bound: each document alone keeps to that.
func (p parsed) with(more parsed) parsed {
	keys := make([]*jose.PublicKey, 0, p.set.Len()+more.set.Len())
	for _, kid := range p.set.KeyIDs() {
		if _, both := more.set.Key(kid); !both {
			key, _ := p.set.Key(kid)
			keys = append(keys, key)
		}
	}
	for _, kid := range more.set.KeyIDs() {
		key, _ := more.set.Key(kid)
		keys = append(keys, key)
	}
	set, err := jose.NewKeySet(keys...)
	if err != nil {
		return p // cannot be: no kid stands twice
	}
	if p.set.IsBundle() {
		both := slices.Clone(p.set.Authorities())
		for _, der := range more.set.Authorities() {
			if !hasAuthority(both, der) {
				both = append(both, der)
			}
		}
		set = set.Bundle(both)
	}
	return parsed{set: set, warnings: append(slices.Clone(p.warnings), more.warnings...), from: p.from + " and " + more.from}
}

// canonical writes a set in one form: sorted by kid, public members only.
func canonical(set *jose.KeySet) ([]byte, error) {
	kids := set.KeyIDs()
	slices.Sort(kids)
	keys := make([]*jose.PublicKey, len(kids))
	for n, kid := range kids {
		keys[n], _ = set.Key(kid)
	}
	sorted, err := jose.NewKeySet(keys...)
	if err != nil {
		return nil, fmt.Errorf("sort keys: %w", err)
	}
	if set.IsBundle() {
		sorted = sorted.Bundle(set.Authorities())
	}
	return sorted.MarshalJSON()
}

const replacedText = " was replaced by another one under the same ID: tokens that the old one signed are refused"

func isReplaced(w string) bool {
	return len(w) > len(replacedText) && w[len(w)-len(replacedText):] == replacedText
}

// follow takes the keys that did not change from the old set. It says whether a
// key of the old set is gone or changed, and which IDs stand for another key now.
func follow(before, after *jose.KeySet) (set *jose.KeySet, lost bool, replaced []string) {
	keep := make(map[string]*jose.PublicKey, before.Len())
	for _, kid := range before.KeyIDs() {
		was, _ := before.Key(kid)
		is, ok := after.Key(kid)
		switch {
		case !ok:
			lost = true
		case !sameKey(was, is):
			lost = true
			replaced = append(replaced, fmt.Sprintf("key %q", clip(kid))+replacedText)
		default:
			keep[kid] = was
		}
	}
	keys := make([]*jose.PublicKey, 0, after.Len())
	for _, kid := range after.KeyIDs() {
		key, kept := keep[kid]
		if !kept {
			key, _ = after.Key(kid)
		}
		keys = append(keys, key)
	}
	for _, der := range before.Authorities() {
		lost = lost || !hasAuthority(after.Authorities(), der)
	}
	set, err := jose.NewKeySet(keys...)
	switch {
	case err != nil:
		set = after // cannot be: the kids are those of a set
	case after.IsBundle():
		set = set.Bundle(after.Authorities())
	}
	return set, lost, replaced
}

func hasAuthority(list [][]byte, der []byte) bool {
	return slices.ContainsFunc(list, func(d []byte) bool { return bytes.Equal(d, der) })
}

// poolOf are a trust bundle's authorities; nil when it has none.
func poolOf(set *jose.KeySet) *x509.CertPool {
	if len(set.Authorities()) == 0 {
		return nil
	}
	pool := x509.NewCertPool()
	for _, der := range set.Authorities() {
		if cert, err := x509.ParseCertificate(der); err == nil { // jose has parsed it before
			pool.AddCert(cert)
		}
	}
	return pool
}

func sameKey(a, b *jose.PublicKey) bool {
	x, errX := a.MarshalJSON()
	y, errY := b.MarshalJSON()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
