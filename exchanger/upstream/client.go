// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/x509"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const (
	// MaxTimeout bounds one question, names and handshakes included. A caller waits
	// for a subject's and a target's question one after the other, which together
	// stay below what clients of token endpoints usually wait, 10 to 30 s.
	MaxTimeout = 5 * time.Second
	// MaxBytes bounds the body of a question and of an answer: tokens and claims of
	// 16 KiB, four times over.
	MaxBytes = 64 << 10
	// maxHeaderBytes bounds all headers of an answer.
	maxHeaderBytes = 32 << 10
	// maxDepth is that of every document that we read.
	maxDepth = 16
)

// Server is one server to be asked.
type Server struct {
	// Name says which object declares it, and its part in it: TrustedIssuer/corp, or
	// TrustedIssuer/corp/directory. It is a metric label, and the bulkhead's name.
	Name string
	// TokenService is whose signing key makes assertions, where that is asked for.
	TokenService string
	policy.Upstream
}

// Sign signs claims under a typ with the Active key of a token service.
type Sign func(ctx context.Context, tokenService, typ string, claims []byte) (string, error)

// Options are what a program chooses. All but Now are optional.
type Options struct {
	// Way is how servers are reached; RootCAs are who may sign the certificates of
	// those that declare no authority of their own.
	Way     issuer.Way
	RootCAs *x509.CertPool
	// Loopback lets servers be on loopback, over http too: `serve` alone.
	Loopback bool
	// Sign makes assertions with our own keys; nil: such servers cannot be asked.
	Sign     Sign
	Observer Observer
	Now      func() time.Time
}

// Client asks servers. It is safe for concurrent use.
type Client struct {
	options     Options
	credentials atomic.Pointer[map[string][]byte]

	mu    sync.Mutex
	hosts map[string]*host
}

// New returns a Client without credentials.
func New(o Options) *Client {
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Client{options: o, hosts: map[string]*host{}}
	c.credentials.Store(&map[string][]byte{})
	return c
}

// SetCredentials replaces the secrets by which servers know this installation, from
// the next question on. The map is the Client's from now on.
func (c *Client) SetCredentials(all map[string][]byte) {
	before := c.credentials.Swap(&all)
	c.mu.Lock()
	hosts := maps.Clone(c.hosts)
	c.mu.Unlock()
	for _, h := range hosts {
		if a := h.server.Auth; a != nil && a.Method == policy.UpstreamMutualTLS && string((*before)[a.Credential]) != string(all[a.Credential]) {
			h.http.CloseIdleConnections() // they were made with the certificate before
		}
	}
}

func (c *Client) credential(name string) []byte { return (*c.credentials.Load())[name] }

// Keep forgets every server but these, by name, and returns which it knew.
func (c *Client) Keep(names map[string]bool) (gone []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, h := range c.hosts {
		if !names[name] {
			h.http.CloseIdleConnections()
			delete(c.hosts, name)
			gone = append(gone, name)
		}
	}
	return gone
}

// host returns what there is to ask the server with: a new one when the server was
// declared differently, so that no connection outlives the trust that made it.
func (c *Client) host(s *Server) (*host, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.hosts[s.Name]; ok {
		if h.server.TokenService == s.TokenService && h.server.Equal(&s.Upstream) {
			return h, nil
		}
		h.http.CloseIdleConnections()
		delete(c.hosts, s.Name)
	}
	h, err := newHost(c, s)
	if err != nil {
		return nil, err
	}
	c.hosts[s.Name] = h
	return h, nil
}

// ask carries out one question under all bounds: the bulkhead, the circuit, the
// time; understand reads the answer. It is the only way to the network here.
func (c *Client) ask(ctx context.Context, s *Server, q *question, understand func(*answer) error) (err error) {
	start := c.options.Now()
	defer func() {
		if recover() != nil {
			err = failed(ResultPanic, "the question panicked; please report it as a bug")
		}
		if c.options.Observer != nil {
			c.options.Observer.Asked(s.Name, resultOf(err), max(0, c.options.Now().Sub(start)))
		}
	}()
	h, err := c.host(s)
	if err != nil {
		return err
	}
	release, err := h.admit(c.options.Now())
	if err != nil {
		return err
	}
	// What a panic leaves behind counts as a failure.
	result := ResultPanic
	defer func() { release(result, c.options.Now()) }()
	timeout := MaxTimeout
	if s.Timeout > 0 {
		timeout = min(timeout, s.Timeout)
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a, err := h.send(bounded, q)
	switch {
	case err == nil:
		err = understand(a)
	case ctx.Err() != nil:
		err = failed(ResultAborted, "nobody waits for the answer any more")
	}
	result = resultOf(err)
	return err
}
