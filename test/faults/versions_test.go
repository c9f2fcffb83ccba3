// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// TestF334_OldAndNewReplicasServeBesideEachOther upgrades and rolls back. There
// is no next version yet, so one is made up: it reads one more format of the
// snapshot than this one, and writes it once every replica reads it.
func TestF334_OldAndNewReplicasServeBesideEachOther(t *testing.T) {
	t.Parallel()
	newer := with(t, next()...)
	old, fresh := rig.ProcessOptions{Flags: []string{"--drain-delay=1s"}}, rig.ProcessOptions{Programs: newer, Flags: []string{"--drain-delay=1s"}}
	i := install(t, plan{replicas: 2, controllers: 1, replica: old})
	load, _ := i.load(4, 10*time.Millisecond)
	n := 0
	// changed makes a change and wants it everywhere, published in a format.
	changed := func(when string, format int) {
		t.Helper()
		n++
		name := fmt.Sprintf("change-%d", n)
		i.apply(probeClient(name) + "---" + probePolicy(name))
		i.everywhere("media/"+name, true)
		must(t, rig.Until(t.Context(), fmt.Sprintf("%s: the format is %d", when, format), func(ctx context.Context) error {
			s, err := i.Secret(ctx, wire.PointerName)
			if err != nil {
				return err
			}
			if got := formatOf(s[wire.PointerKey]); got != format {
				return fmt.Errorf("it is %d", got)
			}
			return nil
		}))
	}
	replace := func(at int, name string, o rig.ProcessOptions) {
		t.Helper()
		was := i.Replicas()[at]
		r := i.replica(name, o)
		must(t, r.AwaitReady(t.Context()))
		_, err := was.Remove(t.Context())
		must(t, err)
	}
	began := time.Now()
	changed("before", policy.Format)
	first := i.Controllers()[0]
	_, err := first.Terminate()
	must(t, err)
	second := i.controller("controller-new", rig.ProcessOptions{Programs: newer})
	changed("the controller is new, the replicas are old", policy.Format)
	replace(0, "new-0", fresh)
	changed("one replica is new", policy.Format)
	replace(0, "new-1", fresh)
	changed("all replicas are new", policy.Format+1)

	// Rolled back: helm starts old replicas while the new controller still runs.
	r := i.replica("old-again-0", old)
	must(t, r.AwaitReady(t.Context()))
	changed("one replica is old again", policy.Format)
	_, err = second.Terminate()
	must(t, err)
	must(t, first.Start())
	for _, was := range i.Replicas() {
		if was != r {
			_, err := was.Remove(t.Context())
			must(t, err)
		}
	}
	changed("all are old again", policy.Format)
	answered := load.Stop()
	if failed := answered.Failed(); len(failed) > 0 {
		t.Errorf("of %d exchanges %d failed: %s: %v", len(answered), len(failed), failed, failed[0].Err)
	}
	figure(t, "upgraded to a version that writes a newer snapshot format, and rolled back, replicas one by one", "the format followed the oldest replica that serves; every change in force everywhere at each of %d steps; %d exchanges in %.0f s, %d failed",
		n, len(answered), time.Since(began).Seconds(), len(answered.Failed()))
}

// formatOf reads the format of a pointer that this build may not be able to read.
func formatOf(document []byte) int {
	var head struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(document, &head) != nil {
		return 0
	}
	return head.Format
}
