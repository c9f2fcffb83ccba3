// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/server"
)

// pipes is a listener of in-memory connections, so that a server's timeouts run
// on the clock of a synctest bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
	// writers are the clients that still write.
	writers sync.WaitGroup
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.done) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.close(); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial(t *testing.T) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
	case <-p.done:
		t.Fatal("the listener is closed")
	}
	return ours
}

// bubble runs a server within a synctest bubble and stops it at the end.
func bubble(t *testing.T, f *fake, change func(*server.Config), test func(t *testing.T, p *pipes, stop func() error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		snapshot := compile(t, service("default", "https://sts.example.com"))
		config := server.Config{Snapshot: func() *policy.Snapshot { return snapshot }, Exchanger: f, JWKS: func(string) ([]byte, bool) { return []byte("{}"), true }}
		if change != nil {
			change(&config)
		}
		p := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- server.New(config).Run(ctx, server.Listeners{Main: p}) }()
		stop := sync.OnceValue(func() error { cancel(); return <-done })
		test(t, p, stop)
		_ = stop()
		p.writers.Wait()
	})
}

// send writes part after part in the background, one second between them.
func (p *pipes) send(conn net.Conn, parts ...string) {
	p.writers.Go(func() {
		for i, part := range parts {
			if i > 0 {
				<-time.After(time.Second)
			}
			if _, err := io.WriteString(conn, part); err != nil {
				return
			}
		}
	})
}

// read returns what comes until the server closes, and when that was.
func read(conn net.Conn, begin time.Time) (string, time.Duration) {
	b, _ := io.ReadAll(io.LimitReader(conn, 1<<20))
	took := time.Since(begin)
	_ = conn.Close()
	return string(b), took
}

const head = "POST /token HTTP/1.1\r\nHost: sts.example.com\r\nContent-Type: application/x-www-form-urlencoded\r\n"

func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		parts  []string
		answer string
		after  time.Duration
	}{
		"F8: a header of one byte a second":  {strings.Split(head+"X-A: "+strings.Repeat("b", 100), ""), "HTTP/1.1 400 ", 5 * time.Second},
		"F8: a connection without a byte":    {[]string{""}, "", 5 * time.Second},
		"F9: a body of one byte a second":    {append([]string{head + "Content-Length: 1000\r\n\r\n"}, strings.Split(strings.Repeat("a", 1000), "")...), "HTTP/1.1 408 ", 10 * time.Second},
		"F7: a body shorter than it said":    {[]string{head + "Content-Length: 1000\r\n\r\nabc"}, "HTTP/1.1 408 ", 10 * time.Second},
		"F7: chunks without an end":          {[]string{head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"}, "HTTP/1.1 408 ", 10 * time.Second},
		"an idle connection after an answer": {[]string{"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"}, "HTTP/1.1 200 ", 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			bubble(t, f, nil, func(t *testing.T, p *pipes, _ func() error) {
				begin, conn := time.Now(), p.dial(t)
				p.send(conn, tc.parts...)
				got, took := read(conn, begin)
				if !strings.HasPrefix(got, tc.answer) || tc.answer == "" && got != "" {
					t.Errorf("got %.200q", got)
				}
				// net/http lingers half a second so that the answer is read.
				if took < tc.after || took > tc.after+time.Second {
					t.Errorf("after %s, want %s", took, tc.after)
				}
				calls, _ := f.seen()
				if len(calls) != 0 {
					t.Error("half a form reached the use-case")
				}
			})
		})
	}
}

func TestF8OthersAreServedMeanwhile(t *testing.T) {
	t.Parallel()
	bubble(t, &fake{}, func(c *server.Config) { c.MaxInFlight = 1 }, func(t *testing.T, p *pipes, _ func() error) {
		var conns []net.Conn
		// Slow bodies do not count as work: they hold no place in the line.
		for range 1000 {
			conn := p.dial(t)
			conns = append(conns, conn)
			p.send(conn, head+"Content-Length: 1000\r\n\r\n", "a", "b")
		}
		synctest.Wait()
		begin, conn := time.Now(), p.dial(t)
		p.send(conn, head+"Connection: close\r\nContent-Length: 0\r\n\r\n")
		if got, took := read(conn, begin); !strings.HasPrefix(got, "HTTP/1.1 200 ") || took > 0 {
			t.Errorf("after %s: %.200q", took, got)
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
}

func TestOverloadIsShed(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}, 3), make(chan struct{})
	f := &fake{answer: func(context.Context, *oauth.Call) oauth.Answer { entered <- struct{}{}; <-release; return allowed() }}
	r := start(t, f, func(c *server.Config) { c.MaxInFlight = 2 })
	replies := make(chan reply, 2)
	for range 2 {
		go func() { replies <- r.do(t, http.MethodPost, "/token", form(), nil) }()
	}
	<-entered
	<-entered
	t.Run("F336, F337: what is too much is refused at once, and liveness is not", func(t *testing.T) {
		got := r.do(t, http.MethodPost, "/token", form(), nil)
		if got.status != http.StatusServiceUnavailable || got.member(t, "error") != "temporarily_unavailable" || got.header.Get("Retry-After") == "" {
			t.Errorf("got %d %s", got.status, got.body)
		}
		if got := r.do(t, http.MethodGet, "/livez", "", nil); got.status != http.StatusOK {
			t.Errorf("liveness: %d", got.status)
		}
		if got := r.do(t, http.MethodGet, "/jwks", "", nil); got.status != http.StatusOK {
			t.Errorf("keys: %d", got.status)
		}
		_, refused := f.seen()
		if len(refused) != 1 || refused[0].Outcome != policy.Unable || refused[0].Check != "overload" {
			t.Errorf("recorded %v", refused)
		}
	})
	close(release)
	for range 2 {
		if got := <-replies; got.status != http.StatusOK {
			t.Errorf("got %d", got.status)
		}
	}
	if got := r.do(t, http.MethodPost, "/token", form(), nil); got.status != http.StatusOK {
		t.Errorf("afterwards: %d", got.status)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	t.Run("F332: unready, then drained, then closed, and what runs is finished", func(t *testing.T) {
		t.Parallel()
		f := &fake{}
		bubble(t, f, func(c *server.Config) { c.DrainDelay = 5 * time.Second }, func(t *testing.T, p *pipes, stop func() error) {
			entered, release := make(chan struct{}, 1), make(chan struct{})
			f.answer = func(context.Context, *oauth.Call) oauth.Answer { entered <- struct{}{}; <-release; return allowed() }
			begin := time.Now()
			running := p.dial(t)
			p.send(running, head+"Content-Length: 0\r\n\r\n")
			<-entered
			stopped := make(chan error, 1)
			go func() { stopped <- stop() }()
			synctest.Wait()

			probe := p.dial(t)
			p.send(probe, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
			if got, took := read(probe, begin); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "draining") || took != 0 {
				t.Errorf("while draining, after %s: %q", took, got)
			}
			late := p.dial(t)
			p.send(late, head+"Content-Length: 0\r\n\r\n")
			<-entered // It is still served.

			<-time.After(20 * time.Second) // 15 s after the listeners closed
			close(release)
			for _, conn := range []net.Conn{running, late} {
				if got, _ := read(conn, begin); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "a.b.c") {
					t.Errorf("a request in flight: %q", got)
				}
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("F332: what does not end is cut off after 25 s", func(t *testing.T) {
		t.Parallel()
		f := &fake{}
		bubble(t, f, nil, func(t *testing.T, p *pipes, stop func() error) {
			entered, release := make(chan struct{}), make(chan struct{})
			f.answer = func(context.Context, *oauth.Call) oauth.Answer { close(entered); <-release; return allowed() }
			conn := p.dial(t)
			p.send(conn, head+"Content-Length: 0\r\n\r\n")
			<-entered
			begin := time.Now()
			err := stop()
			if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != 25*time.Second {
				t.Errorf("after %s: %v", took, err)
			}
			close(release)
			_ = conn.Close()
		})
	})
	t.Run("F332: an idle connection does not hold the shutdown up", func(t *testing.T) {
		t.Parallel()
		bubble(t, &fake{}, nil, func(t *testing.T, p *pipes, stop func() error) {
			conn := p.dial(t)
			defer conn.Close()
			p.send(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, err := conn.Read(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			begin := time.Now()
			if err := stop(); err != nil || time.Since(begin) > time.Second {
				t.Errorf("after %s: %v", time.Since(begin), err)
			}
		})
	})
}
