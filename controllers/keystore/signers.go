// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/keys/signer"
)

const (
	// askEvery is how often a signer is asked for its keys, if it does not ask for
	// less (askLeast) or more (askMost).
	askEvery = time.Minute
	askLeast = 10 * time.Second
	askMost  = 10 * time.Minute
	// look is how often it is looked who is due.
	look = time.Second
)

// source is which signer a TokenService has, and what it wants of it.
type source struct {
	config    signer.Config
	algorithm string
}

// answer is what a signer said last that was good, and what is wrong since.
type answer struct {
	given *keys.Given
	// has are the key IDs that the signer can sign with.
	has map[string]bool
	err error
}

// signers asks the external signers.
type signers struct {
	mu      sync.Mutex
	sources map[string]*asked
	answers uint64 // how often there was news
}

type asked struct {
	source source
	due    time.Time
	answer answer
	known  bool
}

// want says which TokenServices have which signer.
func (s *signers) want(wanted map[string]source, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sources == nil {
		s.sources = map[string]*asked{}
	}
	for name := range s.sources {
		if _, still := wanted[name]; !still {
			delete(s.sources, name)
		}
	}
	for name, source := range wanted {
		if a := s.sources[name]; a == nil || a.source != source {
			s.sources[name] = &asked{source: source, due: now}
		}
	}
}

// wanted is what want was told, as a copy.
func (s *signers) wanted() map[string]source {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]source, len(s.sources))
	for name, a := range s.sources {
		out[name] = a.source
	}
	return out
}

func (s *signers) heardSoFar() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers
}

func (s *signers) answer(service string, want source) (answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.sources[service]
	if a == nil || !a.known || a.source != want {
		return answer{}, false
	}
	return a.answer, true
}

// dues are the TokenServices whose signer is to be asked now.
func (s *signers) dues(now time.Time) map[string]*asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]*asked{}
	for name, a := range s.sources {
		if !now.Before(a.due) {
			out[name] = a
		}
	}
	return out
}

// heard takes an answer over, and says whether it is news.
func (s *signers) heard(a *asked, said answer, next time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := !a.known || !same(&a.answer, &said)
	if news {
		s.answers++
	}
	if said.given == nil {
		// What it offered before goes on, and that it still has all of it, too.
		said.given, said.has = a.answer.given, a.answer.has
	}
	a.answer, a.known, a.due = said, true, next
	return news
}

func same(a, b *answer) bool {
	if (a.err == nil) != (b.err == nil) || a.err != nil && a.err.Error() != b.err.Error() {
		return false
	}
	if b.given == nil {
		return true
	}
	if a.given == nil || a.given.KeyID() != b.given.KeyID() || a.given.Label != b.given.Label || len(a.has) != len(b.has) {
		return false
	}
	for kid := range b.has {
		if !a.has[kid] {
			return false
		}
	}
	return true
}

// Start asks the external signers for their keys until ctx ends.
func (m *Manager) Start(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		m.Ask(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Ask asks every external signer that is due, side by side.
func (m *Manager) Ask(ctx context.Context) {
	var all sync.WaitGroup
	for name, a := range m.signers.dues(m.options.Now()) {
		all.Go(func() {
			said, after := m.ask(ctx, a.source)
			if ctx.Err() != nil {
				return
			}
			if m.signers.heard(a, said, m.options.Now().Add(after)) {
				if said.err != nil {
					m.options.Log.WarnContext(ctx, "the external signer's keys are not usable", "tokenService", name, "error", said.err)
				}
				m.options.OnChange()
			}
		})
	}
	all.Wait()
}

// ask has the signer name its keys and prove the first.
func (m *Manager) ask(ctx context.Context, s source) (answer, time.Duration) {
	fail := func(err error) (answer, time.Duration) {
		reason := v1alpha1.ReasonKeyUnsuitable
		if errors.Is(err, signer.ErrUnavailable) {
			reason = v1alpha1.ReasonSignerUnavailable
			err = fmt.Errorf("%w; the signer at %s is asked again every %s", err, s.config.Address, askLeast)
		}
		return answer{err: trouble(reason, err)}, askLeast
	}
	client, err := signer.New(s.config)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = client.Close() }()
	offers, hint, err := client.FetchKeys(ctx)
	if err != nil {
		return fail(err)
	}
	out := answer{has: map[string]bool{}}
	for _, o := range offers {
		out.has[o.Public.KeyID()] = true
		if out.given == nil && o.Public.Algorithm() == s.algorithm {
			out.given = &keys.Given{Public: o.Public, Label: o.Label}
		}
	}
	if out.given == nil {
		return fail(fmt.Errorf("none of the signer's %d keys is for %s: make one, or change signing.algorithm", len(offers), s.algorithm))
	}
	if err := client.Prove(ctx, signer.Offer{Label: out.given.Label, Public: out.given.Public}); err != nil {
		return fail(err)
	}
	if hint == 0 {
		hint = askEvery
	}
	return out, min(max(hint, askLeast), askMost)
}
