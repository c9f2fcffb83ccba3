// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// NewFollower returns a Ring that makes no keys: it serves those that another
// process made and stored, as Follow is told about them.
func NewFollower() *Ring { return newRing(nil) }

// Follow takes over the stored documents, by TokenService. Each stands for
// itself: one that cannot be used, that is missing, or that is older than the one
// in use, leaves its TokenService with the keys that it has, and the error says
// so. An older one is not followed because it would bring retired keys back: the
// process that owns the keys stores them again under a higher generation.
//
// A key that was revoked once does not come back with any document.
func (r *Ring) Follow(documents map[string][]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	lines := maps.Clone(r.lines)
	for _, service := range slices.Sorted(maps.Keys(documents)) {
		next, err := r.successor(service, documents[service])
		if err != nil {
			errs = append(errs, fmt.Errorf("keys of TokenService %s: %w", service, err))
			continue
		}
		lines[service] = next
	}
	for service, holder := range sharedKeys(lines) {
		errs = append(errs, fmt.Errorf("keys of TokenService %s: TokenService %s has the same private key; "+
			"each needs its own: revoke it in both", service, holder))
		delete(lines, service)
	}
	for _, service := range slices.Sorted(maps.Keys(lines)) {
		if lines[service] != r.lines[service] {
			errs = append(errs, r.use(service, lines[service]))
		}
	}
	return errors.Join(errs...)
}

// successor is the line to follow from a document: the one in use when the
// document is the same.
func (r *Ring) successor(service string, document []byte) (*line, error) {
	inUse := r.lines[service]
	if inUse != nil && inUse.digest == sha256.Sum256(document) {
		return inUse, nil
	}
	next, err := decodeLine(service, document)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the stored document is not followed: %w", err)
	case inUse == nil:
		return next.remember(r.plans[service].RevokedKeyIDs), nil
	case next.generation < inUse.generation:
		return nil, fmt.Errorf("the stored document has generation %d and is not followed: generation %d is in use", next.generation, inUse.generation)
	case next.generation == inUse.generation:
		return nil, fmt.Errorf("the stored document was changed without a new generation (%d) and is not followed", next.generation)
	}
	return next.remember(inUse.revoked).remember(r.plans[service].RevokedKeyIDs), nil
}

// sharedKeys finds the TokenServices that hold a private key of another one, with
// that other one.
func sharedKeys(lines map[string]*line) map[string]string {
	holders, shared := map[string]string{}, map[string]string{}
	for _, service := range slices.Sorted(maps.Keys(lines)) {
		for kid := range lines[service].keys {
			if other, taken := holders[kid]; taken {
				shared[service], shared[other] = other, service
				continue
			}
			holders[kid] = service
		}
	}
	return shared
}

// obey is Ensure for a follower: what the plan revokes is gone at once, whether
// or not whoever makes the keys is there to say so.
func (r *Ring) obey(service string, p Plan) error {
	l := r.lines[service]
	if l == nil {
		return fmt.Errorf("keys of TokenService %s: none are stored yet; the controller makes them", service)
	}
	next := l.remember(p.RevokedKeyIDs)
	if next != l {
		if err := r.use(service, next); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(next.slots, func(s Slot) bool { return s.State == Active }) {
		return fmt.Errorf("keys of TokenService %s: none may sign; the controller makes a new one", service)
	}
	return nil
}

// remember is the line with these keys revoked, and no longer there: itself when
// they are already.
func (l *line) remember(revoked []string) *line {
	more := slices.DeleteFunc(slices.Clone(revoked), func(kid string) bool { return slices.Contains(l.revoked, kid) })
	if len(more) == 0 {
		return l
	}
	c := l.without(more)
	c.revoked = append(c.revoked, more...)
	return c
}

// Forget drops the keys of a TokenService that is no more from memory. What is
// stored stays.
func (r *Ring) Forget(service string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.lines, service)
	delete(r.plans, service)
	all := maps.Clone(*r.current.Load())
	delete(all, service)
	r.current.Store(&all)
}
