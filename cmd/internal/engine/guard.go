// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/server"
)

// guard refuses every exchange while this replica cannot vouch for what it decides
// by. Key sets and metadata go on: tokens that were given out have to be verified.
type guard struct {
	server.Exchanger
	engine *Engine
}

func (g guard) Exchange(ctx context.Context, call *oauth.Call) oauth.Answer {
	ref := g.engine.cannotVouch()
	if ref == nil || call.Ask == oauth.AskRevocation { // what is to end ends, whatever the time is
		return g.Exchanger.Exchange(ctx, call)
	}
	g.Refused(ctx, call, ref)
	return oauth.Answer{Refusal: ref}
}

func (e *Engine) cannotVouch() *policy.Refusal {
	switch {
	case !e.fresh():
		return unable("snapshotAge", "the policy was not confirmed with its source for longer than --max-snapshot-age")
	case !e.options.Clock.Good():
		return unable("clock", "this replica's clock has jumped or contradicts the API server's")
	}
	return nil
}

func unable(check, detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Unable, Reason: policy.SnapshotStale, Check: check, Detail: detail}
}

// fresh says whether the snapshot was confirmed within its bound.
func (e *Engine) fresh() bool {
	return e.options.MaxAge <= 0 || e.options.Confirmed == nil || e.age() <= e.options.MaxAge
}

// age is the time since the snapshot was confirmed. Where both times have a
// monotonic reading, a step of the clock does not change it; a time from a
// checkpoint has none, and a clock that was set back makes nothing younger than now.
func (e *Engine) age() time.Duration {
	return max(0, e.options.Now().Sub(e.options.Confirmed()))
}

// checks are the conditions of readiness that hang on more than the server.
func (e *Engine) checks() []server.Check {
	return []server.Check{
		{Name: "snapshot-age", Ready: e.fresh},
		{Name: "clock", Ready: e.options.Clock.Good},
		{Name: "signing-keys", Ready: e.canSign},
	}
}

// canSign says whether any token service has a key to sign with. One without must
// not keep the others from their clients; a replica that has none at all is of no
// use, and must not replace one that is.
func (e *Engine) canSign() bool {
	snapshot := e.snapshot.Load()
	if snapshot == nil {
		return true // which the server checks itself
	}
	services := snapshot.Services()
	for _, s := range services {
		if _, ok := e.options.Ring.Active(s.Name()); ok {
			return true
		}
	}
	return len(services) == 0
}
