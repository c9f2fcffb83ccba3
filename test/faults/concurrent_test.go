// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/exchanger/wire"
	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// history is every state of the Secrets that were watched, in the order in which they
// were written.
type history struct {
	mu     sync.Mutex
	states []state
	err    error
	stop   func()
	over   bool // what comes is the end of the watch
	group  sync.WaitGroup
}

// state is what was written into one of them.
type state struct {
	name string
	data map[string][]byte
}

// watch begins to note the states of the installation's Secrets.
func (i *installation) watch() *history {
	i.t.Helper()
	h := &history{}
	w, err := i.Client.CoreV1().Secrets(rig.Namespace).Watch(i.t.Context(), metav1.ListOptions{})
	must(i.t, err)
	h.stop = w.Stop
	h.group.Go(func() {
		for event := range w.ResultChan() {
			s, ok := event.Object.(*corev1.Secret)
			h.mu.Lock()
			if ok {
				h.states = append(h.states, state{s.Name, s.Data})
			} else if !h.over {
				h.err = fmt.Errorf("the watch of Secrets says %s: %v", event.Type, event.Object)
			}
			h.mu.Unlock()
		}
	})
	return h
}

func (h *history) end() ([]state, error) {
	h.mu.Lock()
	h.over = true
	h.mu.Unlock()
	h.stop()
	h.group.Wait()
	return h.states, h.err
}

func TestF276_TwoControllersAtOnceMakeOneHistory(t *testing.T) {
	t.Parallel()
	i := install(t, plan{})
	written := i.watch()
	alone := rig.ProcessOptions{Flags: []string{"--leader-elect=false"}}
	i.controller("controller-0", alone)
	i.controller("controller-1", alone)
	for n := range 2 {
		i.replica(fmt.Sprintf("exchanger-%d", n), rig.ProcessOptions{})
	}
	for _, r := range i.Replicas() {
		must(t, r.AwaitReady(t.Context()))
	}
	load, _ := i.load(2, 20*time.Millisecond)
	var names []string
	for n := range 10 {
		names = append(names, i.churn(fmt.Sprintf("both-%d", n), 3)...)
		// Both look at every object again and again; the status must settle, too.
		if n%5 == 4 {
			i.remove(strings.Replace(rig.Policy, "name: images}\nspec", "name: "+names[0]+"}\nspec", 1))
			names = names[1:]
		}
	}
	i.publishes(names...)
	must(t, rig.Until(t.Context(), "what was deleted is published no more", func(ctx context.Context) error {
		_, spec, err := i.published(ctx)
		if want := len(names) + 1; err == nil && len(spec.Policies) != want {
			err = fmt.Errorf("%d policies are published, expected %d", len(spec.Policies), want)
		}
		return err
	}))
	must(t, rig.Until(t.Context(), "every policy is programmed", func(ctx context.Context) error { return i.programmed(ctx, names) }))
	answered := load.Stop()
	if failed := answered.Failed(); len(failed) > 0 {
		t.Errorf("of %d exchanges %d failed: %s", len(answered), len(failed), failed)
	}
	states, err := written.end()
	must(t, err)
	publications, last := checkPointers(t, states)
	generations := 0
	t.Run("F277: every version of the keys has one active key, and the same", func(t *testing.T) { generations = checkKeys(t, states) })
	figure(t, "two controllers at once, neither asking for the lease, both publishing",
		"%d publications, revisions 1 to %d, each higher than the one before and none twice, after every write a whole snapshot; %d versions of the signing keys, one active key in each and the same one; %d exchanges, %d failed",
		publications, last, generations, len(answered), len(answered.Failed()))
}

// checkPointers wants every publication to have a higher revision than the one
// before, and every write of a slot or of the pointer to leave a whole snapshot. A
// heartbeat leaves the document as it is, and so does a second writer who means the
// same: that one harms nobody, since the API server keeps what is equal as it is.
func checkPointers(t *testing.T, states []state) (publications int, last uint64) {
	t.Helper()
	slots := map[string][]byte{}
	var document string
	var pointer wire.Pointer
	for _, s := range states {
		now := string(s.data[wire.PointerKey])
		switch {
		case s.name != wire.PointerName:
			slots[s.name] = s.data[wire.ChunkKey]
		case now != document:
			p, err := wire.ParsePointer([]byte(now))
			must(t, err)
			if p.Revision <= last {
				t.Errorf("revision %d follows %d", p.Revision, last)
			}
			document, pointer, last = now, p, p.Revision
			publications++
		}
		if last == 0 {
			continue // Nothing is published yet.
		}
		if _, err := wire.Decode(pointer, func(name string) ([]byte, error) { return slots[name], nil }); err != nil {
			t.Errorf("after %s was written, revision %d is not whole: %v", s.name, last, err)
		}
	}
	return publications, last
}

// checkKeys wants one active key, and the same in every version, while no
// rotation is due.
func checkKeys(t *testing.T, states []state) (versions int) {
	t.Helper()
	var active string
	for _, s := range states {
		document, ok := s.data["default.json"]
		if !ok || s.name != wire.KeysName {
			continue
		}
		versions++
		kids, err := activeKeys(document)
		must(t, err)
		switch {
		case len(kids) != 1:
			t.Errorf("%d keys are active: %v", len(kids), kids)
		case active != "" && active != kids[0]:
			t.Errorf("key %s is active after %s, and no rotation was due", kids[0], active)
		}
		active = kids[0]
	}
	if versions == 0 {
		t.Error("there were no signing keys")
	}
	return versions
}

func activeKeys(document []byte) ([]string, error) {
	var line struct {
		Slots []struct {
			KeyID string `json:"keyID"`
			State string `json:"state"`
		} `json:"slots"`
	}
	if err := json.Unmarshal(document, &line); err != nil {
		return nil, errors.New("the key document is no JSON")
	}
	var active []string
	for _, s := range line.Slots {
		if s.State == "Active" {
			active = append(active, s.KeyID)
		}
	}
	return active, nil
}

// programmed says whether policies are in force on every replica, by their status.
func (i *installation) programmed(ctx context.Context, names []string) error {
	list, err := i.Dynamic.Resource(rig.Kind("exchangepolicies")).Namespace("media").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	want := map[string]bool{}
	for _, n := range names {
		want[n] = true
	}
	for k := range list.Items {
		o := &list.Items[k]
		if status, reason, message := rig.Condition(o, "Programmed"); want[o.GetName()] && status != "True" {
			return fmt.Errorf("%s is %q: %s: %s", o.GetName(), status, reason, message)
		}
	}
	return nil
}
