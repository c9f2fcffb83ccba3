// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// leaseName is the Lease that the leader holds.
const leaseName = "exchequer-controller"

// leaseLasts is as long as that of Kubernetes' own components: who cannot renew its
// lease for ten seconds stops, and nobody else may begin for fifteen.
const leaseLasts = 15 * time.Second

// renewed is how long a leader may try to renew its lease, retried how often.
func renewed(lease time.Duration) time.Duration { return lease * 2 / 3 }
func retried(lease time.Duration) time.Duration { return lease * 2 / 15 }

// newLock makes the lock of one controller.
func newLock(config *rest.Config, namespace string, renew time.Duration) (resourcelock.Interface, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name this controller in its lease: %w", err)
	}
	config = rest.AddUserAgent(config, "leader-election")
	config.Timeout = renew / 2 // A request that hangs must not cost the lease.
	leases, err := coordinationv1.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of leases: %w", err)
	}
	return &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: leaseName},
		Client:     leases,
		LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())},
	}, nil
}

// Start works until ctx ends, where several controllers may run: while it holds the
// lease. A controller that loses it, as all do while the API server is away, does not
// end: it would be started again by a kubelet that waits longer each time. It waits,
// and begins anew, as another process would, with nothing that it knew.
func (op *Operator) Start(ctx context.Context) error {
	if op.lock == nil {
		op.term(ctx)
		return nil
	}
	for ctx.Err() == nil {
		if err := op.elected(ctx); err != nil {
			return err
		}
	}
	return nil
}

// elected waits for the lease, works while it is held, and gives it up when ctx ends.
func (op *Operator) elected(ctx context.Context) error {
	// The lease is kept until the work has ended, so that nobody else begins before.
	holding, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	won, over := make(chan context.Context, 1), make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: leaseName, Lock: op.lock, LeaseDuration: op.lease, RenewDeadline: renewed(op.lease), RetryPeriod: retried(op.lease),
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) { won <- held },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("elect a leader: %w", err)
	}
	go func() {
		defer close(over)
		elector.Run(holding)
	}()
	select {
	case <-ctx.Done():
	case held := <-won:
		working, stop := context.WithCancel(ctx)
		defer context.AfterFunc(held, stop)()
		op.term(working)
		stop()
	}
	leave()
	<-over
	if ctx.Err() == nil {
		op.options.Log.WarnContext(ctx, "the lease could not be renewed; this controller waits until it has it again")
		return nil
	}
	if err := op.resign(context.WithoutCancel(ctx)); err != nil {
		op.options.Log.WarnContext(ctx, "the lease could not be given up; another controller waits until it is over", "error", err)
	}
	return nil
}

// resign gives the lease up, so that another controller need not wait until it is over.
// client-go would do that as well, and also when the lease was lost: before it says so,
// and for as long as the API server takes.
func (op *Operator) resign(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewed(op.lease)/2)
	defer cancel()
	record, _, err := op.lock.Get(ctx)
	if err != nil || record.HolderIdentity != op.lock.Identity() {
		return client.IgnoreNotFound(err)
	}
	now := metav1.NewTime(time.Now())
	return op.lock.Update(ctx, resourcelock.LeaderElectionRecord{
		LeaderTransitions: record.LeaderTransitions, LeaseDurationSeconds: 1, AcquireTime: now, RenewTime: now,
	})
}

// idle says that this controller does not work now.
func (op *Operator) idle() bool { return !op.leading.Load() }
