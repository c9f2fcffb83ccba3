// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/server"
)

func TestProbes(t *testing.T) {
	t.Parallel()
	var keys atomic.Bool
	r := start(t, &fake{}, func(c *server.Config) {
		c.Checks = []server.Check{{Name: "keys", Ready: keys.Load}, {Name: "clock", Ready: func() bool { return true }}}
	}, service("tenant-canary", "https://canary.example.com"))
	get := func(path string) reply { return r.do(t, http.MethodGet, path, "", nil) }
	for _, path := range []string{"/livez", "/healthz"} {
		if got := get(path); got.status != http.StatusOK || got.body != "ok\n" {
			t.Errorf("%s: %d %q", path, got.status, got.body)
		}
	}
	unready := get("/readyz")
	if unready.status != http.StatusServiceUnavailable || unready.body != "not ready: keys\n" {
		t.Errorf("not ready: %d %q", unready.status, unready.body)
	}
	keys.Store(true)
	ready := get("/readyz")
	if ready.status != http.StatusOK || ready.body != "ok\n" {
		t.Errorf("ready: %d %q", ready.status, ready.body)
	}
	t.Run("F361: no names of tenants", func(t *testing.T) {
		for _, got := range []reply{unready, ready, get("/livez"), get("/healthz")} {
			if strings.Contains(got.body, "canary") {
				t.Errorf("got %q", got.body)
			}
		}
	})
	if got := get("/metrics"); got.status != http.StatusOK || !strings.Contains(got.body, "exchequer_snapshot_revision") {
		t.Errorf("metrics: %d %.100q", got.status, got.body)
	}
	if got := r.do(t, http.MethodPost, "/metrics", "", nil); got.status != http.StatusMethodNotAllowed {
		t.Errorf("POST /metrics: %d", got.status)
	}
	if got := r.do(t, http.MethodPost, "/readyz", "", nil); got.status != http.StatusMethodNotAllowed {
		t.Errorf("POST /readyz: %d", got.status)
	}
}

func TestBeforeTheFirstSnapshotThereIsNoReadiness(t *testing.T) {
	t.Parallel()
	r := start(t, &fake{}, func(c *server.Config) { c.Snapshot = func() *policy.Snapshot { return nil } })
	t.Run("F321: alive, not ready, no token", func(t *testing.T) {
		if got := r.do(t, http.MethodGet, "/livez", "", nil); got.status != http.StatusOK {
			t.Errorf("liveness: %d", got.status)
		}
		if got := r.do(t, http.MethodGet, "/readyz", "", nil); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "snapshot") {
			t.Errorf("readiness: %d %q", got.status, got.body)
		}
		if got := r.do(t, http.MethodPost, "/token", form(), nil); got.status != http.StatusServiceUnavailable || got.member(t, "error") != "temporarily_unavailable" {
			t.Errorf("token: %d %q", got.status, got.body)
		}
	})
}

func TestATokenServiceDoesNotShadowTheProbes(t *testing.T) {
	t.Parallel()
	r := start(t, &fake{}, nil, service("sly", "https://sts.example.com/metrics"))
	if got := r.do(t, http.MethodGet, "/metrics", "", nil); !strings.Contains(got.body, "exchequer_") {
		t.Errorf("got %d %.100q", got.status, got.body)
	}
	if got := r.do(t, http.MethodGet, "/metrics/jwks", "", nil); got.status != http.StatusOK {
		t.Errorf("its own path: %d", got.status)
	}
}

func TestSeparateListeners(t *testing.T) {
	t.Parallel()
	snapshot := compile(t, service("default", "https://sts.example.com"))
	s := server.New(server.Config{
		Snapshot: func() *policy.Snapshot { return snapshot }, Exchanger: &fake{}, JWKS: func(string) ([]byte, bool) { return []byte("{}"), true },
	})
	var listeners [3]net.Listener
	for i := range listeners {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners[i] = ln
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, server.Listeners{Main: listeners[0], Operations: listeners[1], Public: listeners[2]})
	}()
	for i, want := range []map[string]int{
		{"/jwks": 200, "/token": 200, "/livez": 404, "/metrics": 404},
		{"/jwks": 404, "/token": 404, "/livez": 200, "/metrics": 200},
		{"/jwks": 200, "/token": 404, "/livez": 404, "/metrics": 404, "/.well-known/openid-configuration": 200},
	} {
		r := &running{addr: listeners[i].Addr().String()}
		for path, status := range want {
			method, body := http.MethodGet, ""
			if path == "/token" {
				method, body = http.MethodPost, form()
			}
			if got := r.do(t, method, path, body, nil); got.status != status {
				t.Errorf("listener %d, %s: %d, want %d", i, path, got.status, status)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAListenerThatFailsEndsTheServer(t *testing.T) {
	t.Parallel()
	s := server.New(server.Config{Snapshot: func() *policy.Snapshot { return nil }, Exchanger: &fake{}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), server.Listeners{Main: ln}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestAPanicIsOneAnswerAndOneRecord(t *testing.T) {
	t.Parallel()
	const canary = "canary7f3a"
	var logged lockedBuilder
	var clock atomic.Int64
	f := &fake{answer: func(context.Context, *oauth.Call) oauth.Answer { panic("bug with " + canary) }}
	r := start(t, f, func(c *server.Config) {
		c.Log = slog.New(slog.NewTextHandler(&logged, nil))
		c.Now = func() time.Time { return time.Unix(1_900_000_000, clock.Load()) }
	})
	t.Run("F342: a panic is a 500 and the server goes on", func(t *testing.T) {
		got := r.do(t, http.MethodPost, "/token", form(), nil)
		if got.status != http.StatusInternalServerError || got.member(t, "error") != "server_error" || strings.Contains(got.body, canary) {
			t.Errorf("got %d %s", got.status, got.body)
		}
		_, refused := f.seen()
		if len(refused) != 1 || refused[0].Reason != policy.Internal || refused[0].Outcome != policy.Unable {
			t.Errorf("recorded %v", refused)
		}
		if strings.Contains(logged.String(), canary) || !strings.Contains(logged.String(), "panicked") {
			t.Errorf("logged %s", logged.String())
		}
		if got := r.do(t, http.MethodGet, "/readyz", "", nil); got.status != http.StatusOK {
			t.Errorf("after one panic: %d", got.status)
		}
	})
	t.Run("F342: panic after panic makes the replica unready for a while", func(t *testing.T) {
		for range 4 {
			r.do(t, http.MethodPost, "/token", form(), nil)
		}
		if got := r.do(t, http.MethodGet, "/readyz", "", nil); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "panics") {
			t.Errorf("after five panics: %d %q", got.status, got.body)
		}
		clock.Add(int64(time.Minute))
		if got := r.do(t, http.MethodGet, "/readyz", "", nil); got.status != http.StatusOK {
			t.Errorf("a minute later: %d %q", got.status, got.body)
		}
	})
}

// lockedBuilder is a strings.Builder for several goroutines.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestPanicsElsewhereAreAnsweredToo(t *testing.T) {
	t.Parallel()
	snapshot := compile(t, service("default", "https://sts.example.com"))
	s := server.New(server.Config{
		Snapshot: func() *policy.Snapshot { return snapshot }, Exchanger: &fake{}, JWKS: func(string) ([]byte, bool) { panic("bug") },
	})
	w := httptest.NewRecorder()
	s.Handler(true).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/jwks", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "server_error") {
		t.Errorf("F342: got %d %s", w.Code, w.Body)
	}
	aborting := server.New(server.Config{
		Snapshot: func() *policy.Snapshot { panic(http.ErrAbortHandler) }, Exchanger: &fake{},
	})
	defer func() {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, too
			t.Errorf("net/http's own abort became %v", v)
		}
	}()
	aborting.Handler(false).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/jwks", nil))
}
