// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"encoding/pem"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
)

// problem is what stands against the keys of a TokenService, with its reason.
type problem struct {
	reason string
	err    error
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

func trouble(reason string, err error) error { return &problem{reason, err} }

// Condition tells how a TokenService's keys are, without transition time. It
// reports false before the first Ensure of the TokenService.
func (m *Manager) Condition(service string, generation int64) (metav1.Condition, bool) {
	m.mu.Lock()
	err, known := m.errs[service]
	m.mu.Unlock()
	if !known {
		return metav1.Condition{}, false
	}
	c := metav1.Condition{
		Type: v1alpha1.ConditionKeysReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonKeysReady,
		Message: "a key signs, and is published", ObservedGeneration: generation,
	}
	current, there := m.ring.Current(service)
	signs := there && current.AccessToken != nil
	if err == nil && signs {
		return c, true
	}
	c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonNoKey
	c.Message = "no key signs"
	var p *problem
	switch {
	case err == nil:
		return c, true
	case errors.Is(err, keys.ErrUnreadable):
		c.Reason = v1alpha1.ReasonKeysUnreadable
	case errors.As(err, &p):
		c.Reason = p.reason
	case errors.Is(err, keys.ErrUnusable):
		c.Reason = v1alpha1.ReasonKeyUnsuitable
	default:
		c.Reason = v1alpha1.ReasonKeysNotStored
	}
	c.Message = err.Error()
	if signs {
		c.Message += " (the last valid keys go on)"
	}
	return c, true
}

// Overdue is for how long each TokenService has signed with a key that should have
// handed over, beyond the time that the next one has to be published before it signs;
// 0 where all is well. Call it from the goroutine that calls Ensure.
func (m *Manager) Overdue() map[string]time.Duration {
	now, out := m.options.Now(), make(map[string]time.Duration, len(m.plans))
	for name, plan := range m.plans {
		out[name] = 0
		current, ok := m.ring.Current(name)
		if !ok {
			continue
		}
		due, ever := plan.Due(current.Slots)
		if !ever || now.Before(due) {
			delete(m.hung, name)
			continue
		}
		active := activeOf(current.Slots)
		since := m.hung[name]
		if since.keyID != active.KeyID {
			since = hung{active.KeyID, now}
		}
		// A key that is due by its age was due while nobody looked, too. One of a kind
		// that is wanted no more is due from the moment of that wish, which is not known.
		if active.Algorithm == plan.Algorithm && active.Source == plan.Source && plan.Source == keys.Managed && due.Before(since.since) {
			since.since = due
		}
		m.hung[name] = since
		out[name] = max(0, now.Sub(since.since)-plan.Rotation.PrePublish)
	}
	return out
}

func activeOf(slots []keys.Slot) keys.Slot {
	for _, s := range slots {
		if s.State == keys.Active {
			return s
		}
	}
	return keys.Slot{}
}

// Keys are the keys of a TokenService as its status tells them.
func (m *Manager) Keys(service string) []v1alpha1.SigningKeyStatus {
	current, ok := m.ring.Current(service)
	if !ok {
		return nil
	}
	out := make([]v1alpha1.SigningKeyStatus, 0, len(current.Slots))
	for _, s := range current.Slots {
		out = append(out, v1alpha1.SigningKeyStatus{
			KeyID: s.KeyID, Algorithm: s.Algorithm, State: v1alpha1.SigningKeyState(s.State),
			ActivatedAt: moment(s.ActivatedAt), RetiresAt: moment(s.RetiredAt),
		})
	}
	return out
}

// Certificate is the one with which a TokenService's assertions are signed, in PEM;
// empty when its key makes none.
func (m *Manager) Certificate(service string) v1alpha1.PEM {
	current, ok := m.ring.Current(service)
	if !ok {
		return ""
	}
	for _, c := range current.Certificates() {
		if c.State == keys.Active {
			return v1alpha1.PEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate.Raw}))
		}
	}
	return ""
}

func moment(t time.Time) v1alpha1.Time {
	if t.IsZero() {
		return ""
	}
	return v1alpha1.Time(t.UTC().Format(time.RFC3339))
}
