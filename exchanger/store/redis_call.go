// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// How calls end, for [Observer].
const (
	resultOK          = "ok"
	resultQuota       = "quota"
	resultRefused     = "refused"     // the server answered, and not with what was asked
	resultUnanswered  = "unanswered"  // it did not answer, in time or at all
	resultUnconfirmed = "unconfirmed" // too few replicas
	resultShed        = "shed"        // it was not asked: it does not answer, or too many ask
	resultUnfit       = "unfit"       // it must not be used
)

// call asks the server, twice if the answer to the first attempt was lost: what is
// asked is made so that asking again is the same as having asked once. The error is
// one of the Store's.
func (r *Redis) call(ctx context.Context, name string, ask func(context.Context, *epoch) error) error {
	begun := time.Now()
	result, err := r.bounded(ctx, ask)
	if r.options.Observer != nil {
		r.options.Observer.StoreCall(name, result, time.Since(begun))
	}
	return err
}

func (r *Redis) bounded(ctx context.Context, ask func(context.Context, *epoch) error) (string, error) {
	if ctx.Err() != nil {
		return resultUnanswered, ErrUnavailable
	}
	if r.trouble.Load() != nil {
		return resultUnfit, ErrUnavailable
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, r.options.Deadline)
	defer cancel()
	select {
	case r.places <- struct{}{}:
		defer func() { <-r.places }()
	case <-ctx.Done():
		return resultShed, ErrUnavailable
	}
	if !r.circuit.allow() {
		return resultShed, ErrUnavailable
	}
	err := r.attempts(ctx, ask)
	result := resultOf(err)
	switch {
	case result != resultUnanswered: // a server that refuses does answer
		r.circuit.report(true)
	case caller.Err() != nil: // it was not given the time
		r.circuit.abandon()
	default:
		r.circuit.report(false)
	}
	switch {
	case err == nil:
		return result, nil
	case errors.Is(err, ErrQuota):
		return result, ErrQuota
	case errors.Is(err, errOther):
		// It was flushed, or is another one: find out since when it has kept
		// everything, and let the caller ask again, who has to know first.
		_ = r.begin(ctx)
	}
	return result, ErrUnavailable
}

func resultOf(err error) string {
	switch {
	case err == nil:
		return resultOK
	case errors.Is(err, ErrQuota):
		return resultQuota
	case errors.Is(err, errUnconfirmed):
		return resultUnconfirmed
	case errors.Is(err, errUnfit):
		return resultUnfit
	case answered(err):
		return resultRefused
	}
	return resultUnanswered
}

// answered says whether an error is the server's answer.
func answered(err error) bool {
	var said redis.Error
	return errors.As(err, &said) || errors.Is(err, ErrUnavailable) || errors.Is(err, errOther)
}

// attempts asks once, and once more.
func (r *Redis) attempts(ctx context.Context, ask func(context.Context, *epoch) error) error {
	// Three fifths, so that there is time for the other.
	first, cancel := context.WithTimeout(ctx, r.options.Deadline*3/5)
	err := r.attempt(first, ask)
	cancel()
	if err == nil || resultOf(err) != resultUnanswered || ctx.Err() != nil {
		return err
	}
	return r.attempt(ctx, ask)
}

func (r *Redis) attempt(ctx context.Context, ask func(context.Context, *epoch) error) error {
	e := r.known.Load()
	if e == nil {
		if err := r.begin(ctx); err != nil {
			return err
		}
		e = r.known.Load()
	}
	return ask(ctx, e)
}
