// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

// maxWaiting bounds the callers that wait for one issuer's fetch: 128 requests
// of at most 64 KiB form and 64 KiB of decoded token are 16 MiB per issuer. The
// next one is told at once that we cannot tell.
const maxWaiting = 128

// source is one issuer at work. Its keys and status are read without locks.
type source struct {
	spec   Source
	target *target // nil: nothing is ever fetched
	client *client
	opts   *Options
	number func() uint64 // makes generations

	live   atomic.Pointer[keySet]
	status atomic.Pointer[Status]
	stop   atomic.Pointer[context.CancelFunc]
	kick   chan struct{}

	mu         sync.Mutex    // never held during I/O
	flight     chan struct{} // closed when the fetch that is due or under way has ended
	waiting    int
	lastDemand time.Time
	notBefore  time.Time // what Retry-After asked for
	failures   int
	lastErr    error
	next       time.Time
	fetching   bool
	stopped    bool
	carrying
}

// newSource checks a configuration. What is wrong with it is its status, so
// that one bad issuer is no reason to refuse the others.
func newSource(spec Source, before *source, o *Options, number func() uint64) *source {
	s := &source{spec: spec, opts: o, number: number, kick: make(chan struct{}, 1)}
	if err := s.configure(before); err != nil {
		s.target, s.client = nil, nil
		st := Status{State: Failed, Message: clip(err.Error())}
		s.status.Store(&st)
		return s
	}
	s.begins(o.Now())
	switch live := s.live.Load(); {
	case live != nil: // inline or carried, parsed already
		st := statusOf(live, nil, o.Now())
		st.Warnings = append(st.Warnings, s.spec.warnings...)
		s.status.Store(&st)
	case s.target == nil:
		s.status.Store(&Status{State: Pending, Message: "the local cluster's keys have not been read yet", Warnings: s.spec.warnings})
	default:
		s.flight = make(chan struct{})
		s.status.Store(&Status{State: Pending, Message: "no fetch has ended yet", Warnings: s.spec.warnings})
	}
	return s
}

func (s *source) configure(before *source) error {
	switch {
	case s.spec.Inline != nil:
		return s.configureInline()
	case s.spec.Local:
		if s.spec.JWKSURL != "" || s.spec.DiscoveryURL != "" {
			return errors.New("the local cluster and a URL for keys are both set: expected one")
		}
		return nil
	}
	t, err := newTarget(s.spec, nil)
	if err != nil {
		return err
	}
	if len(s.spec.CABundle) > 0 {
		t.pool, err = ParseBundle(s.spec.CABundle)
		if err != nil {
			// A damaged bundle must not mean the system's roots, and need not
			// mean an outage: the authorities that were declared before serve.
			if before == nil || before.target == nil || before.target.pool == nil || before.spec.URL != s.spec.URL {
				return err
			}
			t.pool = before.target.pool
			s.spec.warnings = []string{err.Error() + "; the bundle before it stays in use"}
		}
	}
	s.target, s.client = t, newClient(t, s.opts)
	return nil
}

func (s *source) configureInline() error {
	if s.spec.JWKSURL != "" || s.spec.DiscoveryURL != "" || s.spec.Local {
		return errors.New("inline keys and another place for keys are both set: expected one")
	}
	keys, err := parseKeys(s.spec.Inline, "the manifest", s.spec.SPIFFE)
	if err != nil {
		return fmt.Errorf("inline keys: %w", err)
	}
	live := keys.after(nil, s.number)
	live.fetchedAt = s.opts.Now()
	s.live.Store(live)
	return nil
}

// key reads the last good set, without a lock.
func (s *source) key(kid string) (*jose.PublicKey, bool) {
	live := s.live.Load()
	if live == nil || live.expired(s.opts.Now()) {
		return nil, false
	}
	return live.set.Key(kid)
}

// demand asks for a fetch because a key is unknown. It returns a channel that
// closes when the fetch has ended; nil when there will be none, because the
// cool-down has not passed or the server asked for a pause. The error says that
// a fetch is under way, and that too many wait for it already.
func (s *source) demand() (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.target == nil || s.stopped {
		return nil, nil
	}
	if s.flight == nil {
		now := s.opts.Now()
		if now.Before(s.notBefore) || (!s.lastDemand.IsZero() && now.Sub(s.lastDemand) < s.opts.Cooldown) {
			return nil, nil
		}
		s.lastDemand = now
		s.flight = make(chan struct{})
	}
	if !s.fetching { // one that waits for its turn has somebody to hurry for now
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
	if s.waiting >= maxWaiting {
		return nil, fmt.Errorf("%w: trusted issuer %q: %d requests wait for its keys already", ErrUnable, s.spec.Name, maxWaiting)
	}
	s.waiting++
	return s.flight, nil
}

func (s *source) doneWaiting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
}

// begin takes the kick that asked for this fetch, lest it ask for another.
func (s *source) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.kick:
	default:
	}
	s.fetching = true
	if s.flight == nil {
		s.flight = make(chan struct{})
	}
}

// land lets go of everybody who waits for the fetch.
func (s *source) land() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetching = false
	if s.flight != nil {
		close(s.flight)
		s.flight = nil
	}
}

// work fetches until ctx ends. One goroutine per issuer: that is the bulkhead.
func (s *source) work(ctx context.Context) {
	defer func() {
		s.mu.Lock()
		s.stopped = true
		s.mu.Unlock()
		s.land()
	}()
	for s.pause(ctx) {
		s.attempt(ctx)
	}
}

// attempt is one fetch and what follows from it.
func (s *source) attempt(ctx context.Context) {
	s.begin()
	defer s.land()
	started := s.opts.Now()
	keys, maxAge, ferr := s.load(ctx)
	if ctx.Err() != nil {
		return // dropped, or the process ends: not the issuer's failure
	}
	result := ResultOK
	if ferr != nil {
		result = ferr.result
	}
	s.settle(keys, maxAge, ferr)
	s.guard(func() {
		if s.opts.Observer != nil {
			s.opts.Observer.Fetched(s.spec.Name, result, s.opts.Now().Sub(started))
		}
	})
}

// load fetches and reads the document. A panic on the way is a failed fetch.
func (s *source) load(ctx context.Context) (keys parsed, maxAge time.Duration, ferr *fetchError) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.FetchTimeout)
	defer cancel()
	ferr = failed(ResultPanic, errors.New("the fetch panicked: please report this as a bug, with the log"))
	s.guard(func() {
		doc, err := s.target.fetch(ctx, s.client)
		if err != nil {
			ferr = err
			return
		}
		found, perr := s.read(doc)
		if perr != nil {
			ferr = failed(ResultKeys, fmt.Errorf("jwks %s: %w", doc.from, perr))
			return
		}
		keys, maxAge, ferr = found, doc.maxAge, nil
	})
	return keys, maxAge, ferr
}

// read reads a document that was fetched: SAML metadata, or a key set.
func (s *source) read(doc fetched) (parsed, error) {
	if s.spec.SAML {
		return parseMetadata(doc.body, s.spec.URL, doc.from, s.opts.Now())
	}
	return parseKeys(doc.body, doc.from, s.spec.SPIFFE)
}

// guard contains a panic. Its value may quote what was read, so it is not
// logged; the stack is.
func (s *source) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.opts.Logger.Error("panic in an issuer's worker", "trusted_issuer", s.spec.Name, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// settle records how a fetch ended. A failure leaves the keys as they are.
func (s *source) settle(keys parsed, maxAge time.Duration, ferr *fetchError) {
	fresh := s.carrierFresh()
	s.mu.Lock()
	now := s.opts.Now()
	if ferr == nil {
		var live *keySet
		if fresh {
			live = s.found(keys, now)
		} else {
			live = keys.after(s.live.Load(), s.number)
			live.until = now.Add(s.opts.StaleBound)
			s.base, s.revertAt = keys, time.Time{}
		}
		live.fetchedAt = now
		s.live.Store(live)
		s.failures, s.lastErr, s.notBefore = 0, nil, time.Time{}
		s.next = now.Add(s.opts.untilNext(maxAge))
	} else {
		s.failures++
		s.lastErr = ferr
		s.notBefore = now.Add(ferr.retryAfter)
		s.next = now.Add(s.opts.untilRetry(s.failures, ferr.retryAfter))
	}
	s.mu.Unlock()
	s.publish()
}

// publish makes the status anew and tells when it says something else.
func (s *source) publish() {
	s.mu.Lock()
	st := statusOf(s.live.Load(), s.lastErr, s.opts.Now())
	st.Warnings = append(st.Warnings, s.spec.warnings...)
	before := s.status.Swap(&st)
	s.mu.Unlock()
	if before.same(st) {
		return
	}
	s.opts.Logger.Info("issuer keys changed", "trusted_issuer", s.spec.Name, "state", string(st.State), "keys", len(st.KeyIDs), "message", st.Message)
	for _, w := range st.Warnings {
		s.opts.Logger.Warn("issuer keys", "trusted_issuer", s.spec.Name, "warning", w)
	}
	s.guard(func() {
		if s.opts.OnChange != nil {
			s.opts.OnChange(s.spec.Name)
		}
	})
}

// pause waits for the next fetch to be due, and for its turn; false is the end.
// On the way it notices that the last good keys have ended, and looks after those
// that are carried.
func (s *source) pause(ctx context.Context) bool {
	turn := time.Time{} // when the fetch that is due may begin
	for {
		if ctx.Err() != nil {
			// A first fetch that was cut off has left nothing due.
			return false
		}
		now := s.opts.Now()
		due, wake := s.tend(now)
		if !now.Before(due) {
			if turn.IsZero() {
				turn = now.Add(s.opts.turn())
			}
			if !now.Before(turn) {
				return true
			}
			wake = turn
		}
		if live := s.live.Load(); live != nil && live.until.After(now) && live.until.Before(wake) {
			wake = live.until
		}
		timer := time.NewTimer(wake.Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-s.kick:
			timer.Stop()
			return true
		case <-timer.C:
			if s.live.Load() != nil {
				s.publish()
			}
		}
	}
}
