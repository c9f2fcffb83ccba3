// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import "errors"

// CheckKeySet refuses a key set of which no key can verify anything.
func CheckKeySet(set []byte) error { return usable(set, KeySetOptions{}) }

// CheckBundle refuses a trust bundle that has neither a usable key nor an authority.
func CheckBundle(bundle []byte) error { return usable(bundle, KeySetOptions{SPIFFE: true}) }

func usable(set []byte, o KeySetOptions) error {
	parsed, warnings, err := ParseKeySet(set, o)
	switch {
	case err != nil:
		return err
	case parsed.Len()+len(parsed.Authorities()) > 0:
		return nil
	case len(warnings) > 0:
		return errors.New("no key is usable: " + warnings[0].String())
	}
	return errors.New("no key is usable")
}
