// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// A record is written before its token leaves, so a process that is killed between
// the two leaves a record of a token that nobody has, and never the other way round.
func TestF333WhoIsKilledAtAnyMomentHasRecordedEveryTokenThatLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.user()
	for after := range 5 {
		s := w.serve()
		var mu sync.Mutex
		var got []string
		var workers sync.WaitGroup
		var killed atomic.Bool
		for range 8 {
			workers.Go(func() {
				for !killed.Load() {
					r, err := s.ask(token).app().images().try()
					if err != nil || r.status != http.StatusOK {
						return // cut off by the kill
					}
					mu.Lock()
					got = append(got, r.text("access_token"))
					mu.Unlock()
				}
			})
		}
		count := func() int {
			mu.Lock()
			defer mu.Unlock()
			return len(got)
		}
		eventually(t, "there is load", func() bool { return count() > 40+30*after })
		s.signal(syscall.SIGKILL)
		killed.Store(true)
		workers.Wait()
		s.ended()
		recorded := map[any]bool{}
		for _, rec := range s.records() { // every line of it is whole
			recorded[rec["jti"]] = true
		}
		for _, access := range got {
			if id := payload(t, access)["jti"]; !recorded[id] {
				t.Fatalf("a token left, and its record is not there: %d tokens, %d records", len(got), len(recorded))
			}
		}
	}
}

// payload reads a token's claims without verifying it.
func payload(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %q", token)
	}
	var c map[string]any
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTimesAreUTCWhereverTheProcessRuns(t *testing.T) {
	t.Parallel()
	t.Run("F341: a zone far from UTC moves neither claims nor records", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.environment = []string{"TZ=Pacific/Kiritimati"} // UTC+14
		s := w.serve()
		before := time.Now()
		r := s.ask(s.user()).app().images().send()
		claims := payload(t, r.allowed())
		for name, want := range map[string]time.Time{"iat": before, "nbf": before, "exp": before.Add(5 * time.Minute)} {
			at, ok := claims[name].(float64)
			if off := time.Unix(int64(at), 0).Sub(want).Abs(); !ok || off > 10*time.Second {
				t.Errorf("%s is %v, which is %s away", name, claims[name], off)
			}
		}
		text, _ := r.record()["time"].(string)
		if at, err := time.Parse(time.RFC3339Nano, text); err != nil || !strings.HasSuffix(text, "Z") || at.Sub(before).Abs() > 10*time.Second {
			t.Errorf("the record's time is %q (%v)", text, err)
		}
	})
	t.Run("F341: the sixty-first second is no time that a manifest can name", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.change("platform.yaml", "metadata: {name: corp}\nspec:\n", "metadata: {name: corp}\nspec:\n  revokeIssuedBefore: \"2016-12-31T23:59:60Z\"\n")
		said, code := invoke(t, "check", w.dir)
		if code != 1 || !strings.Contains(said, "revokeIssuedBefore") {
			t.Errorf("code %d:\n%s", code, said)
		}
	})
}

func TestNothingIsLeftBehindByCallersThatGoAway(t *testing.T) {
	t.Parallel()
	t.Run("F343: goroutines and descriptors are what they were after thousands of requests, half of them cut off", func(t *testing.T) {
		t.Parallel()
		s := newWorld(t).serve()
		token := s.user()
		round := func(n int) {
			var callers sync.WaitGroup
			for caller := range 16 {
				callers.Go(func() {
					for i := range n / 16 {
						if (caller+i)%2 == 0 {
							s.ask(token).app().images().send().allowed()
							continue
						}
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*200*time.Microsecond)
						_, _ = s.ask(token).app().images().within(ctx)
						cancel()
					}
				})
			}
			callers.Wait()
			s.client.CloseIdleConnections()
		}
		round(320) // what is made once is made now
		settled := func() (goroutines, descriptors int) { return s.gauge("go_goroutines"), s.gauge("process_open_fds") }
		var goroutines, descriptors int
		eventually(t, "the connections of the first round are closed", func() bool {
			s.client.CloseIdleConnections()
			goroutines, descriptors = settled()
			return goroutines < 40
		})
		round(4000)
		eventually(t, fmt.Sprintf("goroutines are %d and descriptors %d again, or fewer", goroutines+4, descriptors+4), func() bool {
			s.client.CloseIdleConnections()
			g, d := settled()
			return g <= goroutines+4 && d <= descriptors+4
		})
	})
}

// gauge reads one of the process's metrics.
func (s *server) gauge(name string) int {
	s.t.Helper()
	for line := range strings.Lines(s.get("/metrics").body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return int(n)
		}
	}
	s.t.Fatalf("the metrics have no %s", name)
	return 0
}

func TestAHerdIsServedOrSentAwayAndNobodyStampedes(t *testing.T) {
	t.Parallel()
	t.Run("F349: a thousand pods that start at once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s := w.serve()
		s.ask(s.user()).app().images().send().allowed()
		// The worst case: all of them bring a key that nobody here has seen.
		if _, err := w.corp.Rotate(); err != nil {
			t.Fatal(err)
		}
		token := s.user()
		fetched := w.corp.Requests(issuer.JWKS)
		var allowed, away, other atomic.Int64
		var herd sync.WaitGroup
		gate := make(chan struct{})
		began := time.Now()
		for range 1000 {
			herd.Go(func() {
				<-gate
				r, err := s.ask(token).app().images().try()
				switch {
				case err == nil && r.status == http.StatusOK:
					allowed.Add(1)
				case err == nil && (r.status == http.StatusServiceUnavailable || r.status == http.StatusTooManyRequests) && r.header.Get("Retry-After") != "":
					away.Add(1) // shed, and told when to come back
				default:
					other.Add(1)
					t.Errorf("neither served nor told to come back: %v %+v", err, answerOf(r))
				}
			})
		}
		close(gate)
		herd.Wait()
		took := time.Since(began)
		t.Logf("%d allowed, %d told to come back, in %s", allowed.Load(), away.Load(), took)
		if other.Load() != 0 || allowed.Load() < 128 {
			t.Errorf("%d allowed, %d told to come back, %d got something else", allowed.Load(), away.Load(), other.Load())
		}
		if took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
		if n := w.corp.Requests(issuer.JWKS) - fetched; n > 1 {
			t.Errorf("%d fetches of one issuer's keys for one token", n)
		}
		if got := s.ask(token).app().images().send(); got.status != http.StatusOK {
			t.Errorf("after the herd: %d %s", got.status, got.body)
		}
	})
}

// answerOf is what a reply says.
func answerOf(r *reply) string {
	if r == nil {
		return "no answer"
	}
	return fmt.Sprintf("%d %s%s", r.status, r.body, r.why())
}

// within sends the request and goes away when ctx ends.
func (a *asking) within(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.s.addr+a.path, strings.NewReader(a.form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header = a.header.Clone()
	res, err := a.s.client.Do(req)
	if err == nil {
		err = res.Body.Close()
	}
	return res, err
}
