// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// TestTheServerMayShortenTheRefresh counts fetches around the moment when the
// next is due.
func TestTheServerMayShortenTheRefresh(t *testing.T) {
	t.Parallel()
	const longest = 24 * time.Hour
	cases := map[string]struct {
		header  string
		refresh time.Duration
		want    time.Duration
	}{
		"F176: max-age=0 is a minute":                        {"max-age=0", 0, time.Minute},
		"F176: no-store is a minute":                         {"no-store", 0, time.Minute},
		"F176: no-cache is a minute":                         {"public, No-Cache", 0, time.Minute},
		"F176: max-age=120 is what it says":                  {"public, max-age=120, must-revalidate", 0, 2 * time.Minute},
		"F176: a quoted max-age is read":                     {`max-age="120"`, 0, 2 * time.Minute},
		"F176: of two the smaller counts":                    {"max-age=300, max-age=120", 0, 2 * time.Minute},
		"F176: ten years are the refresh interval":           {"max-age=315360000", 0, 10 * time.Minute},
		"F176: ten years are 24 h at the most":               {"max-age=315360000", 1000 * time.Hour, longest},
		"F176: more digits than a number holds are no more":  {"max-age=99999999999999999999999999", 1000 * time.Hour, longest},
		"F176: garbage is the refresh interval":              {"max-age=soon", 0, 10 * time.Minute},
		"F176: a negative number is the refresh interval":    {"max-age=-5", 0, 10 * time.Minute},
		"F176: an empty number is the refresh interval":      {"max-age", 0, 10 * time.Minute},
		"F176: no header is the refresh interval":            {"", 0, 10 * time.Minute},
		"F176: a refresh interval over 24 h is 24 h":         {"", 1000 * time.Hour, longest},
		"F176: other directives are the refresh interval":    {"s-maxage=1, immutable", 0, 10 * time.Minute},
		"F176: a short refresh interval outdoes the minimum": {"max-age=0", 20 * time.Second, 20 * time.Second},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(o *issuer.Options) { o.RefreshInterval, o.StaleBound = tc.refresh, 48*time.Hour }, func(w *world) {
				w.iss.Break(fake.JWKS, fake.Header("Cache-Control", tc.header))
				w.wants("random", issuer.ErrKeyUnknown) // fetches, and so reads the header
				start := w.iss.Requests(fake.JWKS)
				w.pass(tc.want - time.Second)
				if got := w.iss.Requests(fake.JWKS); got != start {
					t.Errorf("%d fetches before %v", got-start, tc.want)
				}
				w.pass(time.Second)
				if got := w.iss.Requests(fake.JWKS); got != start+1 {
					t.Errorf("%d fetches at %v, want 1", got-start, tc.want)
				}
			})
		})
	}
	t.Run("jitter makes a refresh earlier, never later", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(o *issuer.Options) { o.Jitter = func() float64 { return 1 } }, func(w *world) {
			w.pass(9*time.Minute - time.Second)
			if got := w.iss.Requests(fake.JWKS); got != 1 {
				t.Errorf("%d fetches before 9 min", got)
			}
			w.pass(time.Second)
			if got := w.iss.Requests(fake.JWKS); got != 2 {
				t.Errorf("%d fetches at 9 min", got)
			}
		})
	})
}

func TestFailuresAreRetriedMoreAndMoreSlowly(t *testing.T) {
	t.Parallel()
	t.Run("F169: the pause doubles to a limit, within its jitter", func(t *testing.T) {
		t.Parallel()
		for jitter, factor := range map[float64]float64{0: 0.5, 1: 1} {
			inWorld(t, func(o *issuer.Options) { o.Jitter = func() float64 { return jitter } }, func(w *world) {
				w.iss.Break(fake.JWKS, fake.Status(500))
				w.wants("random", issuer.ErrUnable) // the first failure, now
				fetches := w.iss.Requests(fake.JWKS)
				for _, full := range []float64{5, 10, 20, 40, 80, 160, 300, 300, 300} {
					due := time.Duration(full * factor * float64(time.Second))
					w.pass(due - time.Millisecond)
					if got := w.iss.Requests(fake.JWKS); got != fetches {
						t.Fatalf("jitter %v: retried before %v", jitter, due)
					}
					w.pass(time.Millisecond)
					fetches++
					if got := w.iss.Requests(fake.JWKS); got != fetches {
						t.Fatalf("jitter %v: not retried at %v", jitter, due)
					}
				}
				w.iss.Fix()
				w.pass(5 * time.Minute)
				w.wantState(issuer.Ready)
				w.iss.Break(fake.JWKS, fake.Status(500)) // and it starts anew
				w.pass(10 * time.Minute)
				if w.wantState(issuer.Stale); w.iss.Requests(fake.JWKS) < fetches+3 {
					t.Errorf("jitter %v: after a success the pause did not start anew", jitter)
				}
			})
		}
	})
	cases := map[string]struct {
		code   int
		header string
		want   time.Duration
	}{
		"F169: 429 with Retry-After is honoured":             {429, "600", 10 * time.Minute},
		"F169: 503 with Retry-After is honoured":             {503, "600", 10 * time.Minute},
		"F169: Retry-After as a date is honoured":            {429, "Sat, 01 Jan 2000 00:10:00 GMT", 10 * time.Minute}, // bubbles begin at 2000
		"F169: Retry-After beyond the cap is the cap":        {429, "999999999999999999999", time.Hour},
		"F169: Retry-After as a far date is the cap":         {429, "Fri, 31 Dec 2100 23:59:59 GMT", time.Hour},
		"F169: Retry-After in the past is the usual pause":   {429, "Fri, 31 Dec 1999 00:00:00 GMT", 2500 * time.Millisecond},
		"F169: Retry-After 0 is the usual pause":             {429, "0", 2500 * time.Millisecond},
		"F169: Retry-After as garbage is the usual pause":    {429, "soon", 2500 * time.Millisecond},
		"F169: Retry-After of another status does not count": {500, "600", 2500 * time.Millisecond},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, nil, func(w *world) {
				w.iss.Break(fake.JWKS, fake.Status(tc.code, tc.header))
				w.wants("random", issuer.ErrUnable)
				fetches := w.iss.Requests(fake.JWKS)
				w.pass(tc.want - time.Millisecond)
				if tc.want > time.Minute {
					w.wants("random", issuer.ErrUnable) // no token outdoes Retry-After
				}
				if got := w.iss.Requests(fake.JWKS); got != fetches {
					t.Errorf("asked again before %v", tc.want)
				}
				w.pass(time.Millisecond)
				if got := w.iss.Requests(fake.JWKS); got != fetches+1 {
					t.Errorf("not asked again at %v", tc.want)
				}
			})
		})
	}
}
