// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// question is how often a replica is asked whether a change is in force.
const question = 10 * time.Millisecond

// slowest is how long a change may take before the measurement gives up.
const slowest = 2 * time.Minute

func listEverything() metav1.ListOptions { return metav1.ListOptions{ResourceVersion: "0"} }

// measureChanges applies and deletes policies one after the other, then suspends
// and resumes an issuer.
func (b *bench) measureChanges(ctx context.Context) error {
	progress("%d policies: measuring %d changes of each kind", b.policies, b.changes)
	if err := b.profiling(syscall.SIGUSR1); err != nil {
		return err
	}
	cpu := []time.Duration{b.control.CPU(), b.replicas[0].CPU()}
	for i := range b.changes {
		o, err := b.policy(i)
		if err != nil {
			return err
		}
		began := time.Now()
		programmed := make(chan error, 1)
		var late time.Duration
		watching, err := b.watchProgrammed(ctx, o, programmed, began, &late)
		if err != nil {
			return err
		}
		if _, err := b.cluster.Apply(ctx, o); err != nil {
			return err
		}
		took, err := b.everywhere(ctx, began, probe(i), true)
		if err != nil {
			return fmt.Errorf("policy %s: %w", probe(i), err)
		}
		b.result.apply = append(b.result.apply, took)
		if err := <-programmed; err != nil {
			return err
		}
		watching()
		b.result.programmed = append(b.result.programmed, late)
		if (i+1)%25 == 0 {
			progress("  applied %d: p50 %s", i+1, rig.Percentile(b.result.apply, 50))
		}
	}
	if err := b.profiling(syscall.SIGUSR2); err != nil {
		return err
	}
	n := time.Duration(b.changes)
	b.result.controllerCPU, b.result.exchangerCPU = (b.control.CPU()-cpu[0])/n, (b.replicas[0].CPU()-cpu[1])/n
	for i := range b.changes {
		o, err := b.policy(i)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := b.cluster.Delete(ctx, o); err != nil {
			return err
		}
		took, err := b.everywhere(ctx, began, probe(i), false)
		if err != nil {
			return fmt.Errorf("without policy %s: %w", probe(i), err)
		}
		b.result.remove = append(b.result.remove, took)
	}
	progress("  deleted %d: p50 %s", b.changes, rig.Percentile(b.result.remove, 50))
	for range b.changes {
		began := time.Now()
		if err := b.suspend(ctx, true); err != nil {
			return err
		}
		took, err := b.everywhere(ctx, began, "images", false)
		if err != nil {
			return fmt.Errorf("with the issuer suspended: %w", err)
		}
		b.result.suspend = append(b.result.suspend, took)
		began = time.Now()
		if err := b.suspend(ctx, false); err != nil {
			return err
		}
		if _, err := b.everywhere(ctx, began, "images", true); err != nil {
			return fmt.Errorf("with the issuer resumed: %w", err)
		}
	}
	progress("  suspended %d times: p50 %s", b.changes, rig.Percentile(b.result.suspend, 50))
	return nil
}

func (b *bench) suspend(ctx context.Context, suspend bool) error {
	patch := fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, suspend)
	_, err := b.cluster.Dynamic.Resource(rig.Kind("trustedissuers")).Patch(ctx, "corp", types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// everywhere is how long it takes until every replica answers as expected.
func (b *bench) everywhere(ctx context.Context, began time.Time, target string, allowed bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, slowest)
	defer cancel()
	form := b.world.Form("media/" + target)
	took := make([]time.Duration, len(b.replicas))
	group, ctx := errgroup.WithContext(ctx)
	for i, r := range b.replicas {
		group.Go(func() error {
			tick := time.NewTicker(question)
			defer tick.Stop()
			for {
				answer := rig.Ask(ctx, b.client, r.Address, form)
				if answer.Status != 0 && answer.Allowed() == allowed {
					took[i] = time.Since(began)
					return nil
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return fmt.Errorf("%s still answers %d %s: %w", r.Name, answer.Status, answer.Code, ctx.Err())
				}
			}
		})
	}
	err := group.Wait()
	most := took[0]
	for _, d := range took {
		most = max(most, d)
	}
	return most, err
}

// watchProgrammed waits for the condition of a policy that is about to be made.
func (b *bench) watchProgrammed(ctx context.Context, o *unstructured.Unstructured, done chan<- error, began time.Time, took *time.Duration) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, slowest)
	w, err := b.cluster.Dynamic.Resource(rig.Kind("exchangepolicies")).Namespace(o.GetNamespace()).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + o.GetName()})
	if err != nil {
		cancel()
		return nil, err
	}
	go func() {
		for event := range w.ResultChan() {
			seen, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				continue
			}
			if status, _, _ := rig.Condition(seen, "Programmed"); status == "True" {
				*took = time.Since(began)
				done <- nil
				return
			}
		}
		done <- errors.Join(fmt.Errorf("policy %s was never programmed", o.GetName()), ctx.Err())
	}()
	return func() { w.Stop(); cancel() }, nil
}

// measureWrites counts what changed policies write, one at a time and with
// nothing else going on.
func (b *bench) measureWrites(ctx context.Context) error {
	const rounds = 10
	progress("%d policies: counting writes", b.policies)
	b.result.perChange = map[string]written{}
	for i := range rounds {
		o, err := b.policy(i)
		if err != nil {
			return err
		}
		// What was there before would be found in the slot that it was in.
		if err := unstructured.SetNestedField(o.Object, []any{map[string]any{"expression": "true", "message": fmt.Sprintf("change %d", i)}}, "spec", "rules"); err != nil {
			return err
		}
		if err := b.quiet(ctx); err != nil {
			return err
		}
		if _, err := b.cluster.Apply(ctx, o); err != nil {
			return err
		}
		if err := b.cluster.WaitFor(ctx, rig.Kind("exchangepolicies"), o.GetNamespace(), o.GetName(), "Programmed"); err != nil {
			return err
		}
		all, err := b.settled(ctx)
		if err != nil {
			return err
		}
		for _, w := range all {
			what := about(w.Key)
			sum := b.result.perChange[what]
			sum.writes += 1.0 / rounds
			sum.bytes += float64(w.Bytes) / rounds
			b.result.perChange[what] = sum
		}
	}
	return b.measurePublished(ctx)
}

// quiet waits until nothing was written for a second, and forgets what was.
func (b *bench) quiet(ctx context.Context) error {
	_, err := b.settled(ctx)
	return err
}

// settled is what was written until nothing more was for a second.
func (b *bench) settled(ctx context.Context) ([]rig.Write, error) {
	var all []rig.Write
	for calm := 0; calm < 10; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		more, err := b.writes.Take()
		if err != nil {
			return nil, err
		}
		// Leases are renewed by the clock.
		n := 0
		for _, w := range more {
			if !strings.HasPrefix(w.Key, "/registry/leases/") && !strings.HasPrefix(w.Key, "/registry/masterleases/") {
				all, n = append(all, w), n+1
			}
		}
		if calm++; n > 0 {
			calm = 0
		}
	}
	return all, nil
}

// about says what a key of etcd is, in the words of the table.
func about(key string) string {
	name := key[strings.LastIndex(key, "/")+1:]
	switch {
	case name == "exchequer-snapshot":
		return "pointer"
	case strings.HasPrefix(name, "exchequer-snapshot-"):
		return "chunks"
	case strings.Contains(key, "/exchangerreplicas/"):
		return "acknowledgements"
	case strings.Contains(key, "/exchangepolicies/"):
		return "the policy and its status"
	case strings.Contains(key, "/events/"):
		return "events"
	}
	return "other: " + strings.TrimPrefix(key, "/registry/")
}
