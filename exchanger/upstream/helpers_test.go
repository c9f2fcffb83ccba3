// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
	fake "github.com/exchequer-dev/exchequer/test/fakes/upstream"
)

// observed remembers how questions ended.
type observed struct {
	mu      sync.Mutex
	results []upstream.Result
}

func (o *observed) Asked(_ string, r upstream.Result, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.results = append(o.results, r)
}

func (o *observed) last() upstream.Result {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.results) == 0 {
		return ""
	}
	return o.results[len(o.results)-1]
}

func (o *observed) count(r upstream.Result) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, each := range o.results {
		if each == r {
			n++
		}
	}
	return n
}

// rig is a client and a server for it to ask.
type rig struct {
	*fake.Server
	client *upstream.Client
	seen   *observed
}

func newRig(t *testing.T, o fake.Options, more ...func(*upstream.Options)) *rig {
	t.Helper()
	s, err := fake.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	r := &rig{Server: s, seen: &observed{}}
	options := upstream.Options{Loopback: true, Observer: r.seen, Sign: func(_ context.Context, service, typ string, claims []byte) (string, error) {
		return service + "." + typ + "." + string(claims), nil
	}}
	for _, f := range more {
		f(&options)
	}
	r.client = upstream.New(options)
	return r
}

// at is the server under a path, for the fake's own authority.
func (r *rig) at(path string, auth *policy.UpstreamAuth) *upstream.Server {
	return &upstream.Server{Name: "TrustedIssuer/x", TokenService: "default", Upstream: policy.Upstream{
		URL: r.URL(path), CABundle: string(r.CA()), AllowedCIDRs: []string{"127.0.0.0/8"}, Auth: auth,
	}}
}

// verdict is how a question ended, in one word.
func verdict(err error) string {
	var no *upstream.Refused
	switch {
	case err == nil:
		return "answered"
	case errors.As(err, &no) && no.Code != "":
		return "refused: " + no.Code
	case errors.As(err, &no):
		return "refused"
	case errors.Is(err, upstream.ErrUnavailable):
		return "unavailable"
	}
	return "an error that is neither"
}

func always(r fake.Reply) func(*fake.Call) fake.Reply {
	return func(*fake.Call) fake.Reply { return r }
}

func known(r upstream.Result) bool { return slices.Contains(upstream.Results(), r) }
