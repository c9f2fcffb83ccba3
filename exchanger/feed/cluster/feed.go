// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// times are the feed's intervals; tests have shorter ones.
type times struct {
	// confirm is how often the Secrets are read though nothing was heard.
	confirm time.Duration
	// retry is how soon they are read again after that failed: an API server that is
	// back is noticed in seconds.
	retry time.Duration
	// start is how long the API server has before the checkpoint is used.
	start time.Duration
	// request bounds one request.
	request time.Duration
}

// timesFor are the intervals that go with a confirmation every so often.
func timesFor(confirm time.Duration) times {
	if confirm <= 0 {
		confirm = time.Minute
	}
	return times{confirm: confirm, retry: min(confirm/3, 10*time.Second), start: 5 * time.Second, request: min(max(confirm/3, time.Second), 10*time.Second)}
}

const (
	// gather is how long changes are gathered that follow one another: one that comes
	// alone is taken up at once.
	gather = 100 * time.Millisecond
	// takeTimeout bounds the fetching of a whole snapshot: 64 slots, eight at a time.
	takeTimeout = 30 * time.Second
)

// The client's own limit on requests. A start reads up to 64 slots; client-go's
// default of 5 a second would make that 11 seconds.
const (
	requestsPerSecond = 100
	requestsBurst     = 200
)

// Keys takes over the stored documents of signing keys, by TokenService.
type Keys interface {
	Follow(documents map[string][]byte) error
}

// Options are what a program chooses. All but Pod, PodUID, Checkpoint, ConfirmEvery,
// KeysChanged, Credentials, Refused, Sole, Log and Now are required.
type Options struct {
	// Namespace is the operator's.
	Namespace string
	// Pod and PodUID name this replica; without them nothing is acknowledged.
	Pod, PodUID string
	// Checkpoint is the directory to start from when the API server does not answer;
	// without it there is none.
	Checkpoint string
	// ConfirmEvery is how often the API server is asked whether what is served is what
	// is published, though it has said nothing; 0 is a minute.
	ConfirmEvery time.Duration
	Compiler     policy.Compiler
	Keys         Keys
	// Apply puts a snapshot in force. Its error is about signing keys, and for the
	// log: the snapshot is in force all the same.
	Apply func(spec *policy.Spec, snapshot *policy.Snapshot, compile time.Duration) error
	// KeysChanged is called after Keys has followed.
	KeysChanged func() error
	// Credentials is told the secrets by which other servers know this installation,
	// before a snapshot that needs them is in force, and whenever they change.
	Credentials func(map[string][]byte)
	// Refused is told when something published is held back, and when it is not.
	Refused func(bool)
	// Sole is told, again and again, whether the controller found this Pod to be the
	// only one of the exchanger. It is told nothing before the API server has.
	Sole func(bool)
	Log  *slog.Logger
	Now  func() time.Time
}

// Feed keeps a replica's snapshot current. One goroutine, Run's, takes everything
// in, in order; the others only bring what there is.
type Feed struct {
	o       Options
	secrets v1.SecretInterface
	pointer *cell
	keys    *cell
	creds   *cell
	ack     *acknowledger
	store   *checkpoint
	times   times

	// changed wakes the loop.
	changed chan struct{}

	decoder wire.Decoder
	// served is what is in force; nil is nothing.
	served *served
	// seen is the pointer's state that was taken in last, keysSeen that of the keys.
	seen, keysSeen, credsSeen state
	refused                   *refusal

	confirmed atomic.Pointer[time.Time]
	heartbeat atomic.Pointer[time.Time]
}

// served is what is in force, with all that a checkpoint needs.
type served struct {
	// swap is what was put in force; its chunks are compressed, by the hash of their
	// content.
	swap
	// pointer names the chunks. Its revision is the newest one of the same digest.
	pointer wire.Pointer
}

// New makes a feed that reads with config; nothing is read before Run.
func New(config *rest.Config, o Options) (*Feed, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	config = rest.CopyConfig(config)
	if config.QPS == 0 {
		config.QPS, config.Burst = requestsPerSecond, requestsBurst
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server: %w", err)
	}
	// A Secret's bytes as bytes, and not as base64 in JSON.
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	core, err := v1.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server: %w", err)
	}
	f := &Feed{o: o, secrets: core.Secrets(o.Namespace), changed: make(chan struct{}, 1), times: timesFor(o.ConfirmEvery)}
	f.pointer = newCell(wire.PointerName, f.wake, o.Now)
	f.keys = newCell(wire.KeysName, f.wake, o.Now)
	f.creds = newCell(wire.CredentialsName, f.wake, o.Now)
	if o.Pod != "" {
		f.ack = newAcknowledger(objects, o)
	}
	if o.Checkpoint != "" {
		if f.store, err = openCheckpoint(o.Checkpoint); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *Feed) wake() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *Feed) cells() []*cell { return []*cell{f.pointer, f.keys, f.creds} }

// Confirmed says when the API server last confirmed that what is served is what is
// published; the zero time before it ever did.
func (f *Feed) Confirmed() time.Time { return load(&f.confirmed) }

// Heartbeat says when the controller last found the published policy to be what it
// should be; the zero time when nobody knows.
func (f *Feed) Heartbeat() time.Time { return load(&f.heartbeat) }

func load(p *atomic.Pointer[time.Time]) time.Time {
	if t := p.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// Run keeps the snapshot current until ctx ends. It fails at nothing: what cannot be
// had now is tried again.
func (f *Feed) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range f.cells() {
		group.Go(func() error { return c.watch(ctx, f.secrets, &f.times) })
	}
	group.Go(func() error { return f.confirm(ctx) })
	if f.ack != nil {
		group.Go(func() error { return f.ack.run(ctx, &f.times) })
	}
	group.Go(func() error { return f.loop(ctx) })
	return group.Wait()
}

// loop takes in what there is whenever it has changed.
func (f *Feed) loop(ctx context.Context) error {
	start := time.NewTimer(f.times.start)
	defer start.Stop()
	again := time.NewTimer(f.times.confirm)
	defer again.Stop()
	pace := backoff{least: time.Second, most: f.times.confirm}
	deadline := f.o.Now().Add(f.times.start)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-start.C:
			f.fromCheckpoint(ctx)
			continue
		case <-again.C:
		case <-f.changed:
		}
		taking, cancel := context.WithTimeout(ctx, takeTimeout)
		if f.served == nil && f.o.Now().Before(deadline) {
			// An API server that answers and then does not must not keep the checkpoint
			// waiting.
			cancel()
			taking, cancel = context.WithTimeout(ctx, deadline.Sub(f.o.Now()))
		}
		settled := f.take(taking)
		cancel()
		if settled {
			pace.reset()
			again.Reset(f.times.confirm) // also what was refused: a slot can be mended
		} else {
			again.Reset(pace.next())
		}
		if !f.rest(ctx) {
			return nil
		}
	}
}

// rest lets changes gather.
func (f *Feed) rest(ctx context.Context) bool {
	pause := time.NewTimer(gather)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-pause.C:
		return true
	}
}

// backoff doubles.
type backoff struct{ least, most, current time.Duration }

func (b *backoff) next() time.Duration {
	b.current = min(max(2*b.current, b.least), b.most)
	return b.current
}

func (b *backoff) reset() { b.current = 0 }
