// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// kills is how often a controller is killed at a random moment.
const kills = 20

func TestF276AControllerKilledAtAnyMomentLeavesAWholeSnapshot(t *testing.T) {
	t.Parallel()
	i := install(t, plan{})
	gate, err := i.NewGate()
	must(t, err)
	ctl := i.controller("controller-0", rig.ProcessOptions{Gate: gate, Flags: []string{"--leader-elect=false"}})
	r := i.replica("exchanger-0", rig.ProcessOptions{})
	must(t, r.AwaitReady(t.Context()))
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	load, _ := i.load(2, 20*time.Millisecond)

	var names []string
	var last uint64
	for n := range kills {
		name := fmt.Sprintf("killed-%02d", n)
		names = append(names, name)
		began := make(chan struct{})
		var once sync.Once
		gate.Before(func(r *http.Request) error {
			if rig.SecretWritten(r) != "" {
				once.Do(func() { close(began) })
			}
			return nil
		}, nil)
		i.apply(probeClient(name) + "---" + probePolicy(name))
		// From the first write on, which is a few milliseconds before the last one.
		<-began
		moment := time.Duration(random.IntN(30)) * time.Millisecond
		<-time.After(moment)
		must(t, ctl.Kill())
		gate.Before(nil, nil)
		p, _, err := i.published(t.Context())
		if err != nil {
			t.Fatalf("seed %d, kill %d, after %s: what is published is not whole: %v", seed, n, moment, err)
		}
		if p.Revision < last {
			t.Errorf("seed %d, kill %d: revision %d follows %d", seed, n, p.Revision, last)
		}
		last = p.Revision
		must(t, ctl.Start())
	}
	began := time.Now()
	p, _ := i.publishes(names...)
	recovered := time.Since(began)
	for _, name := range names {
		i.everywhere("media/"+name, true)
	}
	answered := load.Stop()
	if failed := answered.Failed(); len(failed) > 0 {
		t.Errorf("seed %d: of %d exchanges %d failed: %s", seed, len(answered), len(failed), failed)
	}
	figure(t, "controller killed -9 at a random moment while it publishes, 20 times",
		"0 to 30 ms after the first write of a publication; after each the pointer named whole chunks only, revision never fell (last %d), everything was published %.1f s after the last start; %d exchanges meanwhile, %d failed",
		p.Revision, recovered.Seconds(), len(answered), len(answered.Failed()))
}

// TestF276AControllerKilledAfterEachWriteIsFinishedByTheNext strikes after the
// first, second, … write of a publication of several chunks.
func TestF276AControllerKilledAfterEachWriteIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for n := range 400 { // about 200 KiB: four chunks
		name := fmt.Sprintf("padding-%03d", n)
		many.WriteString(strings.Replace(strings.Replace(rig.Policy, "name: images}\nspec", "name: "+name+"}\nspec", 1), "message: staff only", "message: "+strings.Repeat("x", 200), 1) + "---")
	}
	i := install(t, plan{manifests: many.String()})
	gate, err := i.NewGate()
	must(t, err)
	ctl := i.controller("controller-0", rig.ProcessOptions{Gate: gate, Flags: []string{"--leader-elect=false"}})
	first, _ := i.publishes("padding-000", "padding-399")
	if len(first.Chunks) < 4 {
		t.Fatalf("the snapshot has %d chunks, this test is about several", len(first.Chunks))
	}

	struck, writes := 0, 0
	for stop := 1; ; stop++ {
		var once sync.Once
		var written atomic.Int64
		dead := make(chan struct{})
		gate.Before(nil, func(r *http.Request, _ int) {
			if !strings.HasPrefix(rig.SecretWritten(r), "exchequer-snapshot") && rig.SecretWritten(r) != "(new)" {
				return
			}
			if written.Add(1) == int64(stop) {
				once.Do(func() {
					// The write is done; its answer never arrives.
					_ = ctl.Kill()
					close(dead)
				})
			}
		})
		names := i.churn(fmt.Sprintf("write-%d", stop), 12)
		finished := make(chan struct{})
		waiting, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(finished)
			_ = rig.Until(waiting, "published", func(ctx context.Context) error { return i.has(ctx, names) })
		}()
		select {
		case <-dead:
			cancel()
			<-finished
			struck++
		case <-finished:
			cancel()
			writes = int(written.Load())
		}
		if _, _, err := i.published(t.Context()); err != nil {
			t.Fatalf("killed after write %d: what is published is not whole: %v", stop, err)
		}
		gate.Before(nil, nil)
		if writes > 0 {
			break // a whole publication had fewer writes than this
		}
		must(t, ctl.Start())
		i.publishes(names...)
	}
	figure(t, "controller killed -9 after each single write of a publication",
		"killed after the first, the second, … the %dth write, until one had fewer (%d); each time the old pointer or the new one named whole chunks, and the next controller finished", struck, writes)
}

// churn makes policies with one request after the other, close enough for one or
// two publications.
func (i *installation) churn(prefix string, n int) []string {
	i.t.Helper()
	var names []string
	var text strings.Builder
	for k := range n {
		name := fmt.Sprintf("%s-%02d", prefix, k)
		names = append(names, name)
		text.WriteString(strings.Replace(rig.Policy, "name: images}\nspec", "name: "+name+"}\nspec", 1) + "---")
	}
	i.apply(text.String())
	return names
}

func (i *installation) has(ctx context.Context, names []string) error {
	_, spec, err := i.published(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, p := range spec.Policies {
		there[p.Name] = true
	}
	for _, n := range names {
		if !there[n] {
			return fmt.Errorf("policy %s is missing", n)
		}
	}
	return nil
}
