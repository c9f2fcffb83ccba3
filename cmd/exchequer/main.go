// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command exchequer checks, explains, tests and serves policies for token
// exchange, from a directory and without a cluster. It is also kubectl's plugin
// of that name.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, invocation{
		program: filepath.Base(os.Args[0]), args: os.Args[1:],
		in: os.Stdin, out: os.Stdout, errs: os.Stderr, now: time.Now,
	})
	stop()
	os.Exit(code)
}

// invocation is everything that a run of the program depends on, besides files.
type invocation struct {
	program   string
	args      []string
	in        io.Reader
	out, errs io.Writer
	now       func() time.Time
}

// run carries out one invocation and returns its exit code.
func run(ctx context.Context, i invocation) int {
	started := false
	root := newRootCommand(i.program, i.now, &started)
	root.SetArgs(append([]string{}, i.args...)) // nil would mean this process's own
	root.SetIn(i.in)
	root.SetOut(i.out)
	root.SetErr(i.errs)
	c, err := root.ExecuteContextC(ctx)
	return finish(c, err, started)
}
