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

// Options are what may be chosen about a log; none has to be.
type Options struct {
	// Deadline is how long a record may take to be written; 0 is [DefaultDeadline].
	Deadline time.Duration
	// Replica is the name that the ID of the chain begins with, such as the Pod's.
	Replica string
	// Signer signs checkpoints; without it there are none.
	Signer Signer
	// Every is how long a line stays without a checkpoint over it; 0 is
	// [DefaultEvery].
	Every time.Duration
	// Failed is told that a checkpoint could not be signed or written; the next one
	// covers what it would have.
	Failed func(error)
	// Redactor replaces personal data; nil is not.
	Redactor *Redactor
	// Now is the clock of checkpoints; nil is time.Now.
	Now func() time.Time
}

// Log writes records to a sink, several of them at once when they come faster
// than the sink takes them. Its zero value is not usable; see [New].
type Log struct {
	sink     io.Writer
	options  Options
	deadline time.Duration
	chain    string
	wake     chan struct{}
	done     chan struct{}
	// prompt says that whoever brings a record may write it, when nobody else is
	// writing: the sink is a regular file.
	prompt   bool
	watchdog *time.Timer
	// out is the lines of the write under way; whoever writes has it.
	out   []byte
	marks checkpoints

	mu      sync.Mutex
	pending *batch
	writing *batch // in the sink's hands
	spare   []byte
	// head is what the next line is chained to; it changes when a write ends, so
	// whoever writes may read it without mu.
	head    head
	torn    bool
	closed  bool
	stalled bool
}

// batch is the records that one write takes to the sink: their bodies, and where
// each of them ends.
type batch struct {
	bodies []byte
	ends   []int
	done   chan struct{}
	// gone is closed when the sink has let go of it, which can be long after done.
	gone chan struct{}
	once sync.Once
	err  error
}

func newBatch(bodies []byte) *batch {
	return &batch{bodies: bodies, done: make(chan struct{}), gone: make(chan struct{})}
}

func (b *batch) end(err error) {
	b.once.Do(func() {
		b.err = err
		close(b.done)
	})
}

// New starts a log that writes to sink, chained to what the sink has already if it
// is a [File]. Close ends it.
func New(sink io.Writer, o Options) *Log {
	if o.Deadline <= 0 {
		o.Deadline = DefaultDeadline
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Log{sink: sink, options: o, deadline: o.Deadline, chain: newChainID(o.Replica), wake: make(chan struct{}, 1), done: make(chan struct{})}
	if f, ok := sink.(interface{ Regular() bool }); ok {
		l.prompt = f.Regular()
	}
	if f, ok := sink.(interface{ Tail() Tail }); ok {
		tail := f.Tail()
		l.head, l.torn = head{sum: tail.Sum, linked: tail.Any}, tail.Torn
	}
	l.watchdog = time.AfterFunc(l.deadline, l.stall)
	l.watchdog.Stop()
	go l.run()
	l.marks.begin(l)
	return l
}

// Chain is the ID of the chain that this log's lines are of.
func (l *Log) Chain() string { return l.chain }

// Write returns when the record is in the sink, or cannot be. Only a nil error
// allows a token to leave.
func (l *Log) Write(r *Record) error {
	if l.options.Redactor != nil {
		r = l.options.Redactor.Redact(r)
	}
	err := l.write(func(dst []byte) []byte {
		dst = r.AppendJSON(dst)
		return dst[:len(dst)-1] // the chain's members come before the brace
	})
	if err == nil {
		l.marks.record()
	}
	return err
}

func (l *Log) write(body func([]byte) []byte) error {
	b, mine, err := l.add(body)
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

// put takes one batch to the sink. Lines are chained here and not before: only now it
// is known what the line before them is.
func (l *Log) put(b *batch) {
	at := l.head
	lines := l.out[:0]
	skip := 0
	if l.torn {
		// The last write ended within a line; this one must begin a new one.
		lines, skip = append(lines, '\n'), 1
	}
	start := 0
	for _, end := range b.ends {
		lines, at = appendSealed(lines, b.bodies[start:end], l.chain, at)
		start = end
	}
	l.watchdog.Reset(l.deadline)
	n, err := l.sink.Write(lines)
	l.watchdog.Stop()
	if err == nil && n != len(lines) {
		err = io.ErrShortWrite
	}
	l.out = lines
	if cap(l.out) > maxKept {
		l.out = nil
	}
	l.finish(b, lines, skip, n, at, err)
}

// maxKept bounds the buffers that are kept for the next batch: a burst may make one
// larger, a thousand records of a kilobyte do not.
const maxKept = 1 << 20

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
func (l *Log) add(body func([]byte) []byte) (b *batch, mine bool, err error) {
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
		b = newBatch(l.spare[:0])
		l.spare, l.pending = nil, b
	}
	b.bodies = body(b.bodies)
	b.ends = append(b.ends, len(b.bodies))
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
	// What one caller still writes, and what came meanwhile, belongs to what Close
	// waits for.
	for {
		l.mu.Lock()
		writing, pending := l.writing, l.pending
		l.mu.Unlock()
		switch {
		case writing != nil:
			<-writing.gone
		case pending != nil:
			l.drain()
		default:
			l.marks.last(l)
			return
		}
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

// finish ends a batch of which n bytes came through. Where that is not all, the next
// line is chained to the last one that is whole: those behind it are not there.
func (l *Log) finish(b *batch, lines []byte, skip, n int, at head, err error) {
	l.mu.Lock()
	l.writing, l.stalled = nil, false
	if err == nil {
		l.head, l.torn = at, false
	} else {
		if n > 0 && n <= len(lines) {
			l.torn = lines[n-1] != '\n'
		}
		if n >= skip {
			l.head = reached(l.head, lines[skip:], n-skip)
		}
		err = fmt.Errorf("audit: write to the sink: %w", err)
	}
	if cap(b.bodies) <= maxKept {
		l.spare = b.bodies
	}
	l.mu.Unlock()
	b.end(err)
	close(b.gone)
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

// Close writes what is pending and a last checkpoint, and ends the log. It waits no
// longer than twice the deadline, for a sink that hangs and a signer that does.
func (l *Log) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.wake)
	}
	l.mu.Unlock()
	l.marks.stop()
	wait := l.deadline
	if l.options.Signer != nil {
		wait *= 2
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-l.done:
		return nil
	case <-timer.C:
		return ErrStalled
	}
}
