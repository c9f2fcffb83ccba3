// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is a running `exchequer serve` in its world.
type server struct {
	*world
	*process
}

// in is the same server for a subtest.
func (s *server) in(t *testing.T) *server {
	w := *s.world
	w.t = t
	return &server{world: &w, process: s.process}
}

type process struct {
	cmd    *exec.Cmd
	addr   string
	audit  string
	client *http.Client
	out    lockedBuffer
	errs   lockedBuffer
	exited chan struct{}
	code   int
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts the program on the world's directory, with further flags, and
// returns when it listens.
func (w *world) serve(flags ...string) *server {
	w.t.Helper()
	return w.serveTo(nil, flags...)
}

// serveTo has a file for its standard output, or keeps that when there is none.
func (w *world) serveTo(out *os.File, flags ...string) *server {
	w.t.Helper()
	s := w.spawnTo(out, flags...)
	eventually(w.t, "exchequer serve listens", func() bool {
		select {
		case <-s.exited:
			w.t.Fatalf("exchequer serve ended with code %d:\n%s", s.code, s.errs.String())
		default:
		}
		for line := range strings.Lines(s.errs.String()) {
			if addr, ok := strings.CutPrefix(line, "listening on "); ok && strings.HasSuffix(addr, "\n") {
				s.addr = strings.TrimSpace(addr)
			}
		}
		return s.addr != ""
	})
	return s
}

// spawn starts the program and returns at once.
func (w *world) spawn(flags ...string) *server {
	w.t.Helper()
	return w.spawnTo(nil, flags...)
}

func (w *world) spawnTo(out *os.File, flags ...string) *server {
	w.t.Helper()
	s := &server{w, &process{audit: filepath.Join(w.t.TempDir(), "audit.jsonl"), exited: make(chan struct{})}}
	s.client = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	args := append([]string{"serve", "--manifests", w.dir, "--listen", "127.0.0.1:0", "--audit", s.audit}, flags...)
	s.cmd = exec.Command(program, args...)
	s.cmd.Env = append(os.Environ(), w.environment...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.errs
	if out != nil {
		s.cmd.Stdout = out
	}
	if err := s.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(s.exited)
		err := s.cmd.Wait()
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			s.code = ended.ExitCode()
		}
	}()
	w.t.Cleanup(func() {
		s.client.CloseIdleConnections()
		_ = s.cmd.Process.Kill()
		<-s.exited
		if w.t.Failed() {
			w.t.Logf("exchequer serve said:\n%s", s.errs.String())
		}
	})
	return s
}

// ended waits for the program's end and returns its exit code.
func (s *server) ended() int {
	s.t.Helper()
	select {
	case <-s.exited:
		return s.code
	case <-time.After(40 * time.Second):
		s.t.Fatalf("exchequer serve goes on; it said:\n%s", s.errs.String())
		return -1
	}
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// said waits until the program has printed a text.
func (s *server) said(text string) {
	s.t.Helper()
	eventually(s.t, "exchequer serve says "+text, func() bool { return strings.Contains(s.errs.String(), text) })
}

// applied makes a change and waits until it is in force. Where a client's
// credentials change, asking until it works would be taken for guessing.
func (s *server) applied(change func()) {
	s.t.Helper()
	before := s.revision()
	change()
	eventually(s.t, "the change is in force", func() bool { return s.revision() > before })
}

func (s *server) revision() int {
	s.t.Helper()
	for line := range strings.Lines(s.get("/metrics").body) {
		if value, ok := strings.CutPrefix(line, "exchequer_snapshot_revision "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	s.t.Fatal("the metrics have no revision")
	return 0
}

// reply is an HTTP answer.
type reply struct {
	t      *testing.T
	s      *server
	status int
	header http.Header
	body   string
	// members is the body, where it is a JSON object.
	members map[string]any
}

// do sends a request under a host name, empty for the address itself.
func (s *server) do(method, host, path, body string, header http.Header) (*reply, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Host = host
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	r := &reply{t: s.t, s: s, status: res.StatusCode, header: res.Header, body: string(b)}
	_ = json.Unmarshal(b, &r.members) // a body that is no object has no members
	return r, nil
}

// get fetches a document.
func (s *server) get(path string) *reply { return s.getAt("", path) }

func (s *server) getAt(host, path string) *reply {
	s.t.Helper()
	r, err := s.do(http.MethodGet, host, path, "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (r *reply) text(member string) string {
	s, _ := r.members[member].(string)
	return s
}

// allowed fails the test unless it is a token, which it returns.
func (r *reply) allowed() string {
	r.t.Helper()
	if r.status != http.StatusOK || r.text("access_token") == "" {
		r.t.Fatalf("got %d %s, want a token%s", r.status, r.body, r.why())
	}
	return r.text("access_token")
}

// refused fails the test unless it is this error, for this reason.
func (r *reply) refused(status int, code, reason string) *reply {
	r.t.Helper()
	if r.status != status || r.text("error") != code {
		r.t.Fatalf("got %d %s, want %d %s%s", r.status, r.body, status, code, r.why())
	}
	if got := r.record()["reason"]; got != reason {
		r.t.Fatalf("the reason is %v, want %s%s", got, reason, r.why())
	}
	return r
}

// why is what the audit record tells, for a test that fails.
func (r *reply) why() string {
	rec := r.record()
	if rec == nil {
		return ""
	}
	b, err := json.Marshal(rec)
	if err != nil {
		return ""
	}
	return "\naudit record: " + string(b)
}

// record is the audit record of this answer, nil when there is none.
func (r *reply) record() map[string]any {
	r.t.Helper()
	for _, rec := range r.s.records() {
		if rec["correlationID"] == r.header.Get("X-Correlation-Id") {
			return rec
		}
	}
	return nil
}

// records are all audit records so far.
func (s *server) records() []map[string]any {
	s.t.Helper()
	f, err := os.Open(s.audit)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var all []map[string]any
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var rec map[string]any
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			s.t.Fatalf("audit record %d is no JSON: %v\n%s", len(all)+1, err, lines.Text())
		}
		if _, other := rec["event"]; !other { // a checkpoint is nobody's request
			all = append(all, rec)
		}
	}
	return all
}

// invoke runs the program to its end.
func invoke(t *testing.T, args ...string) (said string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		return string(out), ended.ExitCode()
	case err != nil:
		t.Fatal(err)
	}
	return string(out), 0
}
