// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// wholeStory bounds the demo: the first build of the program takes a minute or
// two on a small machine, everything else seconds.
const wholeStory = 15 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, wholeStory)
	err := run(ctx, os.Stdout, onTerminal(os.Stdout))
	if errors.Is(ctx.Err(), context.Canceled) {
		err = errors.New("interrupted; everything is taken down again")
	}
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run tells the story from beginning to end, and takes everything down again.
func run(ctx context.Context, out io.Writer, terminal bool) error {
	p := &page{out: out, terminal: terminal}
	dir, err := os.MkdirTemp("", "exchequer-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	p.prologue()
	program, err := build(ctx, p, dir)
	if err != nil {
		return err
	}
	corp, err := issuer.Start(issuer.Options{})
	if err != nil {
		return fmt.Errorf("start the corporate issuer: %w", err)
	}
	defer corp.Close()

	s := &story{page: p, program: program, dir: dir, corp: corp}
	if err := s.signIn(); err != nil {
		return err
	}
	stop, err := s.serve(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for _, chapter := range []func(context.Context) error{
		s.conditions, s.narrow, s.contactsForTheLab, s.stolenToken, s.widenedScope, s.resourceServers, s.books,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	p.epilogue()
	if len(p.failed) > 0 {
		return errors.New("the story did not come out as it should")
	}
	return nil
}
