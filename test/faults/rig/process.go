// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds every wait for a process: more than the slowest start seen
// under the race detector on two busy cores.
const patience = 2 * time.Minute

// again is how often a state is looked at that has no event to wait for.
const again = 20 * time.Millisecond

// Process is a program that runs, ran, or runs again with the same arguments.
type Process struct {
	name, path string
	args, env  []string
	log        string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start runs the program; what it prints is appended to its log.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited != nil {
		select {
		case <-p.exited:
		default:
			return fmt.Errorf("%s runs already", p.name)
		}
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the process has its own
	p.cmd = exec.CommandContext(context.Background(), p.path, p.args...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = out, out, append(os.Environ(), p.env...)
	dieWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		defer close(exited)
		_ = cmd.Wait()
	}(p.cmd, p.exited)
	return nil
}

// Exited is closed when the process that runs now has ended.
func (p *Process) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

// Running says whether it runs.
func (p *Process) Running() bool {
	exited := p.Exited()
	if exited == nil {
		return false
	}
	select {
	case <-exited:
		return false
	default:
		return true
	}
}

// Signal sends a signal; a process that has ended takes none.
func (p *Process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return fmt.Errorf("%s was never started", p.name)
	}
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// Kill ends it as a crash does and waits until it is gone.
func (p *Process) Kill() error {
	if !p.Running() {
		return nil
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.Exited()
	return nil
}

// Terminate asks it to end, waits and returns its exit code.
func (p *Process) Terminate() (int, error) {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.Exited():
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.cmd.ProcessState.ExitCode(), nil
	case <-late.C:
		return 0, errors.Join(fmt.Errorf("%s goes on %s after SIGTERM", p.name, patience), p.Kill())
	}
}

// Log is what it printed, over all its starts.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// PID is the process ID of the last start.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.cmd.Process == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Resident is its resident memory now and at its peak, in bytes.
func (p *Process) Resident() (now, peak int64) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		f := strings.Fields(value)
		if len(f) == 0 {
			continue
		}
		kib, _ := strconv.ParseInt(f[0], 10, 64)
		switch name {
		case "VmRSS":
			now = kib << 10
		case "VmHWM":
			peak = kib << 10
		}
	}
	return now, peak
}

// CPU is the processor time that it has used: fields 14 and 15 of its stat file,
// in ticks of 10 ms.
func (p *Process) CPU() time.Duration {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// halt stops the process between two instructions, and returns when every thread has:
// the signal alone is only asked for.
func (p *Process) halt() error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return until(context.Background(), 10*time.Second, p.name+" has stopped", func(context.Context) error {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.PID()))
		if err != nil {
			return err
		}
		for _, thread := range threads {
			raw, err := os.ReadFile(thread)
			if err != nil {
				continue // it has ended
			}
			if _, rest, _ := strings.Cut(string(raw), ") "); !strings.HasPrefix(rest, "T") {
				return fmt.Errorf("a thread is in state %.1s", rest)
			}
		}
		return nil
	})
}

// Until looks again and again until something is so; an error that so returns
// says why it is not, and is part of the error when the time is over.
func Until(ctx context.Context, what string, so func(context.Context) error) error {
	return until(ctx, patience, what, so)
}

func until(ctx context.Context, most time.Duration, what string, so func(context.Context) error) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(again)
	defer tick.Stop()
	var why error
	for {
		err := so(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || why == nil {
			why = err // not that the time was over while it looked
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("after %s it is still not so that %s: %w", time.Since(began).Round(time.Second), what, why)
		}
	}
}

// copyTree copies a folder of plain files.
func copyTree(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(filepath.Clean(from)))
}
