// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
	plane "github.com/exchequer-dev/exchequer/test/cluster"
	"github.com/exchequer-dev/exchequer/test/fakes/operator"
)

func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }

// world is a Spec with token services of these names and n scopes.
func world(n int, services ...string) *policy.Spec {
	spec := &policy.Spec{Format: policy.Format}
	for _, name := range services {
		spec.Services = append(spec.Services, policy.Service{
			Name: name, Issuer: "https://" + name + ".example", Algorithm: "ES256", MaxLifetime: time.Hour,
			Rotation: policy.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour},
		})
	}
	for i := range n {
		spec.Scopes = append(spec.Scopes, policy.Scope{
			Namespace: "shop", Name: fmt.Sprintf("s%05d", i), Scope: fmt.Sprintf("s%05d", i), TokenService: services[0],
			Claims: []policy.Claim{{Name: "c", Expression: "'" + strings.Repeat("x", 500) + "'"}},
		})
	}
	return spec
}

// replica is a feed that runs, and what it did.
type replica struct {
	*Feed
	t    testing.TB
	o    *operator.Operator
	ring *keys.Ring
	log  *records
	stop func()

	mu       sync.Mutex
	applied  []uint64
	digest   string
	refusing bool
	compiler compiler
}

// fast are times for tests that do not wait for anything to run out. A request may take
// as long as it does on a busy machine.
func fast() times {
	return times{confirm: 300 * time.Millisecond, retry: 100 * time.Millisecond, start: 2 * time.Second, request: 5 * time.Second}
}

type option func(*replica, *Options, *rest.Config)

func checkpointIn(dir string) option {
	return func(_ *replica, o *Options, _ *rest.Config) { o.Checkpoint = dir }
}

func timed(t times) option { return func(r *replica, _ *Options, _ *rest.Config) { r.times = t } }

func through(transport func(http.RoundTripper) http.RoundTripper) option {
	return func(_ *replica, _ *Options, c *rest.Config) { c.Wrap(transport) }
}

func at(host string) option { return func(_ *replica, _ *Options, c *rest.Config) { c.Host = host } }

// start runs a replica as the exchanger's ServiceAccount.
func start(t testing.TB, o *operator.Operator, pod string, options ...option) *replica {
	t.Helper()
	config := o.Plane.ServiceAccount(t, o.Namespace, operator.Account)
	r := &replica{t: t, o: o, ring: keys.NewFollower(), log: &records{}}
	r.compiler.Compiler = expr.New()
	r.Feed = &Feed{times: fast()}
	opts := Options{
		Namespace: o.Namespace, Pod: pod, PodUID: "uid-of-" + pod, Compiler: &r.compiler, Keys: r.ring, Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Apply:   r.apply,
		Refused: func(yes bool) { r.mu.Lock(); r.refusing = yes; r.mu.Unlock() },
	}
	for _, option := range options {
		option(r, &opts, config)
	}
	intervals := r.times
	f, err := New(config, opts)
	if err != nil {
		t.Fatal(err)
	}
	r.Feed, f.times = f, intervals
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v", err)
		}
		if t.Failed() {
			t.Logf("the log of %s:\n%s", pod, r.log)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (r *replica) apply(spec *policy.Spec, s *policy.Snapshot, _ time.Duration) error {
	r.mu.Lock()
	r.applied, r.digest = append(r.applied, s.Revision()), s.Digest()
	r.mu.Unlock()
	var errs []error
	for _, service := range spec.Services {
		if _, ok := r.ring.Active(service.Name); !ok {
			errs = append(errs, errors.New("no key of "+service.Name))
		}
	}
	return errors.Join(errs...)
}

func (r *replica) revisions() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.applied)
}

func (r *replica) serves() (uint64, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.applied) == 0 {
		return 0, ""
	}
	return r.applied[len(r.applied)-1], r.digest
}

// patience is for what happens by itself, on a busy machine.
const patience = 30 * time.Second

func eventually(t testing.TB, f func(g gomega.Gomega)) {
	t.Helper()
	gomega.NewWithT(t).Eventually(f).WithTimeout(patience).WithPolling(20 * time.Millisecond).Should(gomega.Succeed())
}

// mustServe waits for a revision to be in force.
func (r *replica) mustServe(p wire.Pointer) {
	r.t.Helper()
	eventually(r.t, func(g gomega.Gomega) {
		revision, digest := r.serves()
		g.Expect(revision).To(gomega.Equal(p.Revision))
		g.Expect(digest).To(gomega.Equal(p.Digest))
	})
}

// said is what the replica has acknowledged. While it has not said anything, the
// attempt fails, and another one is made.
func (r *replica) said(g gomega.Gomega) *v1alpha1.ExchangerReplica {
	a := r.o.Acknowledged(r.Feed.o.Pod)
	g.Expect(a).NotTo(gomega.BeNil(), "nothing is acknowledged yet")
	return a
}

// mustAcknowledge waits for a revision to be acknowledged, and returns what was said.
func (r *replica) mustAcknowledge(p wire.Pointer) (a *v1alpha1.ExchangerReplica) {
	r.t.Helper()
	eventually(r.t, func(g gomega.Gomega) {
		a = r.said(g)
		g.Expect(a.Spec.Revision).To(gomega.Equal(int64(p.Revision)))
		g.Expect(a.Spec.Digest).To(gomega.Equal(p.Digest))
	})
	return a
}

// mustRefuse waits for a refusal to be acknowledged, and returns what was said.
func (r *replica) mustRefuse(revision uint64, reason string) (a *v1alpha1.ExchangerReplica) {
	r.t.Helper()
	eventually(r.t, func(g gomega.Gomega) {
		a = r.said(g)
		g.Expect(a.Spec.Refused).NotTo(gomega.BeNil())
		g.Expect(a.Spec.Refused.Reason).To(gomega.Equal(reason))
		g.Expect(a.Spec.Refused.Revision).To(gomega.Equal(int64(revision)))
		r.mu.Lock()
		refusing := r.refusing
		r.mu.Unlock()
		g.Expect(refusing).To(gomega.BeTrue())
	})
	return a
}

// mustConfirm waits until the API server has confirmed what is served after now.
func (r *replica) mustConfirm() {
	r.t.Helper()
	now := time.Now()
	eventually(r.t, func(g gomega.Gomega) { g.Expect(r.Confirmed()).To(gomega.BeTemporally(">", now)) })
}

// compiler panics or fails when it is told to.
type compiler struct {
	policy.Compiler
	mu    sync.Mutex
	panic bool
	err   error
}

func (c *compiler) set(panics bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panic, c.err = panics, err
}

func (c *compiler) Compile(e policy.Environment, want policy.ResultType, text string) (policy.Program, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.panic:
		panic("the secret of " + text)
	case c.err != nil:
		return nil, c.err
	}
	return c.Compiler.Compile(e, want, text)
}

// records is a log in memory.
type records struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// roundTrip is an http.RoundTripper of one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
