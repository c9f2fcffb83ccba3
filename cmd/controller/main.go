// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controller is the operator: it turns the objects of a cluster into what the
// exchangers serve, and says of each object what became of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/exchequer-dev/exchequer/cmd/internal/flags"
)

// version is set by the linker in images and releases.
var version = "dev"

// gcPercent lets what a run leaves behind pile up to three times what stays, which is
// everything that was listed, before it is collected: a collection walks all that
// stays. GOMEMLIMIT, which the chart sets, has it collected earlier.
const gcPercent = 300

// The ways to end.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run works until ctx ends. The lease is given up then, so that another controller
// goes on at once.
func run(ctx context.Context, args []string, out io.Writer) int {
	s, err := parse(args, os.Environ(), out)
	switch {
	case errors.Is(err, flags.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(out, "controller: %s\n", err)
		return exitUsage
	}
	handler := slog.NewJSONHandler(out, nil)
	log := slog.New(handler)
	ctrllog.SetLogger(logr.FromSlogHandler(handler))
	log.InfoContext(ctx, "the controller starts", "version", version, "namespace", s.namespace)
	if err := s.start(ctx, log, logr.FromSlogHandler(handler)); err != nil && ctx.Err() == nil {
		log.ErrorContext(ctx, "the controller ends", "error", err)
		return exitFailed
	}
	return 0
}
