// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import "testing"

func TestARevisionThatNoWriterComesToIsToldApart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		revision, known uint64
		want            bool
	}{
		"the next":         {8, 7, true},
		"an older one":     {1, 1 << 40, true},
		"as far as can be": {7 + MaxAhead, 7, true},
		"one further":      {8 + MaxAhead, 7, false},
		"the last of all":  {maxRevision, 7, false},
		"the last of all, where nothing is known":  {maxRevision, 0, false},
		"a large one, where nothing is known":      {1 << 52, 0, true},
		"one with room, where nothing is known":    {maxRevision - MaxAhead, 0, true},
		"one without room, where nothing is known": {maxRevision - MaxAhead + 1, 0, false},
		"the last of all, after the one before it": {maxRevision, maxRevision - 1, true},
	} {
		if got := Plausible(c.revision, c.known); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
