// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package vectors_test

import (
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/test/vectors"
)

// entries are the ways into the product that a stranger's token can take, by the
// name that deviations.yaml has for each. A package whose entry needs its own
// internals calls vectors.Run from its own test instead.
func entries() map[string]vectors.Entry {
	return map[string]vectors.Entry{
		"jose.Parse and Verify": parseAndVerify,
	}
}

func TestPublishedVectors(t *testing.T) {
	t.Parallel()
	for name, entry := range entries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vectors.Run(t, name, entry)
		})
	}
}

// parseAndVerify is what every token goes through first.
func parseAndVerify(keySet []byte, token string) error {
	set, _, err := jose.ParseKeySet(keySet, jose.KeySetOptions{})
	if err != nil {
		return err
	}
	c, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		return err
	}
	key, _ := set.Key(c.KeyID())
	_, err = c.Verify(key, jose.Algorithms())
	return err
}
