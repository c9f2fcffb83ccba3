// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/saml"
)

// All returns every key of the issuer, for signatures that do not say which key
// made them. tried is nil, or what All returned before and no key of which made
// the signature: then All looks for others, at most once per cool-down for
// everybody, and its error wraps ErrKeyUnknown when there are none.
//
// When ctx ends the caller goes, the fetch does not.
func (m *Manager) All(ctx context.Context, name, digest string, tried *jose.KeySet) (*jose.KeySet, error) {
	s := m.source(name)
	if s == nil || s.spec.Digest != digest {
		return nil, fmt.Errorf("%w: trusted issuer %q is being configured", ErrUnable, name)
	}
	if set := s.others(tried); set != nil {
		return set, nil
	}
	done, err := s.demand()
	if err != nil {
		return nil, err
	}
	if done != nil {
		defer s.doneWaiting()
		bound := time.NewTimer(m.opts.FetchTimeout + time.Second)
		defer bound.Stop()
		select {
		case <-done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: trusted issuer %q: wait for its keys: %w", ErrUnable, name, context.Cause(ctx))
		case <-bound.C:
			return nil, fmt.Errorf("%w: trusted issuer %q: no fetch has ended in time", ErrUnable, name)
		}
		if m.source(name) != s {
			return nil, fmt.Errorf("%w: trusted issuer %q is being configured", ErrUnable, name)
		}
	}
	if set := s.others(tried); set != nil {
		return set, nil
	}
	return nil, s.verdict()
}

// others are the keys that may be used now, nil when they are those that were
// tried.
func (s *source) others(tried *jose.KeySet) *jose.KeySet {
	live := s.live.Load()
	if live == nil || live.expired(s.opts.Now()) || sameSet(live.set, tried) {
		return nil
	}
	return live.set
}

// sameSet says whether a set has no key that the other lacks. Keys that stay in a
// set are the very same keys.
func sameSet(set, tried *jose.KeySet) bool {
	if tried == nil {
		return false
	}
	for _, kid := range set.KeyIDs() {
		is, _ := set.Key(kid)
		if was, ok := tried.Key(kid); !ok || was != is {
			return false
		}
	}
	return true
}

// parseMetadata reads the keys of an identity provider from its SAML metadata, as
// a key set like every other: each under its certificate's thumbprint.
func parseMetadata(body []byte, entityID, from string, now time.Time) (parsed, error) {
	certificates, err := saml.ParseMetadata(body, entityID, now)
	if err != nil {
		return parsed{}, fmt.Errorf("metadata refused: %w", err)
	}
	text, err := saml.KeySet(certificates)
	if err != nil {
		return parsed{}, errors.New("metadata refused: its certificates have keys that cannot be used")
	}
	return parseKeys(text, from, false)
}
