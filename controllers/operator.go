// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/controllers/keystore"
	"github.com/exchequer-dev/exchequer/controllers/publish"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// Operator turns what is in the cluster into what is published and into what every
// object says about itself. One goroutine does that, over and over, for everything:
// there are no deltas that could be missed.
type Operator struct {
	options   Options
	cache     client.Reader
	api       client.Reader
	gatherer  *gather.Gatherer
	data      *gather.Data
	health    *gather.Health
	publisher *publish.Publisher
	compiler  *expr.Compiler
	verdicts  *translate.Verdicts
	issuers   issuers
	keys      *keystore.Manager
	config    *rest.Config
	metrics   *metrics

	// changed says that something was changed, replicas that they have spoken.
	changed, replicas chan struct{}

	book book
	// writers write the statuses of each kind.
	writers map[string]*statuses
	// ears have what the replicas said.
	ears ears
	// events tell people.
	events *announcer
	// format is that of what was published last; 0: nothing was.
	format int
	// settled are the objects whose status was found to be what it should be.
	settled map[gather.Key]asItIs
	// unlisted is why some kind could not be listed when that was last tried.
	unlisted error
	// again asks for a run after one that failed.
	again *time.Timer
	// ensured says that Secrets that must be there were looked at lately; presented is
	// what the one of credentials held then.
	ensured   bool
	presented map[string][]byte
	// lock is whose holder works; nil where there is one controller.
	lock  resourcelock.Interface
	lease time.Duration
	// leading says that this controller works.
	leading atomic.Bool
	// begins makes those parts anew that remember something.
	begins func()
	// written counts published bytes.
	written atomic.Uint64
	// turns counts turns.
	turns atomic.Uint64
	// since is when publishing began to be held back, in nanoseconds; 0: it is not.
	since atomic.Int64
}

// newOperator puts an operator together. cache reads from caches, api does not.
func newOperator(o Options, cache client.Reader, api client.Client, meta metadata.Interface, health *gather.Health, m *metrics) *Operator {
	o = o.orDefaults()
	op := &Operator{
		options: o, cache: cache, api: api, health: health, compiler: expr.New(), verdicts: translate.NewVerdicts(), metrics: m,
		changed: make(chan struct{}, 1), replicas: make(chan struct{}, 1),
	}
	op.data = gather.NewData(api, meta, o.Namespace, o.ServiceAccount, op.Changed)
	op.gatherer = gather.NewGatherer(cache, op.data, health, o.Namespace)
	health.OnChange, health.Now = op.Changed, o.Now
	settings := o.Issuers
	settings.Now, settings.Logger, settings.Observer = o.Now, o.Log, m
	settings.OnChange = func(string) { op.Changed() }
	op.begins = func() {
		op.publisher = publish.New(api, o.Namespace, o.Now)
		op.issuers = issuers{Manager: issuer.New(settings)}
		op.keys = keystore.NewManager(keystore.Options{Client: api, Namespace: o.Namespace, Now: o.Now, OnChange: op.Changed, Log: o.Log})
	}
	op.begins()
	m.blocked = op.blocked
	return op
}

// forget leaves nothing of what was known when this controller worked before: another
// one may have worked since.
func (op *Operator) forget() {
	op.begins()
	op.book.forget()
	if op.ears.later != nil {
		op.ears.later.Stop()
	}
	op.ears, op.format, op.settled, op.unlisted = ears{}, 0, nil, nil
	op.ensured, op.presented = false, nil
}

// Changed asks for everything to be looked at again, soon. It never blocks.
func (op *Operator) Changed() { signal(op.changed) }

// Spoken asks for the statuses to be looked at again, since a replica has come, gone
// or acknowledged something.
func (op *Operator) Spoken() { signal(op.replicas) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // It is asked for already.
	}
}

// Written is how many bytes were published: chunks, compressed, and pointers.
func (op *Operator) Written() uint64 { return op.written.Load() }

// Turns is how often it has looked at everything.
func (op *Operator) Turns() uint64 { return op.turns.Load() }

// term works until ctx ends, and knows nothing of what was before it.
func (op *Operator) term(ctx context.Context) {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	op.forget()
	op.leading.Store(true)
	defer func() {
		op.leading.Store(false)
		op.since.Store(0)
		op.metrics.idle()
	}()
	op.begin(ctx)
	helpers.Go(func() { op.report(ctx, "issuers", op.issuers.Run(ctx)) })
	helpers.Go(func() { op.report(ctx, "signers", op.keys.Start(ctx)) })
	if op.issuers.local != nil {
		helpers.Go(func() { op.report(ctx, "local cluster", op.issuers.local.Run(ctx)) })
	}
	helpers.Go(func() { op.report(ctx, "references", op.data.Start(ctx)) })
	op.again = time.AfterFunc(0, op.Changed)
	defer op.again.Stop()
	tick := time.NewTicker(op.options.Beat)
	defer tick.Stop()
	for {
		whole := true
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			op.tend(ctx)
		case <-op.changed:
		case <-op.replicas:
			whole = false
		}
		op.settle(ctx)
		op.turn(ctx, whole)
	}
}

func (op *Operator) report(ctx context.Context, what string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		op.options.Log.ErrorContext(ctx, "a part of the operator has ended", "part", what, "error", err)
	}
}

// settle waits for what comes together with a change.
func (op *Operator) settle(ctx context.Context) {
	wait := time.NewTimer(op.options.Debounce)
	defer wait.Stop()
	select {
	case <-ctx.Done():
	case <-wait.C:
	}
}

// turn does what is asked for. What is asked for meanwhile is for the next turn.
func (op *Operator) turn(ctx context.Context, whole bool) {
	op.turns.Add(1)
	select {
	case <-op.changed:
		whole = true
	default:
	}
	select {
	case <-op.replicas:
	default:
	}
	err := op.hear(ctx)
	if err == nil && (whole || op.behind()) {
		op.raising()
		err = op.run(ctx)
	}
	// Also where nothing is published, there may be something to say about it.
	err = errors.Join(err, op.sweep(ctx))
	if err != nil && ctx.Err() == nil {
		op.options.Log.ErrorContext(ctx, "nothing is published; it is tried again", "error", err)
		op.again.Reset(retryAfter)
	}
	op.hold(err)
}

// retryAfter is when a run that failed is tried again, if nothing asks sooner.
const retryAfter = 2 * time.Second

// tend does what time alone asks for.
func (op *Operator) tend(ctx context.Context) {
	op.ensured = false
	op.unlisted = op.probe(ctx)
	altered, err := op.publisher.Recheck(ctx)
	if err == nil {
		err = op.publisher.Beat(ctx)
	}
	if err != nil && ctx.Err() == nil {
		op.options.Log.ErrorContext(ctx, "the heartbeat could not be written", "error", err)
	}
	if altered {
		op.options.Log.WarnContext(ctx, "slots of the snapshot were altered by somebody else; they are compared and written anew")
	}
}

// guarded runs a step. A panic in it is an error of the run: what is published stays.
func guarded(what string, step func() error) (err error) {
	defer func() {
		if recover() != nil {
			// Nothing of the panic is told: it may quote values.
			err = fmt.Errorf("%s panicked: please report it as a bug", what)
		}
	}()
	return step()
}
