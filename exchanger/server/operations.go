// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// operate answers the probes and metrics; false when the path is another.
func (s *Server) operate(w http.ResponseWriter, r *http.Request) bool {
	switch r.URL.EscapedPath() {
	case "/livez", "/healthz":
		// Alive says that the process answers and nothing else: no I/O, no locks
		// of the token path. What a restart cannot help is for readiness.
		s.document(w, r, contentText, "no-store", []byte("ok\n"))
	case "/readyz":
		s.ready(w, r)
	case "/metrics":
		if readOnly(w, r) {
			s.metrics.ServeHTTP(w, r)
		}
	default:
		return false
	}
	return true
}

// ready names the checks that fail. Their names are the program's own words.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if !readOnly(w, r) {
		return
	}
	failed := s.failing()
	w.Header()["Cache-Control"] = []string{"no-store"}
	if len(failed) == 0 {
		write(w, http.StatusOK, contentText, []byte("ok\n"))
		return
	}
	write(w, http.StatusServiceUnavailable, contentText, []byte("not ready: "+strings.Join(failed, ", ")+"\n"))
}

func (s *Server) failing() []string {
	var failed []string
	if s.draining.Load() {
		failed = append(failed, "draining")
	}
	if s.config.Snapshot() == nil {
		failed = append(failed, "snapshot")
	}
	if s.panics.high(s.now()) {
		failed = append(failed, "panics")
	}
	for _, c := range s.config.Checks {
		if !c.Ready() {
			failed = append(failed, c.Name)
		}
	}
	return failed
}

// maxPanics in panicWindow make a replica unready: one bad request in a while is
// answered with a 500 by whichever replica gets it, but a replica that panics at
// five in a minute is better left alone.
const (
	maxPanics   = 5
	panicWindow = time.Minute
)

// panicRate remembers the last panics.
type panicRate struct {
	mu   sync.Mutex
	last [maxPanics]time.Time
	next int
}

func (p *panicRate) add(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[p.next] = now
	p.next = (p.next + 1) % maxPanics
}

func (p *panicRate) high(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := p.last[p.next]
	return !oldest.IsZero() && now.Sub(oldest) < panicWindow
}

// panicked notes a panic. Its value may quote the request, so only its type is
// logged; the stack has no values.
func (s *Server) panicked(v any) {
	s.panics.add(s.now())
	s.config.Metrics.Panicked()
	s.log.Error("a request panicked", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
}
