// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// model is what the property believes about what relying parties have seen. A
// replica follows the Secret after every step, as the watch would have it.
type model struct {
	w        *world
	managers []*Manager
	follower *keys.Ring
	revoked  []string
	service  service

	published map[string]time.Time // when a key was first published
	signed    map[string]time.Time // when it signed last
	gone      map[string]bool
	active    string
}

func (m *model) tick(t *rapid.T, who int, lost string) {
	failed := errors.New(lost)
	switch lost {
	case "lost before the write":
		m.w.write = func() error { m.w.write = nil; return failed }
	case "another wrote first":
		other := m.managers[1-who]
		m.w.write = func() error {
			m.w.write = nil
			_ = other.Ensure(t.Context(), []v1alpha1.TokenService{m.service.object}, &policy.Spec{Services: []policy.Service{m.service.spec}})
			return nil
		}
	}
	err := m.managers[who].Ensure(t.Context(), []v1alpha1.TokenService{m.service.object}, &policy.Spec{Services: []policy.Service{m.service.spec}})
	m.w.write = nil
	if err != nil && lost == "" {
		t.Fatalf("with nothing in the way: %v", err)
	}
	m.look(t)
}

// look follows the Secret and compares with what was promised.
func (m *model) look(t *rapid.T) {
	s, err := m.managers[0].store.get(t.Context())
	if err != nil || s == nil {
		return
	}
	if err := m.follower.Follow(map[string][]byte{"main": s.Data["main.json"]}); err != nil {
		t.Fatalf("a replica cannot follow: %v", err)
	}
	c, _ := m.follower.Current("main")
	now := m.w.clock()
	if c.AccessToken == nil {
		t.Fatalf("nobody signs: %v", c.Slots)
	}
	active, forced := c.AccessToken.KeyID(), m.active == "" || slices.Contains(m.revoked, m.active)
	present := map[string]bool{}
	for _, slot := range c.Slots {
		present[slot.KeyID] = true
		if m.gone[slot.KeyID] {
			t.Fatalf("%s came back", slot.KeyID)
		}
		if _, known := m.published[slot.KeyID]; !known {
			m.published[slot.KeyID] = now
		}
		if slot.State == keys.Active && slot.KeyID != active {
			t.Fatalf("two keys are active: %v", c.Slots)
		}
	}
	if active != m.active && !forced && now.Sub(m.published[active]) < m.service.spec.Rotation.PrePublish {
		t.Fatalf("%s signs %s after it was published", active, now.Sub(m.published[active]))
	}
	for kid, last := range m.signed {
		if !present[kid] && !m.gone[kid] && !slices.Contains(m.revoked, kid) && now.Sub(last) < m.service.spec.MaxLifetime+tokenSlack {
			t.Fatalf("%s is not published %s after it signed", kid, now.Sub(last))
		}
	}
	for kid := range m.published {
		m.gone[kid] = !present[kid]
	}
	m.active, m.signed[active] = active, now
}

func TestAnyInterleavingOfControllersAndFailures(t *testing.T) {
	t.Parallel()
	t.Run("F299: one key signs, published before and kept after, whatever happens to whichever controller", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			w := newWorld(t)
			m := &model{
				w: w, managers: []*Manager{w.manager(), w.manager()}, follower: keys.NewFollower(), service: newService("main"),
				published: map[string]time.Time{}, signed: map[string]time.Time{}, gone: map[string]bool{},
			}
			who := func(t *rapid.T) int { return rapid.IntRange(0, 1).Draw(t, "controller") }
			t.Repeat(map[string]func(*rapid.T){
				"tick": func(t *rapid.T) {
					m.tick(t, who(t), rapid.SampledFrom([]string{"", "", "", "lost before the write", "another wrote first"}).Draw(t, "lost"))
				},
				"crash":   func(t *rapid.T) { m.managers[who(t)] = w.manager() },
				"a while": func(t *rapid.T) { w.later(time.Duration(rapid.Int64Range(1, int64(2*time.Hour)).Draw(t, "while"))) },
				"long":    func(t *rapid.T) { w.later(time.Duration(rapid.Int64Range(1, int64(400*time.Hour)).Draw(t, "long"))) },
				"rotate":  func(*rapid.T) { m.service.spec.Rotation.RotateAfter = w.clock() },
				"algorithm": func(t *rapid.T) {
					m.service.spec.Algorithm = rapid.SampledFrom([]string{jose.ES256, jose.EdDSA}).Draw(t, "algorithm")
				},
				"clock back": func(t *rapid.T) { w.later(-time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "back"))) },
				"revoke": func(t *rapid.T) {
					if m.active != "" && len(m.revoked) < 8 {
						m.revoked = append(slices.Clone(m.revoked), m.active)
						m.service.spec.RevokedKeyIDs = m.revoked
						m.tick(t, who(t), "")
					}
				},
			})
		})
	})
}
