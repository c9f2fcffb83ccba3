// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// DefaultDeadline is how long a record may take to be written. A pipe that is
// not read blocks at once and for ever; two seconds is far beyond any disk that
// works, and within the patience of whoever waits for a token.
const DefaultDeadline = 2 * time.Second

// ErrStalled is the error of a record that was not written within the deadline.
// The record may still reach the sink later: it then tells of a token that never
// left.
var ErrStalled = errors.New("audit: the sink did not take the record in time")

// ErrClosed is the error of a record that came after Close.
var ErrClosed = errors.New("audit: the log is closed")

// Log writes records to a sink, several of them at once when they come faster
// than the sink takes them. Its zero value is not usable; see [New].
type Log struct {
	sink     io.Writer
	deadline time.Duration
	wake     chan struct{}
	done     chan struct{}
	// prompt says that whoever brings a record may write it, when nobody else is
	// writing: the sink is a regular file.
	prompt   bool
	watchdog *time.Timer

	mu      sync.Mutex
	pending *batch
	writing *batch // in the sink's hands
	spare   []byte
	torn    bool
	closed  bool
	stalled bool
}

// batch is the records that one write takes to the sink.
type batch struct {
	lines []byte
	done  chan struct{}
	once  sync.Once
	err   error
}

func (b *batch) end(err error) {
	b.once.Do(func() {
		b.err = err
		close(b.done)
	})
}

// New starts a log that writes to sink; a deadline of 0 is [DefaultDeadline].
// Close ends it.
func New(sink io.Writer, deadline time.Duration) *Log {
	if deadline <= 0 {
		deadline = DefaultDeadline
	}
	l := &Log{sink: sink, deadline: deadline, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if f, ok := sink.(interface{ Regular() bool }); ok {
		l.prompt = f.Regular()
	}
	l.watchdog = time.AfterFunc(deadline, l.stall)
	l.watchdog.Stop()
	go l.run()
	return l
}

// Write returns when the record is in the sink, or cannot be. Only a nil error
// allows a token to leave.
func (l *Log) Write(r *Record) error {
	b, mine, err := l.add(r)
	switch {
	case err != nil:
		return err
	case mine:
		// Nobody is writing: doing it here spares two changes of goroutine, which
		// cost more than the write.
		l.put(b)
		l.rouse()
	}
	<-b.done
	return b.err
}

// put takes one batch to the sink.
func (l *Log) put(b *batch) {
	l.watchdog.Reset(l.deadline)
	n, err := l.sink.Write(b.lines)
	l.watchdog.Stop()
	l.finish(b, n, err)
}

// rouse wakes the writer when records came meanwhile; after Close there is none,
// and whoever wrote last writes them.
func (l *Log) rouse() {
	l.mu.Lock()
	closed := l.closed
	if l.pending != nil && !closed {
		l.signal()
	}
	l.mu.Unlock()
	if closed {
		l.drain()
	}
}

func (l *Log) drain() {
	for b := l.take(); b != nil; b = l.take() {
		l.put(b)
	}
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// add puts the record into the batch that goes next. mine says that the caller is to
// write it.
func (l *Log) add(r *Record) (b *batch, mine bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, false, ErrClosed
	case l.stalled:
		// Whoever comes while the sink hangs is told at once: waiting in line for
		// a deadline that has passed helps nobody.
		return nil, false, ErrStalled
	}
	b = l.pending
	if b == nil {
		b = &batch{lines: l.spare[:0], done: make(chan struct{})}
		l.spare, l.pending = nil, b
		if l.torn {
			// The last write ended within a line; this one must begin a new one.
			b.lines, l.torn = append(b.lines, '\n'), false
		}
	}
	b.lines = append(r.AppendJSON(b.lines), '\n')
	if l.prompt && l.writing == nil {
		l.writing, l.pending = b, nil
		return b, true, nil
	}
	l.signal()
	return b, false, nil
}

// run writes batch after batch. A watchdog fails the batch, and those behind it,
// when the sink takes longer than the deadline; the goroutine itself can only
// wait until the sink lets go.
func (l *Log) run() {
	defer close(l.done)
	defer l.watchdog.Stop()
	for range l.wake {
		l.drain()
	}
	// What one caller still writes belongs to what Close waits for.
	l.mu.Lock()
	last := l.writing
	l.mu.Unlock()
	if last != nil {
		<-last.done
	}
}

func (l *Log) take() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writing != nil {
		return nil // Somebody writes, and rouses us after it.
	}
	l.writing, l.pending = l.pending, nil
	return l.writing
}

func (l *Log) finish(b *batch, n int, err error) {
	if err == nil && n != len(b.lines) {
		err = io.ErrShortWrite
	}
	l.mu.Lock()
	l.writing, l.stalled = nil, false
	if err != nil {
		l.torn = n > 0 && n <= len(b.lines) && b.lines[n-1] != '\n'
		err = fmt.Errorf("audit: write to the sink: %w", err)
	}
	// Keep one buffer for the next batch, unless a burst made it large.
	if cap(b.lines) <= 1<<20 {
		l.spare = b.lines
	}
	l.mu.Unlock()
	b.end(err)
}

// stall fails everything that waits for a sink that hangs.
func (l *Log) stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writing == nil {
		return // It finished while the watchdog went off.
	}
	l.stalled = true
	l.writing.end(ErrStalled)
	if l.pending != nil {
		l.pending.end(ErrStalled)
	}
}

// Close writes what is pending and ends the log. It waits no longer than the
// deadline for a sink that hangs.
func (l *Log) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.wake)
	}
	l.mu.Unlock()
	timer := time.NewTimer(l.deadline)
	defer timer.Stop()
	select {
	case <-l.done:
		return nil
	case <-timer.C:
		return ErrStalled
	}
}
