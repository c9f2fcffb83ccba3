// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"testing"

	"github.com/exchequer-dev/exchequer/test/vectors"
)

// The published vectors sign text, not claims, so Parse refuses every one of
// them for its payload. Here the payload is left unread and nothing else, so
// that structure, keys and signatures decide.
func TestPublishedVectorsBySignatureAlone(t *testing.T) {
	t.Parallel()
	vectors.Run(t, "jose, signature alone", func(keySet []byte, token string) error {
		set, _, err := ParseKeySet(keySet, KeySetOptions{})
		if err != nil {
			return err
		}
		c, err := parse(token, Limits{}.orDefaults(), false, nil)
		if err != nil {
			return err
		}
		key, _ := set.Key(c.KeyID())
		_, err = c.Verify(key, Algorithms())
		return err
	})
}
