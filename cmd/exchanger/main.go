// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command exchanger is the token endpoint of a cluster: it serves the policy that the
// controller publishes, and goes on serving it when the controller or the API server
// does not answer.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/exchequer-dev/exchequer/cmd/internal/engine"
	"github.com/exchequer-dev/exchequer/cmd/internal/flags"
)

// version is set by the linker in images and releases.
var version = "dev"

// The ways to end.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	engine.TuneMemory(os.Getenv)
	klog.SetSlogLogger(logTo(os.Stderr)) // client-go's own words, in the same form
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends, then drains. Records go to out, words to errs.
func run(ctx context.Context, args, environ []string, out, errs io.Writer) int {
	s, err := parse(args, environ, errs)
	switch {
	case errors.Is(err, flags.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(errs, "exchanger: these settings cannot be used:\n%s\n", err)
		return exitUsage
	}
	if err := s.serve(ctx, out, errs); err != nil {
		fmt.Fprintf(errs, "exchanger: %s\n", err)
		return exitFailed
	}
	return 0
}
