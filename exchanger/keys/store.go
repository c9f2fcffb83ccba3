// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"fmt"
)

// Store keeps the document of every TokenService over a restart (doc.go shows
// the document). It does not interpret one, except for Generation.
type Store interface {
	// Save replaces the stored document as a whole by one of a higher generation,
	// in one step that cannot be half done. It returns ErrStale, and stores
	// nothing, when the one that is there is as new or changes meanwhile; and
	// another error when the one that is there cannot be read: that is never
	// overwritten.
	Save(service string, generation int64, document []byte) error
	// Load returns the stored document, nil when there is none.
	Load(service string) ([]byte, error)
}

// placer is what a Store may have besides: where it keeps a document, for people.
type placer interface {
	Place(service string) string
}

// ErrStale means that the stored keys are others than this process knows.
var ErrStale = errors.New("the stored keys were changed by another process")

// ErrUnreadable means that the stored keys cannot be read and are left as they are.
var ErrUnreadable = errors.New("the stored keys cannot be read")

// ErrUnusable means that the key that was given will never sign.
var ErrUnusable = errors.New("the given key cannot be used")

// Open returns a Ring that makes, rotates and revokes keys and keeps them in s.
// Every Ensure compares what is stored with what is in use: what another process
// changed is taken over, what somebody took away or set back is stored again, and
// what cannot be read is reported and left as it is, while the keys in use go on.
//
// The first Ensure of a TokenService stores its keys once more under a new
// generation, so that those who follow them know a restored backup, which may be
// older than what they have, as what counts from now on.
func Open(s Store) *Ring {
	r := newRing(s)
	r.watch = true
	return r
}

// Generation returns the generation of a document, for a Store that compares. An
// error says why the document cannot be used, and quotes nothing from it.
func Generation(service string, document []byte) (int64, error) {
	l, err := decodeLine(service, document)
	if err != nil {
		return 0, err
	}
	return l.generation, nil
}

// load reads a TokenService's line; nil when there is none.
func (r *Ring) load(service string) (*line, error) {
	b, err := r.store.Load(service)
	if err != nil || b == nil {
		return nil, err
	}
	l, err := decodeLine(service, b)
	if err != nil {
		return nil, unusable(r.store, service, err)
	}
	return l, nil
}

// unusable says where the document that cannot be used is, and what to do.
func unusable(s Store, service string, why error) error {
	place := "the keys of TokenService " + service
	if p, ok := s.(placer); ok {
		place = p.Place(service)
	}
	return fmt.Errorf("%w: %s: %w; restore it from a backup, or move it away to start with new keys "+
		"(every token signed so far becomes invalid)", ErrUnreadable, place, why)
}

// refresh compares the line in use with the stored one. Where the stored one has
// to be written although the plan changes nothing, it says so.
func (r *Ring) refresh(service string) (rewrite bool, err error) {
	inUse := r.lines[service]
	if !r.watch && inUse != nil {
		return false, nil
	}
	stored, err := r.load(service)
	switch {
	case err != nil:
		return false, err
	case inUse == nil && stored != nil:
		r.lines[service] = stored
		return r.watch, nil
	case inUse == nil:
		return false, nil
	case stored == nil || stored.generation < inUse.generation:
		// Taken away, or a backup: no retired key comes back to life.
		return true, nil
	case stored.generation > inUse.generation:
		known := stored.remember(inUse.revoked)
		r.lines[service] = known
		return known != stored, nil
	}
	// Edited by hand, if it differs: whoever writes through a Ring raises the generation.
	return stored.digest != inUse.digest, nil
}
