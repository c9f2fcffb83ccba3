// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"errors"
	"testing"
	"time"
)

func TestHowLongAKindHasBeenBehindIsKnown(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	h := &Health{Now: func() time.Time { return now }}
	is := func(what string, want time.Duration) {
		t.Helper()
		if got := h.Behind(); got != want || (got > 0) != (h.Problem() != nil) && want > 0 {
			t.Errorf("%s: behind for %s (%v), want %s", what, got, h.Problem(), want)
		}
	}
	is("nothing is watched yet", 0)
	h.note("Pod", errNotListed)
	h.note("ExchangePolicy", errNotListed)
	now = now.Add(time.Minute)
	is("nothing was listed yet", time.Minute)
	h.note("Pod", nil)
	is("one kind was not", time.Minute)
	h.note("ExchangePolicy", nil)
	is("all follow", 0)
	now = now.Add(time.Hour)
	h.note("Pod", errors.New("refused"))
	now = now.Add(time.Second)
	h.note("ExchangePolicy", errors.New("refused"))
	h.note("Pod", nil)
	now = now.Add(time.Second)
	is("one after the other, without a moment between", 2*time.Second)
}
