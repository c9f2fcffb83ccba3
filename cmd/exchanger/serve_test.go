// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
)

func unchanged(*settings) {}

func TestAnExchangeInAClusterFromStartToEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start(unchanged)
	code, body, err := do(t.Context(), http.MethodGet, p.probes+"/readyz", nil)
	if err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, "snapshot") {
		t.Errorf("readiness before anything is published: %d %s %v", code, body, err)
	}
	w.Publish(w.spec())
	p.mustBecome(http.StatusOK)
	gomega.NewWithT(t).Eventually(func(g gomega.Gomega) {
		a := w.Acknowledged("one")
		g.Expect(a).NotTo(gomega.BeNil())
		g.Expect(a.Spec.Revision).To(gomega.Equal(int64(1)))
	}).WithTimeout(patience).Should(gomega.Succeed())

	t.Run("F330: what is taken away is refused", func(t *testing.T) {
		without := w.spec()
		without.Policies = nil
		w.Publish(without)
		gomega.NewWithT(t).Eventually(func(g gomega.Gomega) {
			code, body, err := p.exchange()
			g.Expect(err).NotTo(gomega.HaveOccurred())
			g.Expect(code).To(gomega.Equal(http.StatusBadRequest))
			g.Expect(body).To(gomega.ContainSubstring("invalid_target"))
		}).WithTimeout(patience).WithPolling(20 * time.Millisecond).Should(gomega.Succeed())
	})
	metrics := p.metrics(t)
	for _, want := range []string{"exchequer_snapshot_revision 2", "exchequer_snapshot_age_seconds ", "exchequer_signing_key_info{", "exchequer_clock_good 1", "exchequer_controller_heartbeat_age_seconds "} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics do not have %s", want)
		}
	}
	p.end()
	if records := p.auditLog.String(); !strings.Contains(records, `"outcome":"allowed"`) || strings.Contains(records, secret) {
		t.Errorf("records: %s", records)
	}
}

func TestF321WithoutAPIServerItIsAliveAndNeverReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Publish(w.spec())
	w.api.sever()
	p := w.start(unchanged, "--checkpoint="+filepath.Join(t.TempDir(), "none"))
	gomega.NewWithT(t).Eventually(func() string { p.mu.Lock(); defer p.mu.Unlock(); return p.words.String() }).
		WithTimeout(patience).Should(gomega.ContainSubstring("there is no checkpoint"))
	p.mustBecome(http.StatusServiceUnavailable)
	if code, _, err := do(t.Context(), http.MethodGet, p.probes+"/livez", nil); err != nil || code != http.StatusOK {
		t.Errorf("liveness: %d %v", code, err)
	}
	w.api.mend()
	p.mustBecome(http.StatusOK)
}

func TestExchangesGoOnWithoutTheAPIServerUntilTheBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Publish(w.spec())
	dir := filepath.Join(t.TempDir(), "checkpoint")
	// Long enough that a busy machine asks in time, too: nothing here is skipped.
	const bound = 20 * time.Second
	short := func(s *settings) { s.maxAge = bound }
	p := w.start(short, "--checkpoint="+dir)
	p.mustBecome(http.StatusOK)
	gomega.NewWithT(t).Eventually(func() error { _, err := os.Stat(filepath.Join(dir, "confirmed")); return err }).WithTimeout(patience).Should(gomega.Succeed())
	// Whatever the last answer was before the cut, it came after this.
	heard := time.Now().Add(-p.age(t))
	w.api.sever()
	t.Run("F324: exchanges go on, and the age rises", func(t *testing.T) {
		gomega.NewWithT(t).Eventually(func(g gomega.Gomega) {
			g.Expect(p.age(t)).To(gomega.BeNumerically(">=", time.Second))
		}).WithTimeout(patience).WithPolling(100 * time.Millisecond).Should(gomega.Succeed())
		code, body, err := p.exchange()
		switch {
		case time.Since(heard) >= bound:
			t.Errorf("the bound of %s was over before anybody could ask: %d", bound, code)
		case err != nil || code != http.StatusOK:
			t.Errorf("%d %s %v", code, body, err)
		}
	})
	t.Run("a container that restarts meanwhile starts from its checkpoint", func(t *testing.T) {
		again := w.start(unchanged, "--checkpoint="+dir)
		again.mustBecome(http.StatusOK)
		again.end()
	})
	t.Run("F325: beyond the bound they are refused, and come back by themselves", func(t *testing.T) {
		p.mustBecome(http.StatusServiceUnavailable)
		if after := time.Since(heard); after < bound {
			t.Errorf("it stopped %s after the last answer at the latest, before its bound", after)
		}
		w.api.mend()
		mended := time.Now()
		p.mustBecome(http.StatusOK)
		if after := time.Since(mended); after > time.Minute {
			t.Errorf("it took %s to come back", after)
		}
	})
}

func TestF332AStoppingReplicaFailsNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Publish(w.spec())
	drain := func(s *settings) { s.drain = 3 * time.Second } // a prober on a busy machine looks late
	replicas := []*program{w.start(drain), w.start(drain)}
	for _, p := range replicas {
		p.mustBecome(http.StatusOK)
	}
	// What a Service does: those that were ready when they were asked last get
	// requests.
	var ready [2]atomic.Bool
	stop, prober := context.WithCancel(t.Context())
	defer prober()
	var group sync.WaitGroup
	for i, p := range replicas {
		ready[i].Store(true)
		group.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop.Done():
					return
				case <-tick.C:
					code, _, err := do(stop, http.MethodGet, p.probes+"/readyz", nil)
					ready[i].Store(err == nil && code == http.StatusOK)
				}
			}
		})
	}
	var sent, failed atomic.Int64
	for worker := range 4 {
		group.Go(func() {
			for n := worker; stop.Err() == nil; n++ {
				p := replicas[n%2]
				if !ready[n%2].Load() {
					p = replicas[(n+1)%2]
				}
				code, body, err := p.exchange()
				sent.Add(1)
				if err != nil || code != http.StatusOK {
					failed.Add(1)
					t.Errorf("%d %s %v", code, body, err)
				}
			}
		})
	}
	gomega.NewWithT(t).Eventually(sent.Load).WithTimeout(patience).Should(gomega.BeNumerically(">", 100))
	replicas[0].end()
	after := sent.Load()
	gomega.NewWithT(t).Eventually(sent.Load).WithTimeout(patience).Should(gomega.BeNumerically(">", after+100))
	prober()
	group.Wait()
	t.Logf("%d requests, %d failed", sent.Load(), failed.Load())
}
