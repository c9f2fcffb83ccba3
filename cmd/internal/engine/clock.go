// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/http"
	"sync"
	"time"
)

const (
	// ClockSkew is what the clock may be off by before this replica stops: as much as
	// clients and issuers are allowed, so that a token of ours is not from the future
	// for anybody who allows the same.
	ClockSkew = 30 * time.Second
	// prompt is how quick an answer must be for its Date to say something.
	prompt = 5 * time.Second
)

// Clock watches the wall clock: a token's times, and whether a subject token has
// expired, are no better than it is. It knows two things besides. The monotonic
// clock does not step, so a wall clock that moved differently has. And the API
// server says what time it is with every answer.
//
//   - A wall clock that steps by more than [ClockSkew] is not good any more, until
//     the API server agrees with it or it steps back.
//   - One that the API server has never agreed with, and has contradicted, is not
//     good. Once it has agreed, a contradiction without a step here is the API
//     server's own trouble: it must not be able to stop every replica by its clock.
type Clock struct {
	// wall is the wall clock, mono the time since the start that no step changes.
	wall func() time.Time
	mono func() time.Duration

	mu sync.Mutex
	// good and at are the wall and the monotonic clock when the wall was last believed.
	good time.Time
	at   time.Duration
	// agreed says that the API server has agreed once, disputed that it has only ever
	// contradicted.
	agreed, disputed bool
}

// NewClock begins to watch the system's clock, which counts as good until now.
func NewClock() *Clock {
	start := time.Now()
	return newClock(func() time.Time { return time.Now().Round(0) }, func() time.Duration { return time.Since(start) })
}

func newClock(wall func() time.Time, mono func() time.Duration) *Clock {
	return &Clock{wall: wall, mono: mono, good: wall(), at: mono()}
}

// Good says whether the wall clock can be believed. It takes no longer than reading
// it.
func (c *Clock) Good() bool {
	if c == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	step := c.wall().Sub(c.good) - (c.mono() - c.at)
	return !c.disputed && step.Abs() <= ClockSkew
}

// hear is told what time the API server says it is.
func (c *Clock) hear(date time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := c.wall()
	if wall.Sub(date).Abs() <= ClockSkew {
		c.good, c.at = wall, c.mono()
		c.agreed, c.disputed = true, false
		return
	}
	c.disputed = !c.agreed
}

// Listen returns a transport that reads the Date of every answer.
func (c *Clock) Listen(next http.RoundTripper) http.RoundTripper { return dated{c, next} }

// dated is a transport that reads the Date of answers.
type dated struct {
	clock *Clock
	next  http.RoundTripper
}

func (l dated) RoundTrip(r *http.Request) (*http.Response, error) {
	began := l.clock.mono()
	answer, err := l.next.RoundTrip(r)
	if err != nil || l.clock.mono()-began > prompt {
		return answer, err
	}
	if date, dateErr := http.ParseTime(answer.Header.Get("Date")); dateErr == nil {
		l.clock.hear(date)
	}
	return answer, nil
}
