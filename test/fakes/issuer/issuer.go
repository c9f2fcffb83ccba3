// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The endpoints of an Issuer, for Break, Fix and Requests.
const (
	Discovery = "discovery"
	JWKS      = "jwks"
)

// Options says what Start starts; the zero value is an ES256 issuer on a free
// port of 127.0.0.1 over http.
type Options struct {
	// Addr is where it listens, default 127.0.0.1:0.
	Addr string
	// Host is the host name in its URL, default that of Addr; the port is added.
	Host string
	// Path is the path of its URL, for example /realms/corp; default none.
	Path string
	// URL is its whole identifier, when it is reached under another one than
	// it listens on (a test that dials through pipes).
	URL string
	// Algorithm is ES256 (default), ES384, EdDSA, RS256 or PS256.
	Algorithm string
	// TLS, when set, makes it an https issuer.
	TLS *TLS
	// Now is the clock of iat and exp, default time.Now.
	Now func() time.Time
}

// Issuer is a running issuer. Its methods may be called from any goroutine.
type Issuer struct {
	opts Options
	url  string
	path string
	addr string
	ca   []byte
	srv  *http.Server
	done chan struct{}

	mu       sync.Mutex
	keys     []*Key // published, oldest first; the last one signs
	serial   int
	faults   map[string][]Fault
	requests map[string]int
	metadata map[string]any
	headers  http.Header // of the last request, for "was a credential sent?"
}

// New returns an issuer that listens nowhere; serve its Handler yourself.
func New(o Options) (*Issuer, error) {
	if o.Algorithm == "" {
		o.Algorithm = "ES256"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	i := &Issuer{opts: o, url: o.URL, path: o.Path, faults: map[string][]Fault{}, requests: map[string]int{}}
	if _, err := i.Rotate(); err != nil {
		return nil, err
	}
	return i, nil
}

// Start returns an issuer that serves on loopback until Close.
func Start(o Options) (*Issuer, error) {
	i, err := New(o)
	if err != nil {
		return nil, err
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Addr, err)
	}
	i.addr = l.Addr().String()
	host, port, _ := net.SplitHostPort(i.addr)
	if o.Host != "" {
		host = o.Host
	}
	scheme := "http"
	if o.TLS != nil {
		scheme = "https"
		config, ca, err := o.TLS.config(host)
		if err != nil {
			_ = l.Close()
			return nil, err
		}
		i.ca = ca
		l = tls.NewListener(l, config)
	}
	if i.url == "" {
		i.url = scheme + "://" + net.JoinHostPort(host, port) + o.Path
	}
	i.srv = &http.Server{Handler: i.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	i.done = make(chan struct{})
	go func() {
		defer close(i.done)
		_ = i.srv.Serve(l)
	}()
	return i, nil
}

// URL is the issuer identifier, the `iss` of its tokens.
func (i *Issuer) URL() string { return i.url }

// Addr is the host:port that it listens on.
func (i *Issuer) Addr() string { return i.addr }

// JWKSURL is where its keys are.
func (i *Issuer) JWKSURL() string { return strings.TrimSuffix(i.url, "/") + "/jwks" }

// CABundle is the PEM of the authority that signed its certificate; nil over
// http.
func (i *Issuer) CABundle() []byte { return i.ca }

// Close stops serving and drops open connections, hanging ones too.
func (i *Issuer) Close() {
	if i.srv != nil {
		_ = i.srv.Close()
		<-i.done
	}
}

// Handler serves the endpoints below the issuer's path.
func (i *Issuer) Handler() http.Handler {
	mux := http.NewServeMux()
	base := strings.TrimSuffix(i.path, "/")
	mux.Handle("GET "+base+"/.well-known/openid-configuration", i.endpoint(Discovery, i.serveDiscovery))
	mux.Handle("GET "+base+"/jwks", i.endpoint(JWKS, i.serveJWKS))
	return mux
}

// endpoint counts a request, then runs it through the faults of the moment.
func (i *Issuer) endpoint(name string, serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.requests[name]++
		i.headers = r.Header.Clone()
		faults := i.faults[name]
		i.mu.Unlock()
		var h http.Handler = serve
		for _, f := range faults {
			h = f(h)
		}
		h.ServeHTTP(w, r)
	})
}

// Break makes an endpoint faulty until the next Break or Fix; the last fault
// is the outermost.
func (i *Issuer) Break(endpoint string, faults ...Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.faults[endpoint] = faults
}

// Fix removes the faults of every endpoint and every change of the metadata.
func (i *Issuer) Fix() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.faults = map[string][]Fault{}
	i.metadata = nil
}

// Requests says how many requests an endpoint has had.
func (i *Issuer) Requests(endpoint string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests[endpoint]
}

// LastHeader returns the headers of the last request to any endpoint.
func (i *Issuer) LastHeader() http.Header {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.headers.Clone()
}

// SetMetadata overrides members of the discovery document, for example issuer
// or jwks_uri; a nil value removes one.
func (i *Issuer) SetMetadata(members map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.metadata = members
}

func (i *Issuer) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	doc := map[string]any{
		"issuer":                                i.url,
		"jwks_uri":                              i.JWKSURL(),
		"authorization_endpoint":                strings.TrimSuffix(i.url, "/") + "/authorize",
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{i.opts.Algorithm},
	}
	i.mu.Lock()
	for k, v := range i.metadata {
		if doc[k] = v; v == nil {
			delete(doc, k)
		}
	}
	i.mu.Unlock()
	writeJSON(w, "application/json", doc)
}

func (i *Issuer) serveJWKS(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, "application/jwk-set+json", json.RawMessage(i.KeySet()))
}

// KeySet is the JWKS document as it would be served now.
func (i *Issuer) KeySet() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	set := struct {
		Keys []map[string]string `json:"keys"`
	}{Keys: []map[string]string{}}
	for _, k := range i.keys {
		set.Keys = append(set.Keys, k.JWK())
	}
	b, err := json.Marshal(set)
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return b
}

func writeJSON(w http.ResponseWriter, contentType string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(b)
}
