// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

const (
	// localInterval is the longest time after which a key that the API server took
	// away is still carried. Two small documents a minute are no load for it.
	localInterval = time.Minute
	// localTimeout bounds one look: both documents.
	localTimeout = 10 * time.Second
	// maxLocalIssuer is the bound of an issuer's URL everywhere.
	maxLocalIssuer = 1024
	// localJWKS is where an API server has its keys, whatever jwks_uri says: that
	// may be an address outside of the cluster, for others to ask.
	localJWKS = "/openid/v1/jwks"
)

// LocalCluster is who signs the service-account tokens of the cluster that a
// process runs in.
type LocalCluster struct {
	// Issuer is the exact `iss` of its tokens.
	Issuer string
	// JWKS are its public keys in canonical form.
	JWKS []byte
}

func (l *LocalCluster) equal(o *LocalCluster) bool {
	return o != nil && l.Issuer == o.Issuer && bytes.Equal(l.JWKS, o.JWKS)
}

// LocalOptions say how to ask the API server.
type LocalOptions struct {
	// Server is the API server's base URL. With client-go it is what
	// rest.DefaultServerUrlFor gives.
	Server *url.URL
	// Transport carries the process's own credentials and trusts the API server's
	// certificate; with client-go it is rest.TransportFor's.
	Transport http.RoundTripper
	// Start is what was published last, nil for nothing. It counts until the API
	// server has answered.
	Start *LocalCluster
	// OnChange is called after another issuer or another key set was read. It must
	// not block.
	OnChange func()
	// Now, Jitter and Logger are as in Options.
	Now    func() time.Time
	Jitter func() float64
	Logger *slog.Logger
}

// Local keeps what the API server says of its own service-account tokens. The last
// good answer never ends: without the API server nobody learns anything else either.
type Local struct {
	options LocalOptions
	pace    Options
	client  *client
	current atomic.Pointer[LocalCluster]
}

// NewLocal returns a Local that knows what Start says. Nothing is asked before Run.
func NewLocal(o LocalOptions) (*Local, error) {
	if o.Server == nil || o.Server.Host == "" || o.Transport == nil {
		return nil, errors.New("local cluster: expected the API server's URL and a transport")
	}
	l := &Local{options: o, pace: Options{Now: o.Now, Jitter: o.Jitter, Logger: o.Logger, RefreshInterval: localInterval}.orDefaults()}
	l.client = &client{
		http: &http.Client{
			Transport: o.Transport,
			// The credential of this process must not go anywhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now: l.pace.Now,
	}
	l.current.Store(o.Start)
	return l, nil
}

// Current is what is known; false when nothing is yet.
func (l *Local) Current() (LocalCluster, bool) {
	if c := l.current.Load(); c != nil {
		return *c, true
	}
	return LocalCluster{}, false
}

// Run asks until ctx ends, and returns nil then.
func (l *Local) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		wait := l.pace.untilNext(0)
		switch ferr := l.look(ctx); {
		case ferr == nil:
			failures = 0
		case ctx.Err() == nil: // else the process ends: not the API server's failure
			failures++
			wait = min(l.pace.untilRetry(failures, ferr.retryAfter), localInterval)
			l.pace.Logger.Warn("the local cluster's issuer was not read; what was read before counts", "error", ferr)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// look asks once.
func (l *Local) look(ctx context.Context) *fetchError {
	ctx, cancel := context.WithTimeout(ctx, localTimeout)
	defer cancel()
	body, _, ferr := l.client.get(ctx, "discovery", l.options.Server.JoinPath(wellKnown), maxDiscoveryBytes)
	if ferr != nil {
		return ferr
	}
	issuer, err := readLocalIssuer(body)
	if err != nil {
		return failed(ResultDiscovery, err)
	}
	body, _, ferr = l.client.get(ctx, "jwks", l.options.Server.JoinPath(localJWKS), maxJWKSBytes)
	if ferr != nil {
		return ferr
	}
	keys, err := parseKeys(body, "the API server", false)
	if err != nil {
		return failed(ResultKeys, err)
	}
	set, err := canonical(keys.set)
	if err != nil {
		return failed(ResultKeys, err)
	}
	next := &LocalCluster{Issuer: issuer, JWKS: set}
	if next.equal(l.current.Swap(next)) {
		return nil
	}
	l.pace.Logger.Info("the local cluster's issuer was read", "keys", keys.set.Len())
	if l.options.OnChange != nil {
		l.options.OnChange()
	}
	return nil
}

func readLocalIssuer(body []byte) (string, error) {
	doc, err := jose.DecodeStrict(body, discoveryDepth)
	if err != nil {
		return "", errors.New("discovery of the local cluster: expected one JSON object without duplicate members")
	}
	issuer, _ := doc["issuer"].(string)
	if issuer == "" || len(issuer) > maxLocalIssuer || strings.ContainsFunc(issuer, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("discovery of the local cluster: expected `issuer` to be 1 to %d printable characters without spaces", maxLocalIssuer)
	}
	return issuer, nil
}
