// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/wire"
	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// measurePublished looks at the size of what is published.
func (b *bench) measurePublished(ctx context.Context) error {
	s, err := b.cluster.Secret(ctx, wire.PointerName)
	if err != nil {
		return err
	}
	pointer, err := wire.ParsePointer(s[wire.PointerKey])
	if err != nil {
		return err
	}
	b.result.chunks = len(pointer.Chunks)
	for _, c := range pointer.Chunks {
		b.result.specBytes += c.Bytes
	}
	return nil
}

// measureMemory looks at the processes after all those changes.
func (b *bench) measureMemory(context.Context) error {
	b.result.controllerMemory, b.result.controllerPeak = b.control.Resident()
	for _, r := range b.replicas {
		now, peak := r.Resident()
		b.result.exchangerMemory, b.result.exchangerPeak = max(b.result.exchangerMemory, now), max(b.result.exchangerPeak, peak)
	}
	return nil
}

// measureStarts kills a replica and starts it again: with the API server there,
// and without it.
func (b *bench) measureStarts(ctx context.Context) error {
	progress("%d policies: starting an exchanger from its checkpoint", b.policies)
	r := b.replicas[1]
	if err := r.Kill(); err != nil {
		return err
	}
	r.Proxy.Cut()
	began := time.Now()
	if err := r.Start(); err != nil {
		return err
	}
	if err := rig.Until(ctx, "it is ready", func(ctx context.Context) error {
		if !r.Running() {
			return fmt.Errorf("it ended")
		}
		_, err := rig.Get(ctx, "http://"+r.Ops+"/readyz")
		return err
	}); err != nil {
		return err
	}
	b.result.fromCheckpoint = time.Since(began)
	answer := rig.Ask(ctx, b.client, r.Address, b.world.Form("media/images"))
	if !answer.Allowed() {
		return errors.Join(fmt.Errorf("from its checkpoint it answers %d %s", answer.Status, answer.Code), answer.Err)
	}
	r.Proxy.Heal()
	return nil
}
