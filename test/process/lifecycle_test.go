// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestF332AStopUnderLoadFailsNoRequest(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve("--drain-delay", "1s")
	token := s.user()
	var sent, failed atomic.Int64
	var draining atomic.Bool
	var workers sync.WaitGroup
	// Eight callers, and a load balancer that sends nobody to what is not ready.
	for range 8 {
		workers.Go(func() {
			for !draining.Load() {
				r, err := s.ask(token).app().images().try()
				if err != nil || r.status != http.StatusOK {
					failed.Add(1)
					t.Errorf("a request failed: %v %+v", err, r)
					return
				}
				sent.Add(1)
			}
		})
	}
	eventually(t, "there is load", func() bool { return sent.Load() > 200 })
	atStop := sent.Load()
	s.signal(syscall.SIGTERM)
	eventually(t, "readiness goes off", func() bool {
		r, err := s.do(http.MethodGet, "", "/readyz", "", nil)
		return err == nil && r.status == http.StatusServiceUnavailable && strings.Contains(r.body, "draining")
	})
	eventually(t, "it still answers after that", func() bool { return sent.Load() > atStop+16 })
	draining.Store(true)
	workers.Wait()
	if code := s.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if failed.Load() != 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
	if got := len(s.records()); int64(got) != sent.Load() {
		t.Errorf("F350: %d requests, %d audit records", sent.Load(), got)
	}
}

func TestF332ARequestInFlightIsFinishedThoughNobodyNewIsLetIn(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	body := s.ask(s.user()).app().images()
	text := body.form.Encode()
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	send := func(format string, args ...any) {
		if _, err := fmt.Fprintf(conn, format, args...); err != nil {
			t.Fatal(err)
		}
	}
	send("POST /token HTTP/1.1\r\nHost: sts.example.com\r\nAuthorization: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		body.header.Get("Authorization"), len(text))
	answers := bufio.NewReader(conn)
	// 100 Continue says that the handler has begun to read the body.
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q %v", line, err)
	}
	if _, err := answers.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	send("%s", text[:len(text)/2])
	s.signal(syscall.SIGTERM)
	eventually(t, "nobody new is let in", func() bool {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", s.addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	send("%s", text[len(text)/2:])
	res, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("the request in flight got %s %s %v", res.Status, b, err)
	}
	if code := s.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestKeysOutliveTheProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := filepath.Join(t.TempDir(), "keys")
	s := w.serve("--keys", keys)
	token := s.ask(s.user()).app().images().send().allowed()
	before := s.get("/jwks").body
	s.signal(syscall.SIGKILL)
	s.ended()

	again := w.serve("--keys", keys)
	if after := again.get("/jwks").body; after != before {
		t.Errorf("the key set was\n%s\nand is\n%s", before, after)
	}
	if d := again.verify(token); d.text("aud") != imagesAPI {
		t.Errorf("aud %v", d.claims["aud"])
	}
	t.Run("a token from before the restart can go on, its sealed facts included", func(t *testing.T) {
		s := again.in(t)
		s.ask(token).basic(imagesAPI, imagesSecret).with("audience", contactsAPI).send().allowed()
	})
	t.Run("what is signed now verifies with what was published then", func(t *testing.T) {
		s := again.in(t)
		if _, err := verifyWith(s.jwks("", ""), s.ask(s.user()).app().images().send().allowed()); err != nil {
			t.Error(err)
		}
	})
}

func TestKeysInMemoryAreAnnouncedAndDie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	s.said("--keys DIR keeps them")
	token := s.ask(s.user()).app().images().send().allowed()
	s.signal(syscall.SIGKILL)
	s.ended()
	again := w.serve()
	if _, err := verifyWith(again.jwks("", ""), token); err == nil {
		t.Error("a token of the first process verifies with the keys of the second")
	}
	again.ask(token).basic(imagesAPI, imagesSecret).with("audience", contactsAPI).send().refused(http.StatusBadRequest, "invalid_request", "TokenSignature")
}

func TestPublicKeysHaveAListenerOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	public, operations := freeAddress(t), freeAddress(t)
	s := w.serve("--public-listen", public, "--ops-listen", operations)
	for name, tc := range map[string]struct {
		addr, path string
		want       int
	}{
		"keys, public":          {public, "/jwks", http.StatusOK},
		"metadata, public":      {public, "/.well-known/openid-configuration", http.StatusOK},
		"no token, public":      {public, "/token", http.StatusNotFound},
		"no metrics, public":    {public, "/metrics", http.StatusNotFound},
		"F283: no metrics here": {s.addr, "/metrics", http.StatusNotFound},
		"no probes here":        {s.addr, "/readyz", http.StatusNotFound},
		"metrics":               {operations, "/metrics", http.StatusOK},
		"readiness":             {operations, "/readyz", http.StatusOK},
		"liveness":              {operations, "/livez", http.StatusOK},
		"no token there":        {operations, "/token", http.StatusNotFound},
	} {
		elsewhere := &server{s.world, &process{addr: tc.addr, client: s.client}}
		if r := elsewhere.get(tc.path); r.status != tc.want {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
