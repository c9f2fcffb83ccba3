// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	client "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// Options are how a server is started.
type Options struct {
	// TLS makes the server speak TLS alone, with the certificates of Authority.
	TLS bool
	// ReplicaOf is the server that it follows.
	ReplicaOf *Server
	// Settings are further lines of its configuration, each "name value".
	Settings []string
}

// Server is a running redis-server, for one test.
type Server struct {
	// Port is where it listens, on 127.0.0.1.
	Port int
	// Authority made its certificates; nil without TLS.
	Authority *Authority

	tb      testing.TB
	dir     string
	mu      sync.Mutex
	process *exec.Cmd
	exited  chan struct{}
	admin   *client.Client
}

// binary finds the server, or says what to do.
func binary(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	tb.Fatal("redis-server is missing: install it with hack/redis.sh (Debian, Ubuntu), or Redis 6.2 or Valkey 7.2 and later so that redis-server or valkey-server is on the PATH")
	return ""
}

// Start runs a server until the test ends.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	logging.Disable() // it would tell of every attempt to reach a server that starts
	s := &Server{tb: tb, dir: tb.TempDir(), Port: freePort(tb)}
	lines := []string{
		"bind 127.0.0.1", "dir " + s.dir, "daemonize no", "save \"\"", "appendonly no", "maxmemory-policy noeviction",
		"repl-diskless-sync-delay 0", "repl-ping-replica-period 1", "enable-debug-command local",
	}
	port := strconv.Itoa(s.Port)
	if o.TLS {
		s.Authority = NewAuthority(tb)
		certificate, key := s.Authority.Server(tb, "localhost")
		lines = append(lines, "port 0", "tls-port "+port, "tls-auth-clients no",
			"tls-cert-file "+certificate, "tls-key-file "+key, "tls-ca-cert-file "+s.Authority.File)
	} else {
		lines = append(lines, "port "+port)
	}
	if o.ReplicaOf != nil {
		lines = append(lines, fmt.Sprintf("replicaof 127.0.0.1 %d", o.ReplicaOf.Port))
	}
	lines = append(lines, o.Settings...)
	if err := os.WriteFile(s.config(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.stop)
	s.Restart()
	if o.ReplicaOf != nil {
		s.Await("the replica is in step", func() bool {
			o.ReplicaOf.Do("SET", "in-step", "?")
			confirmed, _ := o.ReplicaOf.Do("WAIT", 1, 100).(int64)
			return confirmed > 0 && strings.Contains(s.Info(), "master_link_status:up")
		})
	}
	return s
}

func (s *Server) config() string { return filepath.Join(s.dir, "redis.conf") }

// freePort is a port that nobody listens on; whoever else takes it meanwhile makes
// the start fail, loudly.
func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		tb.Fatalf("no TCP address: %v", l.Addr())
	}
	return at.Port
}

// Restart starts the server, which is not running, and waits until it answers.
func (s *Server) Restart() {
	s.tb.Helper()
	s.mu.Lock()
	var output bytes.Buffer
	s.process = exec.Command(binary(s.tb), s.config())
	s.process.Stdout, s.process.Stderr = &output, &output
	if err := s.process.Start(); err != nil {
		s.mu.Unlock()
		s.tb.Fatal(err)
	}
	exited := make(chan struct{})
	s.exited = exited
	process := s.process
	go func() {
		_ = process.Wait()
		close(exited)
	}()
	if s.admin == nil {
		s.admin = s.Client("", "")
	}
	s.mu.Unlock()
	s.Await("the server answers", func() bool {
		select {
		case <-exited:
			s.tb.Fatalf("redis-server ended at once:\n%s", output.String())
		default:
		}
		err := s.admin.Ping(s.tb.Context()).Err()
		return err == nil || strings.Contains(err.Error(), "NOAUTH")
	})
}

// Client is a client of the server's, for tests to do what operators do.
func (s *Server) Client(user, password string) *client.Client {
	o := &client.Options{
		Addr: fmt.Sprintf("127.0.0.1:%d", s.Port), Username: user, Password: password, Protocol: 2, MaxRetries: -1, DialerRetries: 1,
		DisableIdentity: true, ReadTimeout: 20 * time.Second,
	}
	if s.Authority != nil {
		o.TLSConfig = s.Authority.Config()
	}
	c := client.NewClient(o)
	s.tb.Cleanup(func() { _ = c.Close() })
	return c
}

// URL is the address for a store.
func (s *Server) URL() string {
	if s.Authority != nil {
		return fmt.Sprintf("rediss://localhost:%d", s.Port)
	}
	return fmt.Sprintf("redis://127.0.0.1:%d", s.Port)
}

// Do sends a command, which must succeed, and returns the answer.
func (s *Server) Do(args ...any) any {
	s.tb.Helper()
	answer, err := s.admin.Do(s.tb.Context(), args...).Result()
	if err != nil {
		s.tb.Fatalf("%v: %v", args, err)
	}
	return answer
}

// Info is what INFO says.
func (s *Server) Info() string {
	s.tb.Helper()
	return s.admin.Info(s.tb.Context()).Val()
}

// Now is the server's clock.
func (s *Server) Now() time.Time {
	s.tb.Helper()
	now, err := s.admin.Time(s.tb.Context()).Result()
	if err != nil {
		s.tb.Fatal(err)
	}
	return now
}

// Advance waits until the server's clock has moved so far.
func (s *Server) Advance(d time.Duration) {
	s.tb.Helper()
	until := s.Now().Add(d)
	s.Await("time passes", func() bool { return !s.Now().Before(until) })
}

// Await asks every millisecond until the answer is yes.
func (s *Server) Await(what string, yes func() bool) {
	s.tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for !yes() {
		select {
		case <-tick.C:
		case <-end:
			s.tb.Fatalf("not within 30 s: %s", what)
		}
	}
}

// Pause stops the server where it is: it neither answers nor refuses.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.process.Process.Signal(sig); err != nil {
		s.tb.Errorf("%v: %v", sig, err)
	}
}

// Kill ends the server as a power cut does.
func (s *Server) Kill() {
	s.signal(syscall.SIGKILL)
	<-s.exited
}

func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Signal(syscall.SIGCONT)
	_ = s.process.Process.Kill()
	<-s.exited
}

// Keys are the names of everything that is kept.
func (s *Server) Keys() []string {
	s.tb.Helper()
	keys, err := s.admin.Keys(s.tb.Context(), "*").Result()
	if err != nil {
		s.tb.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}
