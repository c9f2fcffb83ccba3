// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/server"
)

func (r *running) mustBeReady(yes bool, check string) {
	r.t.Helper()
	status, body := r.do(http.MethodGet, "/readyz", nil)
	if (status == http.StatusOK) != yes || !yes && !strings.Contains(body, check) {
		r.t.Errorf("readiness is %d %s", status, body)
	}
}

func (r *running) last() *policy.Refusal {
	r.t.Helper()
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	rec := r.log.all[len(r.log.all)-1]
	return &policy.Refusal{Outcome: rec.Outcome, Reason: rec.Reason, Check: rec.Check}
}

func (r *running) mustNotVouch(status int, body, check string) {
	r.t.Helper()
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "temporarily_unavailable") {
		r.t.Errorf("an exchange is answered with %d %s", status, body)
	}
	if ref := r.last(); *ref != (policy.Refusal{Outcome: policy.Unable, Reason: policy.SnapshotStale, Check: check}) {
		r.t.Errorf("it is recorded as %+v", ref)
	}
	if status, _ := r.do(http.MethodGet, "/jwks", nil); status != http.StatusOK {
		r.t.Errorf("tokens that were given out cannot be verified: jwks %d", status)
	}
	if status, _ := r.do(http.MethodGet, "/livez", nil); status != http.StatusOK {
		r.t.Error("a restart is asked for, which helps nothing")
	}
}

func TestF302AReplicaWhosePolicyIsTooOldStopsAndRecoversAlone(t *testing.T) {
	t.Parallel()
	corp := newIssuer(t)
	var confirmed atomic.Pointer[time.Time]
	confirm := func(ago time.Duration) { at := time.Now().Add(-ago); confirmed.Store(&at) }
	confirm(0)
	r := run(t, Options{MaxAge: time.Hour, Confirmed: func() time.Time { return *confirmed.Load() }})
	if err := r.apply(r.spec(corp), 1); err != nil {
		t.Fatal(err)
	}
	exchanges := func() {
		t.Helper()
		r.mustBeReady(true, "")
		if status, body := r.exchange(corp); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
	}
	exchanges()
	confirm(59 * time.Minute) // F324: until then exchanges go on
	exchanges()
	if _, body := r.do(http.MethodGet, "/metrics", nil); !strings.Contains(body, "exchequer_snapshot_age_seconds 354") {
		t.Error("the age is not what it is")
	}
	confirm(61 * time.Minute)
	r.mustBeReady(false, "snapshot-age")
	status, body := r.exchange(corp)
	r.mustNotVouch(status, body, "snapshotAge")
	confirm(0)
	exchanges()
	confirm(-time.Hour) // by a clock that was set back meanwhile
	exchanges()
}

func TestAReplicaWhoseClockJumpedStopsAndRecoversAlone(t *testing.T) {
	t.Parallel()
	corp := newIssuer(t)
	for name, step := range map[string]time.Duration{"F339: ahead": 10 * time.Minute, "F340: back": -10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var off atomic.Int64
			start := time.Now()
			clock := newClock(func() time.Time { return time.Now().Round(0).Add(time.Duration(off.Load())) }, func() time.Duration { return time.Since(start) })
			r := run(t, Options{Clock: clock})
			if err := r.apply(r.spec(corp), 1); err != nil {
				t.Fatal(err)
			}
			r.mustBeReady(true, "")
			off.Store(int64(step))
			r.mustBeReady(false, "clock")
			status, body := r.exchange(corp)
			r.mustNotVouch(status, body, "clock")
			if _, body := r.do(http.MethodGet, "/metrics", nil); !strings.Contains(body, "exchequer_clock_good 0") {
				t.Error("no metric says so")
			}
			off.Store(0)
			r.mustBeReady(true, "")
			if status, body := r.exchange(corp); status != http.StatusOK {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

func TestAReplicaWithoutAnySigningKeyIsNotReady(t *testing.T) {
	t.Parallel()
	corp := newIssuer(t)
	r := run(t, Options{Ring: keys.NewFollower()})
	if err := r.apply(r.spec(corp), 1); err == nil {
		t.Error("nobody is told that there are no keys")
	}
	r.mustBeReady(false, "signing-keys")
	if err := r.KeysChanged(); err == nil {
		t.Error("nobody is told that there still are none")
	}
	if status, body := r.exchange(corp); status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", status, body)
	}
	if err := r.apply(&policy.Spec{Format: policy.Format}, 2); err != nil {
		t.Fatal(err)
	}
	r.mustBeReady(true, "") // there is nothing to sign for
}

func TestWhatRunsAlongsideEndsAfterTheServer(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	r := run(t, Options{Alongside: func(ctx context.Context) error {
		<-ctx.Done()
		close(ended)
		return nil
	}})
	if status, _ := r.do(http.MethodGet, "/livez", nil); status != http.StatusOK {
		t.Fatal(status)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	<-ended
}

func TestWhatFailsAlongsideEndsTheServer(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	e := New(Options{Ring: keys.InMemory(), Audit: &records{}, Alongside: func(context.Context) error { return broken }})
	if err := e.Run(t.Context(), server.Listeners{Main: listener(t)}); !errors.Is(err, broken) {
		t.Errorf("Run ended with %v", err)
	}
}
