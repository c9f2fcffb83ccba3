// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/exchequer-dev/exchequer/cmd/internal/engine"
	"github.com/exchequer-dev/exchequer/cmd/internal/flags/serving"
	"github.com/exchequer-dev/exchequer/exchanger/feed"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/server"
	"github.com/exchequer-dev/exchequer/exchanger/telemetry"
)

const (
	// settleFor is how long the start waits for issuers' keys before it says where
	// they stand: an issuer that is down delays the start, and does not stop it.
	settleFor = 3 * time.Second
	// gcPercent lets what a request leaves behind, about 15 KiB, pile up to eight
	// times what stays (the snapshot, and caches with bounds) before it is
	// collected: a collection walks all that stays. GOGC and GOMEMLIMIT in the
	// environment win.
	gcPercent = 800
)

type serveFlags struct {
	manifests, listen, public, operations, keys, namespace string
	auditFile, redactKey                                   string
	redact                                                 bool
	tls                                                    server.TLSFiles
	certificates                                           serving.ClientCertificates
	store                                                  serving.Store
	drain                                                  time.Duration
	profile                                                string
}

func newServeCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve --manifests DIR",
		Short: "Run the whole exchange from a directory, with no cluster",
		Long: `Run the whole exchange from a directory of manifests, with no cluster.

The directory is watched: a change is in force within a second. What the objects
became is printed to standard error, audit records go to standard output.
A file that cannot be parsed keeps its last objects; at the start it is an error.

Objects go through the CRDs' own schema, defaults and rules, so a directory means
what a cluster would make of it. http issuers are accepted on loopback only, and
only where their network.allowedCIDRs says so.`,
		Example: `  exchequer serve --manifests ./manifests
  exchequer serve --manifests ./manifests --keys ./keys --listen 127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return serve(ctx, &f, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.manifests, "manifests", "", "directory of manifests (required)")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8080", "address for the endpoints; probes and metrics too, unless --ops-listen is given")
	flags.StringVar(&f.public, "public-listen", "", "further address that serves public keys and metadata only")
	flags.StringVar(&f.operations, "ops-listen", "", "address for probes and metrics")
	flags.StringVar(&f.keys, "keys", "", "directory that keeps the signing keys; without it they live in memory, and every token dies with the process")
	flags.StringVar(&f.namespace, "namespace", "exchequer-system", "the operator's namespace")
	f.store.Add(flags, serving.StoreMemory)
	flags.StringVar(&f.auditFile, "audit", "", "file for audit records; standard output without it")
	flags.BoolVar(&f.redact, "audit-redact", false, "replace personal data in audit records by pseudonyms")
	flags.StringVar(&f.redactKey, "audit-redact-key", "", "`FILE` with at least 32 random bytes that pseudonyms hang on; without it they change with every process")
	flags.StringVar(&f.tls.Certificate, "tls-cert", "", "PEM certificate chain: serve TLS; read again when it changes")
	flags.StringVar(&f.tls.Key, "tls-key", "", "PEM key of --tls-cert")
	f.certificates.Add(flags)
	flags.DurationVar(&f.drain, "drain-delay", 0, "how long a stopping server still answers, so that load balancers notice")
	flags.StringVar(&f.profile, "cpu-profile", "", "file for a CPU profile of the whole run")
	_ = flags.MarkHidden("cpu-profile") // for `make bench`
	_ = c.MarkFlagRequired("manifests")
	return c
}

// serve runs until ctx ends.
func serve(ctx context.Context, f *serveFlags, out, errs io.Writer) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if f.profile != "" {
		stop, err := profile(f.profile)
		if err != nil {
			return err
		}
		defer stop()
	}
	say := newNarrator(errs)
	log := slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := f.tls.Check(); err != nil {
		return usage("%w", err)
	}
	if err := f.certificates.Check(); err != nil {
		return usage("%w", err)
	}
	if err := f.store.Check(); err != nil {
		return usage("%w", err)
	}
	shared, err := f.store.Redis(log)
	if err != nil {
		return usage("%w", err)
	}
	ring, err := openRing(f.keys, say)
	if err != nil {
		return usage("%w", err)
	}
	records, closeAudit, err := engine.OpenAudit(engine.AuditOptions{
		File: f.auditFile, Out: out, Ring: ring, Redact: f.redact, RedactKey: f.redactKey, Trouble: say.trouble,
	})
	if err != nil {
		return usage("%w", err)
	}
	defer closeAudit()
	tracing, err := telemetry.NewTracing(ctx, os.Getenv)
	if err != nil {
		return err
	}
	defer func() { _ = tracing.Shutdown(context.WithoutCancel(ctx)) }()

	changed := make(chan struct{}, 1)
	wake := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	var dir *feed.Directory
	eng := engine.New(engine.Options{
		Ring: ring, Audit: records, Log: log, Loopback: true, TLS: f.tls, DrainDelay: f.drain, Tracing: tracing,
		ClientCertificates: f.certificates.ClientCertificates,
		Shared:             shared, NoStore: f.store.Kind == serving.StoreNone,
		OnIssuerChange: func(string) { wake() },
		Confirmed:      func() time.Time { return dir.Confirmed() },
	})
	builder, err := feed.NewBuilder(f.namespace, time.Now, eng.KeyStatus)
	if err != nil {
		return err
	}
	dir = feed.NewDirectory(f.manifests, builder.WithStore(f.store.Said()))
	build, err := dir.Load()
	if err != nil {
		return usage("%w", err)
	}
	if build.Broken {
		say.problems(build.Problems)
		return errors.New("the manifests cannot be used as they are: mend the files above")
	}
	eng.Credentials(build.Credentials)
	if err := eng.Apply(build.Spec, build.Snapshot, build.CompileTime); err != nil {
		return err
	}
	listeners, err := listen(f)
	if err != nil {
		return usage("%w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return eng.Run(ctx, listeners) })
	group.Go(func() error { return dir.Watch(ctx, wake) })
	group.Go(func() error {
		settled, cancel := context.WithTimeout(ctx, settleFor)
		defer cancel()
		eng.Settle(settled)
		follow(ctx, dir, eng, say, changed, func(b *feed.Build) { say.serving(listeners, b, f.tls.Certificate != "") })
		return nil
	})
	return group.Wait()
}

// follow loads the directory at every change, puts it in force, and says what it
// now means.
func follow(ctx context.Context, dir *feed.Directory, eng *engine.Engine, say *narrator, changed <-chan struct{}, serving func(*feed.Build)) {
	first := true
	for {
		build, err := dir.Load()
		eng.Blocked(err != nil || build.Broken)
		switch {
		case err != nil:
			say.trouble("the manifests cannot be read; what was in force stays", err)
		default:
			eng.Credentials(build.Credentials)
			if !build.Unchanged {
				if err := eng.Apply(build.Spec, build.Snapshot, build.CompileTime); err != nil {
					say.trouble("the change is in force; the signing keys did not follow it, and the ones before go on", err)
				}
			}
			say.build(build)
		}
		if first {
			serving(build)
			first = false
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func profile(file string) (stop func(), err error) {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return func() { pprof.StopCPUProfile(); _ = out.Close() }, nil
}

func openRing(dir string, say *narrator) (*keys.Ring, error) {
	if dir != "" {
		return keys.OpenDir(dir)
	}
	say.warn("signing keys live in memory: every token dies with this process; --keys DIR keeps them")
	return keys.InMemory(), nil
}

func listen(f *serveFlags) (server.Listeners, error) {
	var l server.Listeners
	for _, want := range []struct {
		address string
		to      *net.Listener
	}{{f.listen, &l.Main}, {f.public, &l.Public}, {f.operations, &l.Operations}} {
		if want.address == "" {
			continue
		}
		ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", want.address)
		if err != nil {
			return l, fmt.Errorf("listen on %s: %w", want.address, err)
		}
		*want.to = ln
	}
	return l, nil
}
