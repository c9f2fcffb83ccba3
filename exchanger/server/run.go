// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// The bounds on connections.
const (
	// A header of 16 KiB fits one packet burst; who needs longer than 5 s for it
	// holds a connection on purpose (slowloris).
	readHeaderTimeout = 5 * time.Second
	// Header and body: 64 KiB in 10 s is 52 kbit/s.
	readTimeout = 10 * time.Second
	// From the end of the header to the end of the answer: the body, the longest
	// wait for an upstream or the audit sink, and the answer.
	writeTimeout = 30 * time.Second
	// Longer than the 60 s that common proxies keep idle connections, so that they
	// close first and never write into a connection that we are closing.
	idleTimeout = 90 * time.Second
	// Basic credentials (4 KiB), a DPoP proof (4 KiB), trace context, and what
	// proxies add. net/http allows 4 KiB more.
	maxHeaderBytes = 16 << 10
	// One HTTP/2 connection may have as many requests open as 100 clients of
	// HTTP/1.1 would; net/http keeps no more handlers running for it, even when a
	// peer resets streams as fast as it opens them (CVE-2023-44487).
	maxStreams = 100
	// A Pod has 30 s of grace by default: a drain delay of up to 5 s, then this.
	shutdownTimeout = 25 * time.Second
)

// Listeners are what a server listens on; only Main is required.
type Listeners struct {
	// Main answers everything but, where Operations is given, the probes.
	Main net.Listener
	// Operations answers the probes and metrics, always in plain HTTP.
	Operations net.Listener
	// Public answers key sets and metadata.
	Public net.Listener
}

// Run serves until ctx ends, then drains: not ready at once, still answering for
// DrainDelay, then no new connections and at most 25 s for the requests in
// flight. It closes the listeners. nil means that nothing was cut off.
func (s *Server) Run(ctx context.Context, l Listeners) error {
	secure, watch, err := s.serving()
	if err != nil {
		return errors.Join(err, closeAll(l))
	}
	main := s.httpServer(s.Handler(l.Operations == nil))
	servers := []*http.Server{main}
	failed := make(chan error, 3)
	serve := func(srv *http.Server, ln net.Listener, config *tls.Config) {
		if config != nil {
			srv.TLSConfig = config.Clone()
			go func() { failed <- srv.ServeTLS(ln, "", "") }()
			return
		}
		go func() { failed <- srv.Serve(ln) }()
	}
	serve(main, l.Main, asking(secure))
	if l.Public != nil {
		public := s.httpServer(s.Public())
		servers = append(servers, public)
		serve(public, l.Public, secure)
	}
	var operations *http.Server
	if l.Operations != nil {
		operations = s.httpServer(s.Operations())
		serve(operations, l.Operations, nil)
	}
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan struct{})
	go func() { defer close(watched); watch(watching) }()

	select {
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		s.drain(ctx)
	}
	err = errors.Join(err, shutdown(ctx, servers...))
	if operations != nil {
		// Last, so that probes see the drain to its end.
		err = errors.Join(err, shutdown(ctx, operations))
	}
	stopWatching()
	<-watched
	return err
}

func closeAll(l Listeners) error {
	var errs []error
	for _, ln := range []net.Listener{l.Main, l.Operations, l.Public} {
		if ln != nil {
			errs = append(errs, ln.Close())
		}
	}
	return errors.Join(errs...)
}

// drain turns readiness off and waits until that has been seen. Answers close
// their connections meanwhile, so that clients come back elsewhere.
func (s *Server) drain(ctx context.Context) {
	s.draining.Store(true)
	s.log.InfoContext(ctx, "draining", "delay", s.config.DrainDelay)
	timer := time.NewTimer(s.config.DrainDelay)
	defer timer.Stop()
	<-timer.C
}

// shutdown lets the requests in flight finish, and cuts those off that do not.
func shutdown(ctx context.Context, servers ...*http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	done := make(chan error, len(servers))
	for _, srv := range servers {
		go func() {
			err := srv.Shutdown(ctx)
			if err != nil {
				err = errors.Join(fmt.Errorf("requests were still running after %s: %w", shutdownTimeout, err), srv.Close())
			}
			done <- err
		}()
	}
	var err error
	for range servers {
		err = errors.Join(err, <-done)
	}
	return err
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true) // Over TLS only: nobody upgrades a plain connection here.
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.draining.Load() {
				w.Header()["Connection"] = []string{"close"}
			}
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			// A form arrives in one window; 100 of them are what a connection may
			// have us hold unread.
			MaxReceiveBufferPerStream:     maxBody,
			MaxReceiveBufferPerConnection: maxBody * maxStreams,
			SendPingTimeout:               30 * time.Second,
			PingTimeout:                   15 * time.Second,
			WriteByteTimeout:              writeTimeout,
		},
		// net/http logs what peers get wrong, with what they sent: not for a log
		// that says little.
		ErrorLog: log.New(io.Discard, "", 0),
	}
}
