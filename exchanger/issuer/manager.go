// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

// The two ways in which a key is not there.
var (
	// ErrKeyUnknown: the issuer's keys are known and current, and this is none
	// of them. The token is refused.
	ErrKeyUnknown = errors.New("the issuer has no such key")
	// ErrUnable: whether the issuer has the key cannot be told now. Trying
	// again can help.
	ErrUnable = errors.New("the issuer's keys cannot be told now")
)

// maxKeyIDBytes is jose's bound of a kid; a longer one names no key.
const maxKeyIDBytes = 256

// Manager keeps the keys of all trusted issuers.
type Manager struct {
	opts       Options
	generation atomic.Uint64
	sources    atomic.Pointer[map[string]*source] // never changed, only replaced

	mu    sync.Mutex // for replacing sources and for starting workers
	start func(*source)
}

// New returns a Manager without sources. Nothing is fetched before Run.
func New(o Options) *Manager {
	m := &Manager{opts: o.orDefaults()}
	m.sources.Store(&map[string]*source{})
	return m
}

// Run fetches until ctx ends, and returns nil when all workers have. It must
// be called once.
func (m *Manager) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	m.mu.Lock()
	if m.start != nil {
		m.mu.Unlock()
		return errors.New("issuer manager: Run was called twice")
	}
	m.start = func(s *source) {
		if s.target == nil {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		s.stop.Store(&cancel)
		workers.Go(func() {
			defer cancel()
			s.work(ctx)
		})
	}
	for _, s := range *m.sources.Load() {
		m.start(s)
	}
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock() // no worker starts while we wait for the last
	m.start = func(*source) {}
	m.mu.Unlock()
	workers.Wait()
	return nil
}

// SetSources makes the given sources the whole truth: new and changed ones are
// fetched, the keys of changed and missing ones are gone when it returns, and
// carried ones are in force. A source of which only the carried set changed stays,
// with the keys that stay; those that the set lacks are gone. Of two
// sources with one name neither is used. It does no I/O.
func (m *Manager) SetSources(sources []Source) {
	m.mu.Lock()
	old := *m.sources.Load()
	next := make(map[string]*source, len(sources))
	var fresh, carried []*source
	for _, spec := range unique(sources) {
		before := old[spec.Name]
		if before != nil && before.spec.equal(spec) && before.carriesLike(&spec) {
			next[spec.Name] = before
			if before.carry(spec.Carried) {
				carried = append(carried, before)
			}
			continue
		}
		s := newSource(spec, before, &m.opts, func() uint64 { return m.generation.Add(1) })
		next[spec.Name] = s
		fresh = append(fresh, s)
	}
	m.sources.Store(&next)
	for name, s := range old {
		if next[name] != s {
			if cancel := s.stop.Load(); cancel != nil {
				(*cancel)()
			}
		}
	}
	if m.start != nil {
		for _, s := range fresh {
			m.start(s)
		}
	}
	m.mu.Unlock()
	for _, s := range carried {
		s.publish()
	}
	for _, s := range fresh {
		s.guard(func() {
			if m.opts.OnChange != nil {
				m.opts.OnChange(s.spec.Name)
			}
		})
	}
}

// unique leaves out every source whose name stands twice: which one was meant
// cannot be told.
func unique(sources []Source) []Source {
	count := make(map[string]int, len(sources))
	for _, s := range sources {
		count[s.Name]++
	}
	return slices.DeleteFunc(slices.Clone(sources), func(s Source) bool { return count[s.Name] > 1 })
}

func (m *Manager) source(name string) *source { return (*m.sources.Load())[name] }

// Keys returns the issuer's public key with that ID. A key that is not known
// costs at most one fetch per cool-down, shared by everybody who waits for it;
// the caller has seen that the token is well-formed and that its issuer is
// trusted. The error wraps ErrKeyUnknown or ErrUnable.
//
// When ctx ends the caller goes, the fetch does not.
func (m *Manager) Keys(ctx context.Context, name, digest, kid string) (*jose.PublicKey, error) {
	s := m.source(name)
	if s == nil || s.spec.Digest != digest {
		return nil, fmt.Errorf("%w: trusted issuer %q is being configured", ErrUnable, name)
	}
	if kid == "" || len(kid) > maxKeyIDBytes {
		return nil, fmt.Errorf("%w: trusted issuer %q: a kid of 1 to %d bytes is expected", ErrKeyUnknown, name, maxKeyIDBytes)
	}
	if key, ok := s.key(kid); ok {
		return key, nil
	}
	done, err := s.demand()
	if err != nil {
		return nil, err
	}
	if done == nil {
		// A fetch may have ended between the look above and the question.
		if key, ok := s.key(kid); ok {
			return key, nil
		}
		return nil, s.verdict()
	}
	defer s.doneWaiting()
	// Before Run, nobody fetches; the bound keeps the promise all the same.
	bound := time.NewTimer(m.opts.FetchTimeout + time.Second)
	defer bound.Stop()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: trusted issuer %q: wait for its keys: %w", ErrUnable, name, context.Cause(ctx))
	case <-bound.C:
		return nil, fmt.Errorf("%w: trusted issuer %q: no fetch has ended in time", ErrUnable, name)
	}
	if m.source(name) != s {
		return nil, fmt.Errorf("%w: trusted issuer %q is being configured", ErrUnable, name)
	}
	if key, ok := s.key(kid); ok {
		return key, nil
	}
	return nil, s.verdict()
}

// verdict says why a key is not there, after all has been tried.
func (s *source) verdict() error {
	st := s.status.Load()
	live := s.live.Load()
	if st.State == Ready && live != nil && !live.expired(s.opts.Now()) {
		return fmt.Errorf("%w: trusted issuer %q", ErrKeyUnknown, s.spec.Name)
	}
	return fmt.Errorf("%w: trusted issuer %q is %s", ErrUnable, s.spec.Name, st.State)
}

// Peek returns the issuer's key with that ID if it is known now. It causes no
// fetch: it is for issuers that share a URL and are told apart by the key's ID.
func (m *Manager) Peek(name, digest, kid string) (*jose.PublicKey, bool) {
	s := m.source(name)
	if s == nil || s.spec.Digest != digest {
		return nil, false
	}
	return s.key(kid)
}

// Authorities are the X.509 authorities of a trust domain, for the source with this
// digest. The error wraps ErrKeyUnknown when its bundle is known and has none, and
// ErrUnable when it cannot be told. It causes no fetch: a bundle names an authority
// long before that issues anything (SPIFFE Trust Domain and Bundle, section 5).
func (m *Manager) Authorities(name, digest string) (*x509.CertPool, error) {
	s := m.source(name)
	if s == nil || s.spec.Digest != digest {
		return nil, fmt.Errorf("%w: trusted issuer %q is being configured", ErrUnable, name)
	}
	live := s.live.Load()
	switch {
	case live == nil || live.expired(m.opts.Now()):
		return nil, fmt.Errorf("%w: trusted issuer %q is %s", ErrUnable, name, s.status.Load().State)
	case live.authorities == nil:
		return nil, fmt.Errorf("%w: the bundle of trusted issuer %q has no X.509 authority", ErrKeyUnknown, name)
	}
	return live.authorities, nil
}

// Generation is a number that changes whenever a key of the issuer was removed
// or replaced, its configuration changed, or its keys ended: what was verified
// under one number may be trusted under the same number only. It is 0 when there
// are no keys, and then nothing may be trusted. No number is ever used again.
func (m *Manager) Generation(name string) uint64 {
	s := m.source(name)
	if s == nil {
		return 0
	}
	live := s.live.Load()
	if live == nil || live.expired(m.opts.Now()) {
		return 0
	}
	return live.generation
}

// Status says how an issuer is; false when it is no source.
func (m *Manager) Status(name string) (Status, bool) {
	s := m.source(name)
	if s == nil {
		return Status{}, false
	}
	st := *s.status.Load()
	st.KeyIDs, st.Warnings = slices.Clone(st.KeyIDs), slices.Clone(st.Warnings)
	return st, true
}

// JWKS returns the issuer's keys in canonical form, for whoever carries them to
// others, and the digest under which they were fetched; false when there are none
// that may be used, or when they need no carrying because they are inline.
func (m *Manager) JWKS(name string) (set []byte, digest string, ok bool) {
	s := m.source(name)
	if s == nil || s.spec.Inline != nil {
		return nil, "", false
	}
	live := s.live.Load()
	if live == nil || live.expired(m.opts.Now()) {
		return nil, "", false
	}
	set, err := canonical(live.set)
	return set, s.spec.Digest, err == nil
}

// Age is the time since an issuer's keys were fetched or confirmed; false when
// there are none, or when whether they are fresh is not known here: they are
// inline, or a carrier looks after them.
func (m *Manager) Age(name string) (time.Duration, bool) {
	s := m.source(name)
	if s == nil || s.target == nil {
		return 0, false
	}
	live := s.live.Load()
	if live == nil || live.until.IsZero() {
		return 0, false
	}
	return m.opts.Now().Sub(live.fetchedAt), true
}

// Names lists the sources in order, for metrics.
func (m *Manager) Names() []string {
	sources := *m.sources.Load()
	names := make([]string, 0, len(sources))
	for name := range sources {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Wait returns when the first fetch of every present source has ended, well or
// not, or with ctx.
func (m *Manager) Wait(ctx context.Context) error {
	for _, s := range *m.sources.Load() {
		s.mu.Lock()
		flight := s.flight
		s.mu.Unlock()
		if flight == nil || s.status.Load().State != Pending {
			continue
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return fmt.Errorf("wait for issuers: %w", context.Cause(ctx))
		}
	}
	return nil
}
