// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/exchange"
	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/limit"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
	"github.com/exchequer-dev/exchequer/exchanger/server"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
	"github.com/exchequer-dev/exchequer/exchanger/telemetry"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
)

const (
	// limitedClients bounds the tables of rate limits: 16,384 entries of about 200
	// bytes are 3 MiB.
	limitedClients = 16384
	// keysTick is how often signing keys are looked after.
	keysTick = time.Minute
	// tokenSlack is what retired keys stay published beyond the longest token.
	tokenSlack = time.Minute
)

// Options are what a program chooses.
type Options struct {
	Ring *keys.Ring
	// Audit takes the records; required.
	Audit exchange.Auditor
	Log   *slog.Logger
	// Loopback lets issuers be on loopback, over http: `serve` alone.
	Loopback bool
	TLS      server.TLSFiles
	// ClientCertificates says which proxies hand on the certificates of clients.
	ClientCertificates server.ClientCertificates
	// DrainDelay is how long a stopping server still answers.
	DrainDelay time.Duration
	// Shared is the store of one-time state that all replicas share; nil where there is
	// none.
	Shared *store.Redis
	// NoStore is for one of several replicas that share no state: what must be used
	// once is refused.
	NoStore bool
	// Contested is for a replica beside which others may come: what must be used once
	// is refused except while Hold says that there are none.
	Contested bool
	// MaxAge bounds the age of what is in force, counted from Confirmed; beyond it
	// every exchange is refused. 0 is no bound.
	MaxAge time.Duration
	// Clock, where it is watched, must be good for an exchange; nil is unwatched.
	Clock *Clock
	// Alongside runs as long as the server does, its drain included; nil is nothing.
	Alongside func(context.Context) error
	Tracing   *telemetry.Tracing
	// OnIssuerChange is called after the keys of an issuer changed for better or
	// worse. It must not block.
	OnIssuerChange func(issuer string)
	// CarrierFresh says whether the controller, which carries issuers' keys, was
	// heard of lately; nil where there is none, as under `serve`.
	CarrierFresh func() bool
	// EgressProxy and EgressRoots are how issuers are reached; nil for directly, and
	// for the system's roots.
	EgressProxy *issuer.Proxy
	EgressRoots *x509.CertPool
	// Reviewer asks the API server about service-account tokens where a TrustedIssuer
	// wants that; nil where there is none.
	Reviewer trust.Reviewer
	// Confirmed says when what is in force was last compared with its source.
	Confirmed func() time.Time
	// Heartbeat says when whoever publishes was last alive; the zero time is unknown.
	Heartbeat func() time.Time
	Now       func() time.Time
}

// Engine is a running exchanger.
type Engine struct {
	options Options
	metrics *telemetry.Metrics
	issuers *issuer.Manager
	// upstream asks other servers.
	upstream *upstream.Client
	server   *server.Server
	// uses is nil where there is no store of one-time state, or where it is sole.
	uses     *store.Memory
	sole     *store.Sole
	snapshot atomic.Pointer[policy.Snapshot]
	// blocked is since when something is held back, in nanoseconds; 0 is nothing.
	blocked atomic.Int64
	// applying keeps together what belongs to one snapshot: sources, metrics, itself.
	applying sync.Mutex
	mu       sync.Mutex // guards spec
	spec     *policy.Spec
}

// New puts an engine together; nothing runs until Run, nothing is served until
// the first Apply.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Engine{options: o, metrics: telemetry.NewMetrics()}
	e.metrics.BeforeGather(e.ages)
	e.issuers = issuer.New(issuer.Options{
		Now: o.Now, Observer: fetches{e.metrics}, OnChange: o.OnIssuerChange, Logger: o.Log, CarrierFresh: o.CarrierFresh,
		Proxy: o.EgressProxy, RootCAs: o.EgressRoots,
	})
	e.upstream = e.asker()
	uses := e.once()
	use := &exchange.Exchanger{
		Clients:  clientauth.New(e.issuers, uses, clientauth.Options{Reviewer: o.Reviewer}),
		Subjects: subject.New(e.issuers, o.Ring, subject.Options{Reviewer: o.Reviewer, Upstream: e.upstream}),
		Keys:     o.Ring,
		Audit:    o.Audit,
		Store:    uses,
		Proofs:   proof.New(uses, o.Ring),
		Now:      o.Now,
		Rates:    limit.NewRates(limitedClients),
		Failures: limit.NewFailures(limitedClients),
		Observer: e.metrics,
		Upstream: e.upstream,
	}
	if o.Tracing != nil {
		use.Tracer = o.Tracing
	}
	e.server = server.New(server.Config{
		Snapshot:  e.snapshot.Load,
		Exchanger: guard{use, e},
		Checks:    e.checks(),
		JWKS: func(service string) ([]byte, bool) {
			k, ok := o.Ring.Current(service)
			if !ok {
				return nil, false
			}
			return k.JWKS, true
		},
		SAML: func(service, issuer, endpoint string) ([]byte, bool) {
			return samlMetadata(o.Ring, service, issuer, endpoint)
		},
		Metrics: e.metrics, Tracing: o.Tracing, Log: o.Log, TLS: o.TLS, DrainDelay: o.DrainDelay, Now: o.Now,
		ClientCertificates: o.ClientCertificates,
	})
	return e
}

// Hold says whether this replica is the only one, where that is contested.
func (e *Engine) Hold(yes bool) {
	if e.sole == nil || !e.sole.Hold(yes) || e.options.Log == nil {
		return
	}
	if yes {
		e.options.Log.Info("this is the only replica: one-time state is kept in its memory, from now on")
	} else {
		e.options.Log.Warn("this is not the only replica any more: what is good only once is refused")
	}
}

// Apply puts a snapshot in force: its signing keys are made, its issuers' keys are
// fetched, then it replaces the one before in one step. An error is about the
// signing keys, and the snapshot is in force all the same: what was revoked must
// not come back because a disk is full. Nothing is signed without a key.
func (e *Engine) Apply(spec *policy.Spec, snapshot *policy.Snapshot, compile time.Duration) error {
	e.applying.Lock()
	defer e.applying.Unlock()
	e.mu.Lock()
	e.spec = spec
	e.mu.Unlock()
	err := e.ensureKeys()
	e.issuers.SetSources(e.sources(spec))
	e.metrics.UpstreamsGone(e.upstream.Keep(spec.Upstreams()))
	e.metrics.Snapshot(spec, snapshot.Revision(), compile)
	e.snapshot.Store(snapshot)
	return err
}

// Settle waits until the first fetch of every issuer has ended, well or badly.
func (e *Engine) Settle(ctx context.Context) { _ = e.issuers.Wait(ctx) }

// KeyStatus tells about an issuer's keys in the words of translation.
func (e *Engine) KeyStatus(name string) translate.KeyStatus {
	s, ok := e.issuers.Status(name)
	if !ok {
		return translate.KeyStatus{State: translate.KeysPending, Message: "no fetch has ended yet"}
	}
	return translate.KeyStatus{State: translate.KeyState(s.State), Message: strings.Join(append([]string{s.Message}, s.Warnings...), "; ")}
}

// Run serves until ctx ends. The server begins when the store of one-time uses
// does, within a second: assertions from before could have been used before.
//
// What the server needs goes on until it has ended: a request that comes while it
// drains is answered like any other.
func (e *Engine) Run(ctx context.Context, l server.Listeners) error {
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, behind := errgroup.WithContext(behind)
	group.Go(func() error { return ignoreEnd(e.issuers.Run(behind)) })
	group.Go(func() error { return e.lookAfterKeys(behind) })
	e.runStores(behind, group)
	if e.options.Alongside != nil {
		group.Go(func() error { return e.options.Alongside(behind) })
	}
	group.Go(func() error {
		defer stop() // the others end with it
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(behind, cancel)() // and it with them, if one fails
		if err := e.awaitStore(ctx); err != nil {
			return errors.Join(err, closeAll(l)) // the server, which would close them, never had them
		}
		return e.server.Run(ctx, l)
	})
	return ignoreEnd(group.Wait())
}

func closeAll(l server.Listeners) error {
	var errs []error
	for _, each := range []net.Listener{l.Main, l.Operations, l.Public} {
		if each != nil {
			errs = append(errs, each.Close())
		}
	}
	return errors.Join(errs...)
}

func ignoreEnd(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (e *Engine) sources(spec *policy.Spec) []issuer.Source {
	sources := issuer.Sources(spec)
	for i := range sources {
		sources[i].AllowLoopbackHTTP = e.options.Loopback
	}
	return sources
}

// ages brings the ages up to date that metrics show.
func (e *Engine) ages() {
	for _, name := range e.issuers.Names() {
		if age, ok := e.issuers.Age(name); ok {
			e.metrics.IssuerKeysAge(name, age)
		}
	}
	if e.options.Confirmed != nil && e.snapshot.Load() != nil {
		e.metrics.SnapshotAge(e.age())
	}
	if e.options.Heartbeat != nil {
		if at := e.options.Heartbeat(); !at.IsZero() {
			e.metrics.HeartbeatAge(max(0, e.options.Now().Sub(at)))
		}
	}
	e.metrics.ClockGood(e.options.Clock.Good())
	var held time.Duration
	if since := e.blocked.Load(); since != 0 {
		held = e.options.Now().Sub(time.Unix(0, since))
	}
	e.metrics.PublishBlocked(held)
}

// Blocked notes that something that was declared is held back, such as a file that
// cannot be parsed, or that nothing is any more.
func (e *Engine) Blocked(yes bool) {
	switch {
	case !yes:
		e.blocked.Store(0)
	case e.blocked.Load() == 0:
		e.blocked.Store(e.options.Now().UnixNano())
	}
}

// lookAfterKeys rotates what is due.
func (e *Engine) lookAfterKeys(ctx context.Context) error {
	tick := time.NewTicker(keysTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := e.ensureKeys(); err != nil && e.options.Log != nil {
				e.options.Log.ErrorContext(ctx, "signing keys could not be rotated; the present ones go on", "error", err)
			}
		}
	}
}

// KeysChanged looks after the signing keys at once: others than this process made
// new ones. The error says which token services cannot sign.
func (e *Engine) KeysChanged() error { return e.ensureKeys() }

func (e *Engine) ensureKeys() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.spec == nil {
		return nil
	}
	var shown []telemetry.SigningKey
	var errs []error
	for i := range e.spec.Services {
		s := &e.spec.Services[i]
		plan := keys.Plan{
			Algorithm: s.Algorithm, RotateAfter: s.Rotation.RotateAfter, RevokedKeyIDs: s.RevokedKeyIDs, Retain: s.KeysOutlive() + tokenSlack,
			Rotation: keys.Rotation{Period: s.Rotation.Period, PrePublish: s.Rotation.PrePublish},
		}
		if err := e.options.Ring.Ensure(s.Name, plan, e.options.Now()); err != nil {
			errs = append(errs, err) // one token service's trouble is not the others'
		}
		if k, ok := e.options.Ring.Current(s.Name); ok {
			for _, slot := range k.Slots {
				shown = append(shown, telemetry.SigningKey{TokenService: s.Name, KeyID: slot.KeyID, Algorithm: slot.Algorithm, State: string(slot.State)})
			}
		}
	}
	e.metrics.SigningKeys(shown)
	return errors.Join(errs...)
}
