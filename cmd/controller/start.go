// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/exchequer-dev/exchequer/controllers"
)

func (s *settings) start(ctx context.Context, log *slog.Logger, logger logr.Logger) error {
	config, err := s.client()
	if err != nil {
		return err
	}
	if err := controllers.Await(ctx, config, s.opsListen, log); err != nil {
		return err
	}
	mgr, _, err := controllers.New(config, s.options(log), controllers.Process{
		OpsListen: s.opsListen, LeaderElect: s.leaderElect, Metrics: metrics.Registry, Logger: logger,
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// A manager that is still waiting for its first lists does not hear that it is to
	// end; it holds no lease then.
	select {
	case err := <-ended:
		return err
	case <-time.After(patience):
		return nil
	}
}

// patience is what an end may take, less than what the kubelet gives it.
const patience = 20 * time.Second
