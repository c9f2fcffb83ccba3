// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

// hands are a wall clock and a monotonic one that a test moves.
type hands struct {
	wall time.Time
	mono time.Duration
}

func (h *hands) pass(d time.Duration) { h.wall, h.mono = h.wall.Add(d), h.mono+d }
func (h *hands) step(d time.Duration) { h.wall = h.wall.Add(d) }

func TestAClockThatCannotBeBelieved(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tc := range map[string]struct {
		happens func(h *hands, hear func(off time.Duration))
		good    bool
	}{
		"time passes":           {func(h *hands, _ func(time.Duration)) { h.pass(240 * time.Hour) }, true},
		"a leap second":         {func(h *hands, _ func(time.Duration)) { h.pass(time.Hour); h.step(-time.Second) }, true},
		"F339: it jumps ahead":  {func(h *hands, _ func(time.Duration)) { h.pass(time.Hour); h.step(10 * time.Minute) }, false},
		"F340: it is set back":  {func(h *hands, _ func(time.Duration)) { h.pass(time.Hour); h.step(-10 * time.Minute) }, false},
		"it is set right again": {func(h *hands, _ func(time.Duration)) { h.step(-10 * time.Minute); h.step(10 * time.Minute) }, true},
		"steps add up": {
			func(h *hands, _ func(time.Duration)) {
				for range 4 {
					h.pass(time.Hour)
					h.step(10 * time.Second)
				}
			}, false,
		},
		"F340: it was wrong from the start, as the API server says": {
			func(_ *hands, hear func(time.Duration)) { hear(10 * time.Minute) }, false,
		},
		"it was wrong from the start and is mended": {
			func(h *hands, hear func(time.Duration)) { hear(10 * time.Minute); h.step(10 * time.Minute); hear(0) }, true,
		},
		"it jumps ahead, and the API server contradicts": {
			func(h *hands, hear func(time.Duration)) { hear(0); h.step(10 * time.Minute); hear(-10 * time.Minute) }, false,
		},
		"the machine slept, and the API server agrees with the time since": {
			func(h *hands, hear func(time.Duration)) { hear(0); h.step(8 * time.Hour); hear(0) }, true,
		},
		"the API server's own clock jumps: that is its trouble": {
			func(h *hands, hear func(time.Duration)) { hear(0); h.pass(time.Minute); hear(10 * time.Minute) }, true,
		},
		"a contradiction within the skew": {func(_ *hands, hear func(time.Duration)) { hear(29 * time.Second) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hands{wall: start}
			c := newClock(func() time.Time { return h.wall }, func() time.Duration { return h.mono })
			tc.happens(h, func(off time.Duration) { c.hear(h.wall.Add(off)) })
			if got := c.Good(); got != tc.good {
				t.Errorf("good: %v", got)
			}
		})
	}
}

// transport is an http.RoundTripper of one function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheClockIsComparedWithEveryPromptAnswer(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tc := range map[string]struct {
		date string
		took time.Duration
		err  error
		good bool
	}{
		"an answer of the same time":      {date: start.Format(http.TimeFormat), good: true},
		"an answer of another time":       {date: start.Add(time.Hour).Format(http.TimeFormat)},
		"one that took too long to count": {date: start.Add(time.Hour).Format(http.TimeFormat), took: time.Minute, good: true},
		"one without a date":              {good: true},
		"one with nonsense for a date":    {date: "tomorrow", good: true},
		"none":                            {err: errors.New("down"), good: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hands{wall: start}
			c := newClock(func() time.Time { return h.wall }, func() time.Duration { return h.mono })
			through := c.Listen(transport(func(*http.Request) (*http.Response, error) {
				h.pass(tc.took)
				return &http.Response{Header: http.Header{"Date": {tc.date}}, Body: http.NoBody}, tc.err
			}))
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := through.RoundTrip(request)
			if !errors.Is(err, tc.err) {
				t.Errorf("got %v", err)
			}
			if err == nil {
				_ = answer.Body.Close()
			}
			if c.Good() != tc.good {
				t.Errorf("good: %v", c.Good())
			}
		})
	}
}

func TestTheSystemsClockIsGood(t *testing.T) {
	t.Parallel()
	if c := NewClock(); !c.Good() {
		t.Error("it is not")
	}
}

func TestTheMemoryLimitIsPartOfTheContainers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"1073741824\n": 858993459, "max\n": 0, "": 0, "-1": 0, "0": 0} {
		if got, ok := memoryLimit(text); got != want || ok != (want > 0) {
			t.Errorf("%q: got %d, %v", text, got, ok)
		}
	}
}
