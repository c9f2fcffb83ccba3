// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"log/slog"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
)

const (
	// defaultDebounce is how long a change waits for others that come with it. With
	// what came before it, it is at most twice that.
	defaultDebounce = 40 * time.Millisecond
	// beat is how often the heartbeat is written, keys are looked after and what is
	// published is compared with what should be.
	beat = time.Minute
	// statusWrites and statusBurst bound the writes of statuses per second. An API
	// server takes some thousands; 10,000 first statuses take 50 s.
	statusWrites, statusBurst = 200, 400
	// statusWorkers is how many statuses of one kind are written beside each other.
	statusWorkers = 4
)

// Options are what a program chooses.
type Options struct {
	// Namespace is the operator's: snapshots, keys and the Secrets of cluster-scoped
	// objects lie in it.
	Namespace string
	// ServiceAccount is the name of the controller's, for the RoleBindings that
	// conditions ask for; default exchequer-controller.
	ServiceAccount string
	// Replicas selects the exchanger's Pods.
	Replicas labels.Selector
	// SharedStore says that the replicas share their one-time state.
	SharedStore bool
	// Issuers are how the keys of trusted issuers are fetched.
	Issuers issuer.Options
	Log     *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Debounce is how long a change waits for others; default 40 ms.
	Debounce time.Duration
	// Beat is how often the heartbeat is written and keys are looked after; default a
	// minute.
	Beat time.Duration
}

func (o Options) orDefaults() Options {
	if o.ServiceAccount == "" {
		o.ServiceAccount = "exchequer-controller"
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Debounce <= 0 {
		o.Debounce = defaultDebounce
	}
	if o.Beat <= 0 {
		o.Beat = beat
	}
	return o
}
