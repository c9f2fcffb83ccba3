// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// TestAReplicaKilledUnderLoadLosesItsOwnRequestsOnly: a crash cannot be hidden
// from those who were being answered, and must not be felt by anybody else.
func TestAReplicaKilledUnderLoadLosesItsOwnRequestsOnly(t *testing.T) {
	t.Parallel()
	const workers = 8
	i := install(t, plan{controllers: 1, replicas: 2})
	load, _ := i.load(workers, 5*time.Millisecond)
	must(t, load.Await(t.Context(), 500))
	victim := i.Replicas()[0]
	began := time.Now()
	must(t, victim.Kill())
	noticed := i.noticed(victim)
	must(t, load.Await(t.Context(), 200))
	must(t, victim.Start())
	must(t, victim.AwaitReady(t.Context()))
	back := time.Since(began)
	must(t, load.Await(t.Context(), 500))
	answered := load.Stop()
	failed := answered.Failed()
	if others := len(failed) - len(failed.Of(victim.Address)); others > 0 {
		t.Errorf("%d requests to the other replica failed: %s", others, failed)
	}
	var until time.Duration
	for _, a := range failed {
		until = max(until, a.Began.Sub(began))
	}
	late := failed.Since(noticed)
	// One for each worker that had chosen the dead one when the front noticed.
	if len(late) > workers {
		t.Errorf("%d requests failed that began after the front had noticed: %s", len(late), late)
	}
	figure(t, "replica killed -9 under load", "of %d exchanges %d failed, all of them at the killed replica (%s), the last began %d ms after the kill, when the front had not noticed; the container served again after %.1f s",
		len(answered), len(failed), failed, until.Milliseconds(), back.Seconds())
}

func TestF334_ARollingRestartUnderLoadFailsNoRequest(t *testing.T) {
	t.Parallel()
	const rounds = 3
	// As the chart runs it: not ready at once, answering for a while.
	o := rig.ProcessOptions{Flags: []string{"--drain-delay=2s"}}
	i := install(t, plan{controllers: 1, replicas: 2, replica: o})
	load, _ := i.load(8, 5*time.Millisecond)
	must(t, load.Await(t.Context(), 200))
	began := time.Now()
	n := 0
	for round := range rounds {
		for _, old := range i.Replicas() {
			r := i.replica(fmt.Sprintf("exchanger-%d-%d", round+1, n), o)
			n++
			must(t, r.AwaitReady(t.Context()))
			code, err := old.Remove(t.Context())
			must(t, err)
			if code != 0 {
				t.Errorf("%s ended with code %d after SIGTERM", old.Name, code)
			}
			must(t, load.Await(t.Context(), 50))
		}
	}
	took := time.Since(began)
	answered := load.Stop()
	t.Run("F332: no request is cut off by a replica that stops", func(t *testing.T) {
		if failed := answered.Failed(); len(failed) > 0 {
			t.Errorf("of %d requests %d failed: %s; the first: %v", len(answered), len(failed), failed, failed[0].Err)
		}
	})
	figure(t, "rolling restart under load", "%d replicas replaced one after the other in %.0f s: of %d exchanges %d failed; p99 %d ms",
		2*rounds, took.Seconds(), len(answered), len(answered.Failed()), answered.Percentile(99).Milliseconds())
}
