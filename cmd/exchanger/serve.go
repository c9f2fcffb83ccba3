// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/exchequer-dev/exchequer/cmd/internal/engine"
	"github.com/exchequer-dev/exchequer/cmd/internal/flags/serving"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/feed/cluster"
	"github.com/exchequer-dev/exchequer/exchanger/issuer/tokenreview"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/server"
	"github.com/exchequer-dev/exchequer/exchanger/telemetry"
)

// carrierSilence is how long the controller may be silent, who carries issuers' keys
// and says every minute that it lives, before replicas look after them themselves.
const carrierSilence = 5 * time.Minute

func logTo(errs io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(errs, nil)) }

// serve runs until ctx ends, then drains.
func (s *settings) serve(ctx context.Context, out, errs io.Writer) error {
	log := logTo(errs)
	config, err := s.client()
	if err != nil {
		return err
	}
	ring, clock := keys.NewFollower(), engine.NewClock()
	records, closeAudit, err := engine.OpenAudit(engine.AuditOptions{
		File: s.audit, Out: out, Ring: ring, Redact: s.redact, RedactKey: s.redactKey,
		Trouble: func(what string, err error) { log.ErrorContext(ctx, "audit trail", "what", what, "error", err) },
	})
	if err != nil {
		return err
	}
	defer closeAudit()
	tracing, err := telemetry.NewTracing(ctx, os.Getenv)
	if err != nil {
		return err
	}
	defer func() { _ = tracing.Shutdown(context.WithoutCancel(ctx)) }()

	config.Wrap(clock.Listen)
	reviewer, err := tokenreview.New(config, log)
	if err != nil {
		return err
	}
	shared, err := s.store.Redis(log)
	if err != nil {
		return err
	}
	var feed *cluster.Feed
	eng := engine.New(engine.Options{
		Ring: ring, Audit: records, Log: log, TLS: s.tls, DrainDelay: s.drain, Tracing: tracing,
		Shared: shared, NoStore: s.store.Kind == serving.StoreNone, Contested: s.podUID != "", MaxAge: s.maxAge, Clock: clock,
		Confirmed:          func() time.Time { return feed.Confirmed() },
		Heartbeat:          func() time.Time { return feed.Heartbeat() },
		CarrierFresh:       func() bool { return time.Since(feed.Heartbeat()) < carrierSilence },
		EgressProxy:        s.egress.Proxy,
		ClientCertificates: s.certificates.ClientCertificates,
		EgressRoots:        s.egress.Roots,
		Reviewer:           reviewer,
		Alongside:          func(ctx context.Context) error { return feed.Run(ctx) },
	})
	feed, err = cluster.New(config, cluster.Options{
		Namespace: s.namespace, Pod: s.pod, PodUID: s.podUID, Checkpoint: s.checkpoint, ConfirmEvery: s.confirmEvery,
		Compiler: expr.New(), Keys: ring, Apply: eng.Apply, KeysChanged: eng.KeysChanged, Credentials: eng.Credentials, Refused: eng.Blocked, Sole: eng.Hold, Log: log,
	})
	if err != nil {
		return err
	}
	listeners, err := s.listeners(ctx)
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "the exchanger starts", "version", version, "namespace", s.namespace, "store", s.store.Kind, "maxSnapshotAge", s.maxAge.String(),
		"listen", listeners.Main.Addr().String(), "operations", listeners.Operations.Addr().String())
	return eng.Run(ctx, listeners)
}

func (s *settings) listeners(ctx context.Context) (server.Listeners, error) {
	var l server.Listeners
	var errs []error
	for _, want := range []struct {
		address string
		to      *net.Listener
	}{{s.listen, &l.Main}, {s.public, &l.Public}, {s.operations, &l.Operations}} {
		if want.address == "" {
			continue
		}
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", want.address)
		if err != nil {
			errs = append(errs, fmt.Errorf("listen on %s: %w", want.address, err))
			continue
		}
		*want.to = ln
	}
	return l, errors.Join(errs...)
}
