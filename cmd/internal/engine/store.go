// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// once is the store of one-time state.
func (e *Engine) once() store.Store {
	switch {
	case e.options.Shared != nil:
		e.options.Shared.Observe(e.metrics.Store())
		return e.options.Shared
	case e.options.NoStore:
		return store.None{}
	case e.options.Contested:
		// Whatever this process was given, and however empty: others may have been before.
		e.sole = store.NewSole(e.options.Now, store.MemoryLimits{})
		return e.sole
	}
	e.uses = store.NewMemory(e.options.Now, store.MemoryLimits{})
	if e.options.Ring.First() {
		e.uses.First()
	}
	return e.uses
}

// runStores looks after whichever store there is until ctx ends.
func (e *Engine) runStores(ctx context.Context, group *errgroup.Group) {
	if e.uses != nil {
		group.Go(func() error { return e.uses.Run(ctx) })
	}
	if e.sole != nil {
		group.Go(func() error { return e.sole.Run(ctx) })
	}
	if e.options.Shared != nil {
		group.Go(func() error { return e.options.Shared.Run(ctx) })
	}
}

// awaitStore waits until what is issued now is not refused as older than the store.
func (e *Engine) awaitStore(ctx context.Context) error {
	switch {
	case e.uses != nil:
		return e.uses.Wait(ctx)
	case e.options.Shared != nil:
		return e.options.Shared.Wait(ctx)
	}
	return nil
}
