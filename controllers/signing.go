// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// tokenSlack is what retired keys stay published beyond the longest token.
const tokenSlack = time.Minute

// ensureKeys makes and rotates the signing keys of the TokenServices in force.
func (op *Operator) ensureKeys(spec *policy.Spec) error {
	if op.options.Ring == nil {
		return nil
	}
	var errs []error
	for i := range spec.Services {
		s := &spec.Services[i]
		plan := keys.Plan{
			Algorithm: s.Algorithm, RotateAfter: s.Rotation.RotateAfter, RevokedKeyIDs: s.RevokedKeyIDs, Retain: s.MaxLifetime + tokenSlack,
			Rotation: keys.Rotation{Period: s.Rotation.Period, PrePublish: s.Rotation.PrePublish},
		}
		if err := op.options.Ring.Ensure(s.Name, plan, op.options.Now()); err != nil {
			errs = append(errs, err) // one TokenService's trouble is not the others'
		}
	}
	return errors.Join(errs...)
}

// signingKeys are the keys of a TokenService as its status tells them.
func (op *Operator) signingKeys(service string) []v1alpha1.SigningKeyStatus {
	if op.options.Ring == nil {
		return nil
	}
	current, ok := op.options.Ring.Current(service)
	if !ok {
		return nil
	}
	out := make([]v1alpha1.SigningKeyStatus, 0, len(current.Slots))
	for _, s := range current.Slots {
		out = append(out, v1alpha1.SigningKeyStatus{
			KeyID: s.KeyID, Algorithm: s.Algorithm, State: v1alpha1.SigningKeyState(s.State), ActivatedAt: moment(s.ActivatedAt), RetiresAt: moment(s.RetiredAt),
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
