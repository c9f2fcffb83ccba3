// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Options says what Start starts; the zero value serves http on a free port of
// 127.0.0.1.
type Options struct {
	// Addr is where it listens, default 127.0.0.1:0.
	Addr string
	// TLS serves https, with a certificate of a fresh authority (CA). Requests may
	// show a client certificate of the same authority (ClientCertificate).
	TLS bool
	// WantCertificate refuses handshakes without such a certificate.
	WantCertificate bool
}

// Call is one request.
type Call struct {
	Method, Path string
	Header       http.Header
	Body         []byte
	// Form is the body, where it is a form.
	Form url.Values
	// Certificate is the client's, nil without.
	Certificate *x509.Certificate
	// Context ends when the client goes away.
	Context context.Context //nolint:containedctx // a handler may wait for it
}

// JSON decodes the body.
func (c *Call) JSON() map[string]any {
	var out map[string]any
	_ = json.Unmarshal(c.Body, &out)
	return out
}

// Reply is an answer. The zero value is 200 with an empty body.
type Reply struct {
	Status int
	Header map[string]string
	Body   []byte
	// Hang never answers.
	Hang bool
}

// JSON is a 200 with a JSON body.
func JSON(v any) Reply { return Status(http.StatusOK, v) }

// Status is a JSON body with a status.
func Status(status int, v any) Reply {
	b, err := json.Marshal(v)
	if err != nil {
		return Reply{Status: http.StatusInternalServerError}
	}
	return Reply{Status: status, Header: map[string]string{"Content-Type": "application/json"}, Body: b}
}

// Raw is a 200 with this body, which is said to be JSON.
func Raw(body string) Reply {
	return Reply{Header: map[string]string{"Content-Type": "application/json"}, Body: []byte(body)}
}

// Server is a running server. Its methods may be called from any goroutine.
type Server struct {
	url       string
	authority *authority
	srv       *http.Server
	done      chan struct{}

	mu       sync.Mutex
	handlers map[string]func(*Call) Reply
	calls    []Call
}

// Start returns a server that serves on loopback until Close.
func Start(o Options) (*Server, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Addr, err)
	}
	s := &Server{url: "http://" + l.Addr().String(), done: make(chan struct{}), handlers: map[string]func(*Call) Reply{}}
	if o.TLS {
		host, _, _ := net.SplitHostPort(l.Addr().String())
		if s.authority, err = newAuthority(); err != nil {
			_ = l.Close()
			return nil, err
		}
		config, err := s.authority.serving(host, o.WantCertificate)
		if err != nil {
			_ = l.Close()
			return nil, err
		}
		l, s.url = tls.NewListener(l, config), "https://"+l.Addr().String()
	}
	s.srv = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(s.done)
		_ = s.srv.Serve(l)
	}()
	return s, nil
}

// Close ends the server and every request.
func (s *Server) Close() error {
	err := s.srv.Close()
	<-s.done
	return err
}

// URL is where a path is.
func (s *Server) URL(path string) string { return s.url + path }

// CA is the PEM of the authority of its certificate, nil over http.
func (s *Server) CA() []byte {
	if s.authority == nil {
		return nil
	}
	return s.authority.pem
}

// ClientCertificate makes a certificate that the server takes, and its key, in PEM.
func (s *Server) ClientCertificate(name string) (certificate, key []byte, err error) {
	return s.authority.client(name)
}

// Handle says how a path is answered from now on; 404 before.
func (s *Server) Handle(path string, f func(*Call) Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[path] = f
}

// Calls are the requests to a path so far; every request for an empty path.
func (s *Server) Calls(path string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Call
	for _, c := range s.calls {
		if path == "" || c.Path == path {
			out = append(out, c)
		}
	}
	return out
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c := Call{Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Body: body, Context: r.Context()}
	if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		c.Form, _ = url.ParseQuery(string(body))
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		c.Certificate = r.TLS.PeerCertificates[0]
	}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	handler := s.handlers[r.URL.Path]
	s.mu.Unlock()
	if handler == nil {
		http.NotFound(w, r)
		return
	}
	reply := handler(&c)
	if reply.Hang {
		<-r.Context().Done()
		return
	}
	for name, value := range reply.Header {
		w.Header().Set(name, value)
	}
	if reply.Status != 0 {
		w.WriteHeader(reply.Status)
	}
	_, _ = w.Write(reply.Body)
}
