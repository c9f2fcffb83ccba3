// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
	"github.com/exchequer-dev/exchequer/test/cluster"
	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// full makes outages as long as docs/reliability.md says.
func full() bool { return os.Getenv("FAULTS_FULL") == "1" }

// built is the build of the programs that all tests share.
var built rig.Programs //nolint:gochecknoglobals // one per test binary is the point

// figures are the rows of the table that TestMain prints.
var figures struct { //nolint:gochecknoglobals // one per test binary is the point
	sync.Mutex
	rows []string
}

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		// These tests wait for other processes more than they compute.
		_ = flag.Set("test.parallel", "6")
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "exchequer-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	builds.dir = dir
	if built, err = rig.Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if len(figures.rows) > 0 {
		fmt.Printf("\n| fault | what happened |\n|---|---|\n%s\n", strings.Join(figures.rows, "\n"))
	}
	return code
}

// figure prints a row of the table.
func figure(t *testing.T, fault, format string, args ...any) {
	t.Helper()
	row := fmt.Sprintf("| %s | %s |", fault, fmt.Sprintf(format, args...))
	t.Log(row)
	figures.Lock()
	defer figures.Unlock()
	figures.rows = append(figures.rows, row)
}

// installation is a cluster of its own with manifests applied.
type installation struct {
	*rig.Cluster
	*rig.World
	t *testing.T
}

// plan says what an installation begins with.
type plan struct {
	replicas    int
	controllers int
	programs    *rig.Programs
	controller  rig.ProcessOptions
	replica     rig.ProcessOptions
	// manifests are applied besides rig.Manifests.
	manifests string
}

// install brings up an installation that serves, and takes it down after the test.
func install(t *testing.T, p plan) *installation {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	programs := built
	if p.programs != nil {
		programs = *p.programs
	}
	c, err := rig.New(ctx, rig.Options{Assets: cluster.Assets(t), Dir: dir, Programs: programs})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.Logs())
			keepLogs(t, dir)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	w, err := rig.NewWorld(c)
	must(t, err)
	i := &installation{Cluster: c, World: w, t: t}
	must(t, c.Namespaces(ctx, "shop", "media"))
	must(t, c.ApplyYAML(ctx, rig.Manifests))
	if p.manifests != "" {
		must(t, c.ApplyYAML(ctx, p.manifests))
	}
	for n := range p.controllers {
		i.controller(fmt.Sprintf("controller-%d", n), p.controller)
	}
	for n := range p.replicas {
		i.replica(fmt.Sprintf("exchanger-%d", n), p.replica)
	}
	for _, r := range c.Replicas() {
		must(t, r.AwaitReady(ctx))
	}
	if p.controllers > 0 && p.replicas > 0 {
		i.everywhere("media/images", true)
	}
	return i
}

// keepLogs saves what the programs printed where FAULTS_LOGS says.
func keepLogs(t *testing.T, dir string) {
	to := os.Getenv("FAULTS_LOGS")
	if to == "" {
		return
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Log(err)
		return
	}
	for _, log := range logs {
		b, err := os.ReadFile(log)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, t.Name()+"-"+filepath.Base(log)), b, 0o600)
		}
		if err != nil {
			t.Log(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// controller starts a controller.
func (i *installation) controller(name string, o rig.ProcessOptions) *rig.Controller {
	i.t.Helper()
	c, err := i.NewController(i.t.Context(), name, o)
	must(i.t, err)
	must(i.t, c.Start())
	return c
}

// replica starts an exchanger; it is Ready later.
func (i *installation) replica(name string, o rig.ProcessOptions) *rig.Replica {
	i.t.Helper()
	r, err := i.NewReplica(i.t.Context(), name, o)
	must(i.t, err)
	must(i.t, r.Start())
	return r
}

// load begins a load of exchanges at the front, each token checked by a verifier
// that keeps key sets as long as it may.
func (i *installation) load(workers int, pace time.Duration) (*rig.Load, *rig.Verifier) {
	v := rig.NewVerifier(i.Serving)
	l := rig.StartLoad(i.t.Context(), rig.LoadOptions{
		Targets: i.Serving, Workers: workers, Pace: pace, Verifier: v,
		Form: func() url.Values { return i.Form("media/images") },
	})
	i.t.Cleanup(func() { l.Stop() })
	return l, v
}

// noticed waits until the front believes that a replica is not ready, and returns when
// that was.
func (i *installation) noticed(r *rig.Replica) time.Time {
	i.t.Helper()
	must(i.t, rig.Until(i.t.Context(), "the front notices that "+r.Name+" is gone", func(context.Context) error {
		if r.Ready() {
			return errors.New("it is ready, it believes")
		}
		return nil
	}))
	return time.Now()
}

// everywhere waits until every replica answers as expected and says how long
// after began the last did.
func (i *installation) everywhere(target string, allowed bool) {
	i.t.Helper()
	client := rig.NewClient(1)
	defer client.CloseIdleConnections()
	for _, r := range i.Replicas() {
		must(i.t, rig.Until(i.t.Context(), fmt.Sprintf("%s allows %s: %t", r.Name, target, allowed), func(ctx context.Context) error {
			return answers(ctx, i, r, target, allowed)
		}))
	}
}

func answers(ctx context.Context, i *installation, r *rig.Replica, target string, allowed bool) error {
	client := rig.NewClient(1)
	defer client.CloseIdleConnections()
	a := rig.Ask(ctx, client, r.Address, i.Form(target))
	if a.Status == 0 || a.Allowed() != allowed {
		return errors.Join(fmt.Errorf("it answers %d %s", a.Status, a.Code), a.Err)
	}
	return nil
}

// probes are clients and policies that come and go: media/<name>.
func probeClient(name string) string {
	return fmt.Sprintf("---\napiVersion: exchequer.dev/v1alpha1\nkind: ExchangeClient\nmetadata: {namespace: media, name: %s}\nspec: {}\n", name)
}

func probePolicy(name string) string {
	return strings.NewReplacer("name: images}\nspec", "name: "+name+"}\nspec", "{name: images}]", "{name: "+name+"}]").Replace(rig.Policy)
}

func (i *installation) apply(text string) {
	i.t.Helper()
	must(i.t, i.ApplyYAML(i.t.Context(), text))
}

func (i *installation) remove(text string) {
	i.t.Helper()
	objects, err := rig.Objects(text, i.Words)
	must(i.t, err)
	must(i.t, i.Delete(i.t.Context(), objects...))
}

// published reads what is published as a replica does: the pointer, then every
// slot that it names. A writer that moves on in between is no damage.
func (i *installation) published(ctx context.Context) (wire.Pointer, *policy.Spec, error) {
	s, err := i.Secret(ctx, wire.PointerName)
	if err != nil {
		return wire.Pointer{}, nil, err
	}
	p, err := wire.ParsePointer(s[wire.PointerKey])
	if err != nil {
		return p, nil, err
	}
	spec, err := wire.Decode(p, func(name string) ([]byte, error) {
		slot, err := i.Secret(ctx, name)
		return slot[wire.ChunkKey], err
	})
	return p, spec, err
}

// publishes waits until what is published holds policies of the given names, and
// all that are published have one of them or are images.
func (i *installation) publishes(names ...string) (wire.Pointer, *policy.Spec) {
	i.t.Helper()
	var pointer wire.Pointer
	var spec *policy.Spec
	must(i.t, rig.Until(i.t.Context(), "everything is published", func(ctx context.Context) (err error) {
		if pointer, spec, err = i.published(ctx); err != nil {
			return err
		}
		missing := map[string]bool{}
		for _, n := range names {
			missing[n] = true
		}
		for _, p := range spec.Policies {
			delete(missing, p.Name)
		}
		if len(missing) > 0 {
			return fmt.Errorf("%d policies are missing", len(missing))
		}
		return nil
	}))
	return pointer, spec
}
