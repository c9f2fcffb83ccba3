// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"bytes"
	"time"
)

const (
	// carrierTick is how often a source looks whether its carrier is still heard
	// of, and so the latest that polling begins after it went quiet.
	carrierTick = time.Minute
	// carrierGrace is how long a new source waits, half of it at least, for a
	// carrier that is there to bring its keys, before it fetches them itself: one
	// new issuer must not mean a fetch by every replica. Whoever asks for a key
	// ends the wait.
	carrierGrace = 30 * time.Second
)

// carrying is what a source knows of the keys that are carried to it. The mutex of
// the source guards it.
//
// Carried keys are the truth of whoever carries them. What this process finds
// itself, because a token names a key that was not carried, counts besides for two
// refresh intervals: by then the carrier has looked as well, and has brought the
// key, or there is none. Where the carrier was quiet, what was polled meanwhile is
// the truth, and goes on being it for as long after the carrier is back: the set
// that it last brought may be older.
type carrying struct {
	carriedText []byte
	carried     parsed
	// base is what a key that is found is added to: carried, or what was polled.
	base parsed
	// revertAt is when the keys go back to the carried ones alone; zero is never.
	revertAt time.Time
}

// carriesLike says whether the source goes on with what is carried for spec: one
// that loses its carried keys, or gets its first ones, begins anew.
func (s *source) carriesLike(spec *Source) bool {
	return s.seeds() || (len(s.spec.Carried) > 0) == (len(spec.Carried) > 0)
}

// seeds says that nobody carries: the first set is where this process begins.
func (s *source) seeds() bool { return s.opts.CarrierFresh == nil && !s.spec.Local }

// carrierFresh says whether the keys are carried by somebody who looks after them.
// It must be called without the lock.
func (s *source) carrierFresh() bool {
	if s.seeds() {
		return false
	}
	s.mu.Lock()
	none := s.carried.set == nil
	s.mu.Unlock()
	// Nobody else can look after the local cluster's.
	return !none && (s.spec.Local || s.opts.CarrierFresh())
}

// begins takes over what is carried, and says when the first fetch is due. A set
// that cannot be read is as good as none.
func (s *source) begins(now time.Time) {
	if s.spec.Inline != nil {
		return
	}
	if len(s.spec.Carried) > 0 {
		keys, err := parseKeys(s.spec.Carried, "the controller", s.spec.SPIFFE)
		if err == nil {
			s.carriedText, s.carried, s.base = s.spec.Carried, keys, keys
			live := keys.after(nil, s.number)
			live.fetchedAt = now
			if s.seeds() {
				live.until = now.Add(s.opts.StaleBound)
			}
			s.live.Store(live)
			return
		}
		s.spec.warnings = append(s.spec.warnings, "the carried keys are not used: "+err.Error())
	}
	if s.opts.CarrierFresh != nil && s.opts.CarrierFresh() {
		s.next = now.Add(carrierGrace/2 + time.Duration(float64(carrierGrace/2)*s.opts.Jitter()))
	}
}

// carry replaces what was carried. A key that the new set lacks is gone at once,
// wherever it came from. It reports whether anything changed.
func (s *source) carry(text []byte) bool {
	if s.seeds() || len(text) == 0 {
		return false
	}
	s.mu.Lock()
	same := bytes.Equal(s.carriedText, text)
	s.mu.Unlock()
	if same {
		return false
	}
	keys, err := parseKeys(text, "the controller", s.spec.SPIFFE)
	if err != nil {
		// What cannot be read takes nothing away: the set before it stays.
		s.opts.Logger.Error("carried keys are not used; those before them stay", "trusted_issuer", s.spec.Name, "error", err)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	live := keys.after(s.live.Load(), s.number)
	live.fetchedAt = s.opts.Now()
	s.live.Store(live)
	s.carriedText, s.carried, s.base = text, keys, keys
	s.revertAt, s.lastErr = time.Time{}, nil
	return true
}

// found adds what a fetch for an unknown key has found to what is carried. More
// such fetches do not put off the end of that, or strangers could. The caller holds
// the lock.
func (s *source) found(keys parsed, now time.Time) *keySet {
	if s.revertAt.IsZero() {
		s.revertAt = now.Add(2 * s.opts.RefreshInterval)
	}
	return s.base.with(keys).after(s.live.Load(), s.number)
}

// tend looks after what is carried. It returns when the next fetch is due, and when
// to look again at the latest.
func (s *source) tend(now time.Time) (due, wake time.Time) {
	fresh := s.carrierFresh()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.carried.set == nil || s.seeds() {
		return s.next, s.next
	}
	look := now.Add(carrierTick)
	live := *s.live.Load()
	switch {
	case fresh && live.expired(now): // the carrier is back, and nothing else is left
		s.live.Store(s.again(now))
	case fresh && !live.until.IsZero(): // the carrier is back
		live.until = time.Time{}
		s.revertAt, s.lastErr = now.Add(2*s.opts.RefreshInterval), nil
		s.live.Store(&live)
	case fresh && !s.revertAt.IsZero() && !now.Before(s.revertAt):
		s.live.Store(s.again(now))
	case !fresh && live.until.IsZero(): // the carrier has gone quiet
		live.until = now.Add(s.opts.StaleBound)
		// Every replica notices in the same minute, for every issuer.
		s.next = now.Add(time.Duration(float64(s.opts.RefreshInterval) * s.opts.Jitter()))
		s.live.Store(&live)
	}
	if fresh {
		return look.Add(carrierTick), look // never due: only a token asks for more
	}
	if s.next.Before(look) {
		look = s.next
	}
	return s.next, look
}

// again is the carried set alone. The caller holds the lock.
func (s *source) again(now time.Time) *keySet {
	s.revertAt, s.lastErr, s.base = time.Time{}, nil, s.carried
	live := s.carried.after(s.live.Load(), s.number)
	live.fetchedAt = now
	return live
}
