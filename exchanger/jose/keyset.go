// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"encoding/json"
	"strconv"
)

// KeySetOptions bound a JWK Set. A zero field means its default.
type KeySetOptions struct {
	// MaxBytes bounds the document; default 256 KiB.
	MaxBytes int
	// MaxKeys bounds the entries; default 50. The largest RSA key, with its
	// certificate chain, is about 5 KiB: 50 of them fill MaxBytes.
	MaxKeys int
	// SPIFFE reads a trust bundle (SPIFFE Trust Domain and Bundle, section 4): its
	// keys are those of use jwt-svid, and its X.509 authorities those of use
	// x509-svid. An entry without use is neither.
	SPIFFE bool
}

// The defaults of KeySetOptions.
const (
	DefaultKeySetBytes = 256 << 10
	DefaultKeySetKeys  = 50
)

// keySetDepth is set, list, key, x5c list, and as much again for members that
// nobody has thought of.
const keySetDepth = 8

// Warning says why one key of a set is not used. It quotes nothing from the
// set, so it may stand in a status condition.
type Warning struct {
	// Index is the key's place in the set, from 0.
	Index int
	// Reason is constant text.
	Reason string
}

// String is the warning for people.
func (w Warning) String() string {
	return "key " + strconv.Itoa(w.Index) + " is not used: " + w.Reason
}

// KeySet is a set of public keys, each found by its kid alone. It does not
// change once it is made.
type KeySet struct {
	keys []*PublicKey
	byID map[string]*PublicKey
	// authorities are the certificates of a trust bundle, in DER.
	authorities [][]byte
	// bundle says that it is a trust bundle, and is written as one.
	bundle bool
}

// ParseKeySet reads a JWK Set. An entry that cannot be used is left out with a
// warning and the others serve; a set that is malformed, too large, or names
// one kid twice is refused as a whole, because then no kid of it can be relied
// on to mean one key.
func ParseKeySet(b []byte, o KeySetOptions) (*KeySet, []Warning, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultKeySetBytes
	}
	if o.MaxKeys <= 0 {
		o.MaxKeys = DefaultKeySetKeys
	}
	if len(b) > o.MaxBytes {
		return nil, nil, refuse(TooLarge, "the key set is above its limit")
	}
	doc, why := decodeObject(string(b), keySetDepth)
	if why != "" {
		return nil, nil, refuse(BadKeySet, why)
	}
	list, ok := doc["keys"].([]any)
	if !ok {
		return nil, nil, refuse(BadKeySet, `the key set has no list "keys"`)
	}
	if len(list) > o.MaxKeys {
		return nil, nil, refuse(TooLarge, "the key set has too many keys")
	}
	return readKeys(list, o.SPIFFE)
}

func readKeys(list []any, bundle bool) (*KeySet, []Warning, error) {
	set := &KeySet{byID: make(map[string]*PublicKey, len(list)), bundle: bundle}
	seen := make(map[string]bool, len(list))
	var warnings []Warning
	for i, entry := range list {
		jwk, ok := entry.(map[string]any)
		if !ok {
			warnings = append(warnings, Warning{i, notObject})
			continue
		}
		if bundle && jwk["use"] == useX509SVID {
			// A certificate is chosen by nobody, so that it needs no kid.
			der, why := parseAuthority(jwk)
			if why != "" {
				warnings = append(warnings, Warning{i, why})
				continue
			}
			set.authorities = append(set.authorities, der)
			continue
		}
		// Unused keys count: a kid must not mean another key tomorrow because
		// the first of two became usable.
		if kid, ok := jwk["kid"].(string); ok {
			if seen[kid] {
				return nil, nil, refuse(BadKeySet, "two keys of the set have the same kid")
			}
			seen[kid] = true
		}
		use := "sig"
		if bundle {
			use = useJWTSVID
		}
		key, why := parseKey(jwk, use)
		if why == "" && bundle && jwk["use"] != use {
			why = otherUse
		}
		if why != "" {
			warnings = append(warnings, Warning{i, why})
			continue
		}
		set.keys = append(set.keys, key)
		set.byID[key.keyID] = key
	}
	return set, warnings, nil
}

// NewKeySet makes a set of keys in the given order. Two keys with one kid are
// refused.
func NewKeySet(keys ...*PublicKey) (*KeySet, error) {
	set := &KeySet{byID: make(map[string]*PublicKey, len(keys))}
	for _, key := range keys {
		if set.byID[key.keyID] != nil {
			return nil, refuse(BadKeySet, "two keys of the set have the same kid")
		}
		set.keys = append(set.keys, key)
		set.byID[key.keyID] = key
	}
	return set, nil
}

// Key finds a key by its exact kid. There is no other way to choose one.
func (s *KeySet) Key(kid string) (*PublicKey, bool) {
	if s == nil {
		return nil, false
	}
	key, ok := s.byID[kid]
	return key, ok
}

// Len is the number of usable keys.
func (s *KeySet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// KeyIDs lists the kids in the set's order.
func (s *KeySet) KeyIDs() []string {
	ids := make([]string, 0, s.Len())
	if s != nil {
		for _, key := range s.keys {
			ids = append(ids, key.keyID)
		}
	}
	return ids
}

// MarshalJSON encodes the set as RFC 7517 has it: what /jwks serves.
func (s *KeySet) MarshalJSON() ([]byte, error) {
	if s != nil && s.bundle {
		return s.marshalBundle()
	}
	doc := struct {
		Keys []*PublicKey `json:"keys"`
	}{Keys: []*PublicKey{}}
	if s != nil {
		doc.Keys = append(doc.Keys, s.keys...)
	}
	return json.Marshal(doc)
}
