// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
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

func moment(t time.Time) v1alpha1.Time {
	if t.IsZero() {
		return ""
	}
	return v1alpha1.Time(t.UTC().Format(time.RFC3339))
}
