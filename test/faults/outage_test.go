// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// outage is how long the API server stays away.
func outage() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("FAULTS_OUTAGE")); err == nil {
		return d
	}
	if full() {
		return 10 * time.Minute
	}
	return 4 * time.Second
}

func TestF324ExchangesGoOnWithoutAPIServerAndAKilledReplicaStartsFromItsCheckpoint(t *testing.T) {
	t.Parallel()
	i := install(t, plan{controllers: 1, replicas: 2})
	i.apply(probeClient("later"))
	controller := i.Controllers()[0]
	process := controller.PID()
	pace := 10 * time.Millisecond
	if full() {
		pace = 50 * time.Millisecond
	}
	const workers = 4
	load, _ := i.load(workers, pace)
	must(t, load.Await(t.Context(), 100))
	must(t, i.Plane.KillServer())
	gone := time.Now()
	must(t, load.Await(t.Context(), 200))

	// A container restarts; its Pod and its checkpoint are the same.
	victim := i.Replicas()[1]
	must(t, victim.Kill())
	killed := time.Now()
	noticed := i.noticed(victim)
	must(t, victim.Start())
	must(t, victim.AwaitReady(t.Context()))
	restarted := time.Since(killed)
	must(t, answers(t.Context(), i, victim, "media/images", true))

	<-time.After(time.Until(gone.Add(outage())))
	away := time.Since(gone).Seconds()
	age, err := rig.Metric(t.Context(), i.Replicas()[0].Ops, "exchequer_snapshot_age_seconds")
	must(t, err)
	if age < away-1 {
		t.Errorf("the API server is away for %.0f s, and the age of the snapshot is said to be %.0f s", away, age)
	}
	must(t, i.Plane.StartServer(t.Context()))
	back := time.Now()
	i.apply(probePolicy("later"))
	i.everywhere("media/later", true)
	caughtUp := time.Since(back)
	answered := load.Stop()
	failed := answered.Failed()
	others, late := len(failed)-len(failed.Of(victim.Address)), failed.Since(noticed)
	if others > 0 || len(late) > workers {
		t.Errorf("of %d exchanges %d failed, %d of them not at the killed replica and %d after the front had noticed: %s", len(answered), len(failed), others, len(late), failed)
	}
	if !controller.Running() || controller.PID() != process {
		t.Errorf("the controller has ended: %s", controller.Log())
	}
	figure(t, "API server stopped for "+outage().String()+" under load, a replica killed -9 meanwhile",
		"%d exchanges, %d failed, all of them at the killed replica; it served from its checkpoint after %.1f s; a policy applied when the API server was back was in force everywhere %.1f s later; the controller was the same process all the time",
		len(answered), len(failed), restarted.Seconds(), caughtUp.Seconds())
}

func TestF321AReplicaWithoutCheckpointAndAPIServerIsAliveAndNeverReady(t *testing.T) {
	t.Parallel()
	i := install(t, plan{})
	must(t, i.Plane.KillServer())
	// Its Pod was made before the API server went away.
	must(t, i.Plane.StartServer(t.Context()))
	r, err := i.NewReplica(t.Context(), "exchanger-0", rig.ProcessOptions{})
	must(t, err)
	must(t, i.Plane.KillServer())
	must(t, r.Start())
	must(t, rig.Until(t.Context(), "it is alive", func(ctx context.Context) error { return alive(ctx, r) }))
	watch := time.NewTimer(7 * time.Second) // the API server has 5 s, then the checkpoint is looked for
	defer watch.Stop()
	for waiting := true; waiting; {
		select {
		case <-watch.C:
			waiting = false
		case <-time.After(50 * time.Millisecond):
		}
		if r.Ready() {
			t.Fatal("it says that it is ready")
		}
		must(t, alive(t.Context(), r))
	}
	client := rig.NewClient(1)
	defer client.CloseIdleConnections()
	if a := rig.Ask(t.Context(), client, r.Address, i.Form("media/images")); a.Status != http.StatusServiceUnavailable && a.Status != http.StatusNotFound {
		t.Errorf("it answers %d %s %v, expected 503", a.Status, a.Code, a.Err)
	}
	figure(t, "replica started with no API server and no checkpoint", "7 s long alive and not ready, and no token")
}

func alive(ctx context.Context, r *rig.Replica) error {
	_, err := rig.Get(ctx, "http://"+r.Ops+"/livez")
	return err
}

// TestF325WhatIsTooOldIsNotServedAndComesBackByItself has the program look every
// second instead of every minute, so that the bound can be three seconds.
func TestF325WhatIsTooOldIsNotServedAndComesBackByItself(t *testing.T) {
	t.Parallel()
	const most = 3 * time.Second
	i := install(t, plan{
		programs: with(t, hurried()...), controllers: 1, replicas: 1,
		replica: rig.ProcessOptions{Flags: []string{"--max-snapshot-age=" + most.String()}},
	})
	r := i.Replicas()[0]
	process := r.PID()
	asked := time.Now()
	age, err := rig.Metric(t.Context(), r.Ops, "exchequer_snapshot_age_seconds")
	must(t, err)
	// The last answer of the API server came between these two.
	heard := asked.Add(-time.Duration(age * float64(time.Second)))
	r.Proxy.Cut()
	cut := time.Now()
	client := rig.NewClient(1)
	defer client.CloseIdleConnections()
	var last time.Time
	must(t, rig.Until(t.Context(), "what is too old is not served", func(ctx context.Context) error {
		a := rig.Ask(ctx, client, r.Address, i.Form("media/images"))
		if a.Allowed() {
			last = a.Began
		}
		if a.Status != http.StatusServiceUnavailable || a.Code != "temporarily_unavailable" {
			return fmt.Errorf("it answers %d %s", a.Status, a.Code)
		}
		return nil
	}))
	refused := time.Since(cut)
	if time.Since(heard) < most || last.Sub(cut) > most+time.Second {
		t.Errorf("it refused %s after it was cut off and allowed something after %s, expected %s", refused, last.Sub(cut), most)
	}
	r.Proxy.Heal()
	healed := time.Now()
	must(t, rig.Until(t.Context(), "it serves again", func(ctx context.Context) error { return answers(ctx, i, r, "media/images", true) }))
	if r.PID() != process {
		t.Error("it was restarted")
	}
	figure(t, "replica cut off for longer than --max-snapshot-age (3 s, looking every second instead of every minute)", "503 temporarily_unavailable for everything %.1f s after the cut; served again %.1f s after it was healed, same process",
		refused.Seconds(), time.Since(healed).Seconds())
}

// TestF326AWatchThatSaysNothingAnyMoreIsNoticed: the connection looks open on both
// sides; only answers count.
func TestF326AWatchThatSaysNothingAnyMoreIsNoticed(t *testing.T) {
	t.Parallel()
	// client-go gives a silent connection up after 30 s and 15 s more, and reads are
	// made every minute; the short form shortens the first two.
	o := rig.ProcessOptions{}
	if !full() {
		o.Env = []string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS=3", "HTTP2_PING_TIMEOUT_SECONDS=2"}
	}
	i := install(t, plan{controllers: 1, replicas: 2, replica: o, manifests: probeClient("unheard")})
	load, _ := i.load(2, 20*time.Millisecond)
	r := i.Replicas()[0]
	r.Proxy.Freeze()
	frozen := time.Now()
	i.apply(probePolicy("unheard"))
	must(t, rig.Until(t.Context(), "the other replica follows", func(ctx context.Context) error {
		return answers(ctx, i, i.Replicas()[1], "media/unheard", true)
	}))
	must(t, answers(t.Context(), i, r, "media/unheard", false))
	r.Proxy.Forget()
	must(t, rig.Until(t.Context(), "the replica whose connection fell silent follows", func(ctx context.Context) error {
		return answers(ctx, i, r, "media/unheard", true)
	}))
	noticed := time.Since(frozen)
	answered := load.Stop()
	if failed := answered.Failed(); len(failed) > 0 {
		t.Errorf("of %d exchanges %d failed: %s", len(answered), len(failed), failed)
	}
	form := "with client-go's health check of connections at 3 s + 2 s instead of 30 s + 15 s"
	if full() {
		form = "with client-go's own times"
	}
	figure(t, "a replica's connections to the API server fall silent (half-open)", "%s, the change was in force there %.0f s after the silence began; %d exchanges meanwhile, %d failed",
		form, noticed.Seconds(), len(answered), len(answered.Failed()))
}

// TestF327_ARestoredEtcdGetsARevisionThatReplicasTake: replicas refuse what is older than
// what they serve, so the restored policy needs a higher number.
func TestF327_ARestoredEtcdGetsARevisionThatReplicasTake(t *testing.T) {
	t.Parallel()
	i := install(t, plan{controllers: 1, replicas: 2})
	load, _ := i.load(2, 20*time.Millisecond)
	must(t, i.Plane.Keep("before"))
	var names []string
	for n := range 5 {
		name := fmt.Sprintf("lost-%d", n)
		names = append(names, name)
		i.apply(probeClient(name) + "---" + probePolicy(name))
		i.everywhere("media/"+name, true)
	}
	newest, _ := i.publishes(names...)
	must(t, i.Plane.Restore(t.Context(), "before"))
	began := time.Now()
	for _, name := range names {
		i.everywhere("media/"+name, false)
	}
	recovered := time.Since(began)
	p, _, err := i.published(t.Context())
	must(t, err)
	if p.Revision <= newest.Revision {
		t.Errorf("revision %d is published, replicas served %d", p.Revision, newest.Revision)
	}
	i.apply(probeClient("after") + "---" + probePolicy("after"))
	i.everywhere("media/after", true)
	answered := load.Stop()
	if failed := answered.Failed(); len(failed) > 0 {
		t.Errorf("of %d exchanges %d failed: %s: %v", len(answered), len(failed), failed, errors.Join(failed[0].Err))
	}
	figure(t, "etcd restored to an older state, five policies ago", "revision %d was served, %d published; all replicas refuse what the restored state does not allow %.1f s after the API server was back; %d exchanges meanwhile, %d failed",
		newest.Revision, p.Revision, recovered.Seconds(), len(answered), len(answered.Failed()))
}
