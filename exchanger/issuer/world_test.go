// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

const (
	corp   = "corp"
	digest = "digest-1"
)

// names answers look-ups from a table; a panicking or failing resolver is a
// table with a hook.
type names struct {
	mu    sync.Mutex
	table map[string][]string
	hook  func(host string) error
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hook != nil {
		if err := n.hook(host); err != nil {
			return nil, err
		}
	}
	var out []netip.Addr
	for _, s := range n.table[host] {
		out = append(out, netip.MustParseAddr(s))
	}
	if len(out) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return out, nil
}

// point makes a host resolve to other addresses from now on.
func (n *names) point(host string, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.table[host] = addrs
}

func (n *names) set(hook func(string) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hook = hook
}

// record is an Observer.
type record struct {
	mu      sync.Mutex
	results map[string][]issuer.Result
	changes map[string]int
}

func newRecord() *record {
	return &record{results: map[string][]issuer.Result{}, changes: map[string]int{}}
}

func (r *record) Fetched(name string, result issuer.Result, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results[name] = append(r.results[name], result)
}

func (r *record) changed(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes[name]++
}

func (r *record) last(name string) issuer.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.results[name]); n > 0 {
		return r.results[name][n-1]
	}
	return ""
}

func (r *record) changesOf(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changes[name]
}

func (r *record) count(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.results[name])
}

// pipes is a listener whose connections are in memory, so that a whole HTTP
// exchange runs in a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// world is a bubble with issuers behind pipes, each under its own loopback
// address, and a manager that trusts the first.
type world struct {
	t   *testing.T
	iss *fake.Issuer
	m   *issuer.Manager
	src issuer.Source
	dns *names
	rec *record

	mu    sync.Mutex
	nets  map[string]*pipes // by "address:port"
	order int
}

// inWorld runs f in a bubble. corp is fetched when f begins.
func inWorld(t *testing.T, tune func(*issuer.Options), f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dns: &names{table: map[string][]string{}}, rec: newRecord(), nets: map[string]*pipes{}}
		w.iss, w.src = w.issuer(corp)
		o := issuer.Options{
			Resolver: w.dns, Dial: w.dial, Observer: w.rec, OnChange: w.rec.changed,
			Jitter: func() float64 { return 0 }, Logger: slog.New(slog.DiscardHandler),
		}
		if tune != nil {
			tune(&o)
		}
		w.m = issuer.New(o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.m.Run(ctx) }()
		w.m.SetSources([]issuer.Source{w.src})
		synctest.Wait()
		f(w)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		time.Sleep(2 * time.Second) // a fault that writes once a second notices that its peer is gone
	})
}

// issuer starts one more issuer, http://<name>.localhost.
func (w *world) issuer(name string) (*fake.Issuer, issuer.Source) {
	w.t.Helper()
	w.order++
	host, addr := name+".localhost", netip.AddrFrom4([4]byte{127, 0, 0, byte(w.order)}).String()
	iss, err := fake.New(fake.Options{URL: "http://" + host})
	if err != nil {
		w.t.Fatal(err)
	}
	l := newPipes()
	w.mu.Lock()
	w.nets[addr+":80"] = l
	w.mu.Unlock()
	w.dns.point(host, addr)
	srv := &http.Server{Handler: iss.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l)
	}()
	w.t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
	return iss, issuer.Source{
		Name: name, Digest: digest, URL: iss.URL(), AllowLoopbackHTTP: true,
		AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	l := w.nets[address]
	w.mu.Unlock()
	if l == nil {
		return nil, errors.New("connection refused")
	}
	return l.dial(ctx, network, address)
}

// pass lets time go by, and whatever is due then.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) status(name string) issuer.Status {
	w.t.Helper()
	st, ok := w.m.Status(name)
	if !ok {
		w.t.Fatalf("%s is no source", name)
	}
	return st
}

// wants asks for a key and compares the error.
func (w *world) wants(kid string, want error) {
	w.t.Helper()
	key, err := w.m.Keys(w.t.Context(), corp, digest, kid)
	if !errors.Is(err, want) || (err == nil) != (key != nil) {
		w.t.Fatalf("key %q: %v, %v; want error %v", kid, key, err, want)
	}
}

func (w *world) wantState(want issuer.State) {
	w.t.Helper()
	if st := w.status(corp); st.State != want {
		w.t.Fatalf("state %s (%s), want %s", st.State, st.Message, want)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// run runs a manager outside of a bubble until the test ends.
func run(t *testing.T, m *issuer.Manager) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
