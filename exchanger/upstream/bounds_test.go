// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
	fake "github.com/exchequer-dev/exchequer/test/fakes/upstream"
)

func TestF186AnAnswerThatDoesNotComeIsNoAcceptance(t *testing.T) {
	t.Parallel()
	t.Run("F186: an introspection that hangs ends with its timeout", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, fake.Options{})
		r.Handle("/i", always(fake.Reply{Hang: true}))
		at := r.at("/i", nil)
		at.Timeout = 50 * time.Millisecond
		start := time.Now()
		claims, err := r.client.Introspect(t.Context(), at, "tok")
		if verdict(err) != "unavailable" || r.seen.last() != upstream.ResultTimeout || claims != nil {
			t.Fatalf("%v, counted as %s", err, r.seen.last())
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("it took %s", took)
		}
	})
	t.Run("a caller that goes away is no failure of the server's", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, fake.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		r.Handle("/i", func(*fake.Call) fake.Reply { cancel(); return fake.Reply{Hang: true} })
		_, err := r.client.Introspect(ctx, r.at("/i", nil), "tok")
		if verdict(err) != "unavailable" || r.seen.last() != upstream.ResultAborted {
			t.Fatalf("%v, counted as %s", err, r.seen.last())
		}
	})
}

type resolver map[string]string

func (r resolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(r["any"])}, nil
}

func TestOnlyWhatTheRulesAllowIsDialled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*upstream.Server)
		options func(*upstream.Options)
		result  upstream.Result
	}{
		"F159: a range that is not listed": {change: func(s *upstream.Server) { s.AllowedCIDRs = nil }, result: upstream.ResultAddress},
		"F154: http outside of serve":      {options: func(o *upstream.Options) { o.Loopback = false }, result: upstream.ResultAddress},
		"F157: link-local, though listed": {change: func(s *upstream.Server) {
			s.URL, s.AllowedCIDRs = "https://169.254.169.254/latest", []string{"169.254.0.0/16"}
		}, result: upstream.ResultAddress},
		"F159: a name that resolves to a private address": {
			change:  func(s *upstream.Server) { s.URL, s.AllowedCIDRs = "https://partner.example/token", nil },
			options: func(o *upstream.Options) { o.Way.Resolver = resolver{"any": "10.1.2.3"} }, result: upstream.ResultAddress,
		},
		"a bundle that holds no certificate": {change: func(s *upstream.Server) { s.CABundle = "x" }, result: upstream.ResultTLS},
		"a range that cannot be read":        {change: func(s *upstream.Server) { s.AllowedCIDRs = []string{"x"} }, result: upstream.ResultAddress},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var more []func(*upstream.Options)
			if c.options != nil {
				more = append(more, c.options)
			}
			r := newRig(t, fake.Options{}, more...)
			at := r.at("/i", nil)
			if c.change != nil {
				c.change(at)
			}
			_, err := r.client.Introspect(t.Context(), at, "tok")
			if verdict(err) != "unavailable" || r.seen.last() != c.result || len(r.Calls("")) > 0 {
				t.Errorf("%v, counted as %s, %d calls; want %s and none", err, r.seen.last(), len(r.Calls("")), c.result)
			}
		})
	}
}

func TestF180AServerIsHeldToTheDeclaredAuthorityAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, fake.Options{TLS: true})
	other := newRig(t, fake.Options{TLS: true})
	at := r.at("/i", nil)
	at.CABundle = string(other.CA())
	_, err := r.client.Introspect(t.Context(), at, "tok")
	if verdict(err) != "unavailable" || r.seen.last() != upstream.ResultTLS || len(r.Calls("")) > 0 {
		t.Errorf("%v, counted as %s", err, r.seen.last())
	}
}

func TestASlowServerHoldsNoMoreThanItsBulkhead(t *testing.T) {
	t.Parallel()
	r := newRig(t, fake.Options{})
	release, entered := make(chan struct{}), make(chan struct{}, 64)
	r.Handle("/slow", func(c *fake.Call) fake.Reply {
		entered <- struct{}{}
		select {
		case <-release:
		case <-c.Context.Done():
		}
		return fake.Raw(`{"active":true}`)
	})
	r.Handle("/fast", always(fake.Raw(`{"active":true}`)))
	var all sync.WaitGroup
	var good atomic.Int32
	for range 32 {
		all.Go(func() {
			if _, err := r.client.Introspect(t.Context(), r.at("/slow", nil), "tok"); err == nil {
				good.Add(1)
			}
		})
	}
	for range 32 {
		<-entered
	}
	if _, err := r.client.Introspect(t.Context(), r.at("/slow", nil), "tok"); verdict(err) != "unavailable" || r.seen.last() != upstream.ResultBusy {
		t.Errorf("the 33rd: %v, counted as %s", err, r.seen.last())
	}
	fast := r.at("/fast", nil)
	fast.Name = "TrustedIssuer/y"
	if _, err := r.client.Introspect(t.Context(), fast, "tok"); err != nil {
		t.Errorf("F178: another server is held up: %v", err)
	}
	close(release)
	all.Wait()
	if good.Load() != 32 {
		t.Errorf("%d of 32 were answered", good.Load())
	}
}

func TestAServerThatFailsIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	var at atomic.Int64
	at.Store(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	r := newRig(t, fake.Options{}, func(o *upstream.Options) { o.Now = func() time.Time { return time.Unix(0, at.Load()) } })
	var down atomic.Bool
	down.Store(true)
	r.Handle("/i", func(*fake.Call) fake.Reply {
		if down.Load() {
			return fake.Status(500, nil)
		}
		return fake.Raw(`{"active":true}`)
	})
	ask := func() upstream.Result {
		_, _ = r.client.Introspect(t.Context(), r.at("/i", nil), "tok")
		return r.seen.last()
	}
	for range 5 {
		if got := ask(); got != upstream.ResultStatus {
			t.Fatalf("counted as %s", got)
		}
	}
	if got := ask(); got != upstream.ResultCircuit || len(r.Calls("/i")) != 5 {
		t.Fatalf("after five failures: %s, %d questions", got, len(r.Calls("/i")))
	}
	at.Add(int64(6 * time.Second))
	if got := ask(); got != upstream.ResultStatus {
		t.Fatalf("the one that tries: %s", got)
	}
	if got := ask(); got != upstream.ResultCircuit {
		t.Fatalf("after it failed: %s", got)
	}
	at.Add(int64(6 * time.Second))
	down.Store(false)
	for range 3 {
		if got := ask(); got != upstream.ResultOK {
			t.Fatalf("the server is back: %s", got)
		}
	}
}

func TestAnswersThatHangOnTheTokenDoNotOpenTheCircuit(t *testing.T) {
	t.Parallel()
	r := newRig(t, fake.Options{})
	r.Handle("/i", func(c *fake.Call) fake.Reply {
		if c.Form.Get("token") == "bad" {
			return fake.Raw("{")
		}
		return fake.Raw(`{"active":true}`)
	})
	for range 20 {
		_, _ = r.client.Introspect(t.Context(), r.at("/i", nil), "bad")
	}
	if _, err := r.client.Introspect(t.Context(), r.at("/i", nil), "good"); err != nil {
		t.Errorf("somebody's bad tokens keep others' out: %v", err)
	}
}

func TestAServerThatIsDeclaredAnewIsAskedAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t, fake.Options{})
	r.Handle("/one", always(fake.Raw(`{"active":true}`)))
	r.Handle("/two", always(fake.Raw(`{"active":true}`)))
	for _, path := range []string{"/one", "/two", "/one"} {
		before := len(r.Calls(path))
		if _, err := r.client.Introspect(t.Context(), r.at(path, nil), "tok"); err != nil || len(r.Calls(path)) != before+1 {
			t.Errorf("%s was not asked: %v", path, err)
		}
	}
	r.client.Keep(nil)
	if _, err := r.client.Introspect(t.Context(), r.at("/one", nil), "tok"); err != nil {
		t.Errorf("after it was forgotten: %v", err)
	}
}

func TestAQuestionHasABoundToo(t *testing.T) {
	t.Parallel()
	r := newRig(t, fake.Options{})
	r.client.SetCredentials(nil)
	_, err := r.client.Introspect(t.Context(), r.at("/i", nil), strings.Repeat("x", upstream.MaxBytes))
	if verdict(err) != "unavailable" || r.seen.last() != upstream.ResultTooLarge || len(r.Calls("")) > 0 {
		t.Errorf("%v, counted as %s", err, r.seen.last())
	}
}

func TestAPanicIsContained(t *testing.T) {
	t.Parallel()
	r := newRig(t, fake.Options{}, func(o *upstream.Options) {
		o.Sign = func(context.Context, string, string, []byte) (string, error) { panic("canary") }
	})
	auth := &policy.UpstreamAuth{ClientID: "us", Method: policy.UpstreamPrivateKeyJWT}
	for range 40 { // more than the bulkhead has room for
		_, err := r.client.Introspect(t.Context(), r.at("/i", auth), "tok")
		if verdict(err) != "unavailable" || strings.Contains(err.Error(), "canary") {
			t.Fatalf("%v", err)
		}
	}
	if r.seen.count(upstream.ResultBusy) > 0 {
		t.Error("what panicked still holds its place")
	}
}
