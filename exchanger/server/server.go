// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/telemetry"
)

// Exchanger is the use-case behind the token endpoint.
type Exchanger interface {
	// Exchange decides, records and answers one call. The call is valid until it
	// returns. The context ends when the client goes away.
	Exchange(ctx context.Context, call *oauth.Call) oauth.Answer
	// Refused records and counts a call that the edge refused before Exchange saw
	// it, or that panicked in Exchange. Body may be empty.
	Refused(ctx context.Context, call *oauth.Call, ref *policy.Refusal)
}

// Check is one condition of readiness. Its name is shown to whoever asks, so it
// is a word of the program's own and never a tenant's.
type Check struct {
	Name  string
	Ready func() bool
}

// Config is what a server is made of.
type Config struct {
	// Snapshot returns the current snapshot, nil before there is one.
	Snapshot  func() *policy.Snapshot
	Exchanger Exchanger
	// JWKS returns the published key set of a token service as JSON; false when
	// there is none (yet). The bytes are not changed.
	JWKS func(tokenService string) ([]byte, bool)
	// SAML returns the SAML metadata of a token service, for its issuer and its token
	// endpoint; false when it has no key that makes XML signatures. Nil: none has.
	SAML func(tokenService, issuer, endpoint string) ([]byte, bool)
	// Checks must all hold for the server to be ready; that there is a snapshot
	// and that it is not shutting down are checked besides.
	Checks  []Check
	Metrics *telemetry.Metrics
	// Tracing may be nil: off.
	Tracing *telemetry.Tracing
	Log     *slog.Logger
	// TLS, where it names files, makes the main and the public listener speak TLS.
	TLS TLSFiles
	// ClientCertificates says which proxies hand on the certificates of clients.
	ClientCertificates ClientCertificates
	// MaxInFlight bounds the requests that are being decided; 0 is 512.
	MaxInFlight int
	// DrainDelay is how long the server, no longer ready, still answers before it
	// closes its listeners: the time that load balancers need to notice.
	DrainDelay time.Duration
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Server answers the token endpoint, the published documents and the probes.
type Server struct {
	config  Config
	now     func() time.Time
	log     *slog.Logger
	metrics http.Handler

	routes   atomic.Pointer[routes]
	inFlight chan struct{}
	buffers  sync.Pool
	draining atomic.Bool
	panics   panicRate
}

// defaultMaxInFlight bounds memory: a request in flight holds its body and the
// answer (64 KiB + 16 KiB), verified tokens (a few 16 KiB) and its goroutines,
// about 200 KiB; 512 of them are 100 MiB. At 200 µs each two cores clear them in
// 50 ms, so whoever is shed can come back soon.
const defaultMaxInFlight = 512

// New makes a server; nothing listens until Run.
func New(c Config) *Server {
	s := &Server{config: c, now: c.Now, log: c.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.config.MaxInFlight <= 0 {
		s.config.MaxInFlight = defaultMaxInFlight
	}
	if s.config.Metrics == nil {
		s.config.Metrics = telemetry.NewMetrics()
	}
	s.inFlight = make(chan struct{}, s.config.MaxInFlight)
	s.buffers.New = func() any { return &exchangeBuffer{body: make([]byte, 0, 8<<10), out: make([]byte, 0, 4<<10)} }
	s.metrics = promhttp.HandlerFor(s.config.Metrics.Gatherer(), promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	})
	return s
}

// Handler answers everything: the endpoints of all token services and, when
// withOperations is set, the probes and metrics at the root. The latter come
// first, so that no TokenService can stand in for them.
func (s *Server) Handler(withOperations bool) http.Handler {
	return s.recovering(func(w http.ResponseWriter, r *http.Request) {
		if withOperations && s.operate(w, r) {
			return
		}
		s.route(w, r, false)
	})
}

// Public answers key sets and metadata only.
func (s *Server) Public() http.Handler {
	return s.recovering(func(w http.ResponseWriter, r *http.Request) { s.route(w, r, true) })
}

// Operations answers the probes and metrics only.
func (s *Server) Operations() http.Handler {
	return s.recovering(func(w http.ResponseWriter, r *http.Request) {
		if !s.operate(w, r) {
			s.notFound(w)
		}
	})
}

// recovering turns a panic outside the exchange itself into a 500.
func (s *Server) recovering(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler { //nolint:errorlint,err113 // net/http compares it so, too
				panic(v)
			}
			s.panicked(v)
			s.fail(w, oauth.ErrorFor(policy.Internal), "")
		}()
		next(w, r)
	})
}

// route serves the endpoint that host and path name.
func (s *Server) route(w http.ResponseWriter, r *http.Request, publicOnly bool) {
	snapshot := s.config.Snapshot()
	if snapshot == nil {
		s.fail(w, oauth.ErrorFor(policy.SnapshotStale), "")
		return
	}
	e, ok := s.routesOf(snapshot).find(r.Host, r.URL.EscapedPath())
	if !ok || publicOnly && e.kind.private() {
		s.notFound(w)
		return
	}
	switch e.kind {
	case kindToken, kindIntrospection, kindRevocation, kindLinks:
		s.token(w, r, snapshot, e)
	case kindKeys:
		s.keys(w, r, e)
	case kindSAML:
		s.saml(w, r, e)
	case kindMetadata:
		s.document(w, r, contentJSON, e.cacheControl, e.document)
	}
}

// routesOf returns the routes of the snapshot, made once for each.
func (s *Server) routesOf(snapshot *policy.Snapshot) *routes {
	if r := s.routes.Load(); r != nil && r.snapshot == snapshot {
		return r
	}
	r := newRoutes(snapshot)
	s.routes.Store(r)
	return r
}
