// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// None is the Store of replicas that share no state: it can never tell whether
// something was used before, at another replica, so whatever must be used once is
// refused as one that cannot be decided.
type None struct{}

// Once implements [Store]: it is always [ErrUnavailable].
func (None) Once(context.Context, Purpose, string, string, time.Time) (bool, error) {
	return false, ErrUnavailable
}

// Put implements [Store]: it is always [ErrUnavailable].
func (None) Put(context.Context, Purpose, string, string, []byte, time.Time) error {
	return ErrUnavailable
}

// Get implements [Store]: it is always [ErrUnavailable].
func (None) Get(context.Context, Purpose, string) ([]byte, bool, error) {
	return nil, false, ErrUnavailable
}

// Take implements [Store]: it is always [ErrUnavailable].
func (None) Take(context.Context, Purpose, string) ([]byte, bool, error) {
	return nil, false, ErrUnavailable
}

// Swap implements [Store]: it is always [ErrUnavailable].
func (None) Swap(context.Context, Purpose, string, []byte, []byte, time.Time) (bool, error) {
	return false, ErrUnavailable
}

// Any implements [Store]: it is always false, since nothing was ever put. What must
// stay refused where nothing is shared is declared, as a TokenRevocation.
func (None) Any(context.Context, Purpose, []string) (bool, error) { return false, nil }

// Since implements [Store]. It is the zero time: a credential is not wrong because
// it was issued before this process, it is refused when it is to be used.
func (None) Since() time.Time { return time.Time{} }
