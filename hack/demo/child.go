// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// build makes the program that the story is about, from this source.
func build(ctx context.Context, p *page, dir string) (string, error) {
	goTool := os.Getenv("GO")
	if goTool == "" {
		goTool = "go"
	}
	program := filepath.Join(dir, "exchequer")
	done := p.waiting("building exchequer (the first time takes a minute or two) …")
	cmd := exec.CommandContext(ctx, goTool, "build", "-o", program, "github.com/exchequer-dev/exchequer/cmd/exchequer")
	out, err := cmd.CombinedOutput()
	done()
	if err != nil {
		return "", fmt.Errorf("build exchequer: %w\n%s", err, out)
	}
	return program, nil
}

// freeAddress finds a port on loopback that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// startUp bounds how long serve may take until it listens: it waits up to three
// seconds for the issuers' keys.
const startUp = 30 * time.Second

// child is a running `exchequer serve`.
type child struct {
	cmd    *exec.Cmd
	mu     sync.Mutex
	said   bytes.Buffer
	exited chan struct{}
}

// start runs the program until stop, and returns when it says that it listens.
func start(ctx context.Context, program string, args ...string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, program, args...), exited: make(chan struct{})}
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = 5 * time.Second
	messages, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	listening := make(chan struct{})
	go func() {
		defer close(c.exited)
		c.listen(messages, listening)
		_ = c.cmd.Wait()
	}()
	select {
	case <-listening:
		return c, nil
	case <-c.exited:
		return nil, fmt.Errorf("exchequer serve ended at once; it said:\n%s", c.words())
	case <-time.After(startUp):
		c.stop()
		return nil, fmt.Errorf("exchequer serve does not listen after %s; it said:\n%s", startUp, c.words())
	case <-ctx.Done():
		c.stop()
		return nil, ctx.Err()
	}
}

func (c *child) listen(messages io.Reader, listening chan<- struct{}) {
	lines := bufio.NewScanner(messages)
	for lines.Scan() {
		c.mu.Lock()
		fmt.Fprintln(&c.said, lines.Text())
		c.mu.Unlock()
		if strings.HasPrefix(lines.Text(), "listening on ") {
			close(listening)
			listening = make(chan struct{}) // it is said once; twice must not panic
		}
	}
}

// words are what it has said so far.
func (c *child) words() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.String()
}

// stop ends it and waits until it has gone.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(10 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
}

// ask runs the program to its end, and returns what it printed and how it ended.
func ask(ctx context.Context, program string, args ...string) (out string, code int, err error) {
	b, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return string(b), ended.ExitCode(), nil
	}
	return string(b), 0, err
}
