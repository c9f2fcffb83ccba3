// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

const (
	// awaitEvery is how often an API server that does not answer is asked again, and
	// awaitAnswer how long one may take.
	awaitEvery  = 2 * time.Second
	awaitAnswer = 5 * time.Second
)

// Await waits until the API server answers, whatever it says. Until then /livez is
// served at opsListen: a controller that ended instead would be started again by a
// kubelet that waits longer each time, up to five minutes, and people would wait for
// that once the API server is back.
func Await(ctx context.Context, config *rest.Config, opsListen string, log *slog.Logger) error {
	config = rest.CopyConfig(config)
	config.Timeout = awaitAnswer
	api, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	err = answers(api)
	if err == nil {
		return nil
	}
	log.WarnContext(ctx, "the API server does not answer; it is waited for", "error", err)
	defer waiting(ctx, opsListen, log)()
	again := time.NewTicker(awaitEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
		if answers(api) == nil {
			log.InfoContext(ctx, "the API server answers")
			return nil
		}
	}
}

// answers says why the API server does not. A refusal is an answer: waiting for
// another would hide a mistake.
func answers(api discovery.ServerVersionInterface) error {
	_, err := api.ServerVersion()
	var said apierrors.APIStatus
	if errors.As(err, &said) && said.Status().Code < http.StatusInternalServerError && said.Status().Code != http.StatusTooManyRequests {
		return nil
	}
	return err
}

// waiting serves the probes of a controller that cannot do anything yet; what it
// returns ends that.
func waiting(ctx context.Context, opsListen string, log *slog.Logger) func() {
	if opsListen == "" {
		return func() {}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opsListen)
	if err != nil {
		log.ErrorContext(ctx, "probes are not served meanwhile", "error", err)
		return func() {}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", alive)
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: awaitAnswer}
	go func() { _ = server.Serve(listener) }()
	return func() { _ = server.Close() }
}
