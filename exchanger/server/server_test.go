// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/server"
	"github.com/exchequer-dev/exchequer/exchanger/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a use-case that remembers what it was asked and answers as told.
type fake struct {
	answer func(ctx context.Context, call *oauth.Call) oauth.Answer

	mu      sync.Mutex
	calls   []oauth.Call
	bodies  []string
	refused []policy.Refusal
}

func (f *fake) Exchange(ctx context.Context, call *oauth.Call) oauth.Answer {
	f.mu.Lock()
	f.calls, f.bodies = append(f.calls, *call), append(f.bodies, string(call.Body))
	f.mu.Unlock()
	if f.answer != nil {
		return f.answer(ctx, call)
	}
	return allowed()
}

func (f *fake) Refused(_ context.Context, _ *oauth.Call, ref *policy.Refusal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = append(f.refused, *ref)
}

func (f *fake) seen() (calls []oauth.Call, refused []policy.Refusal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls, f.refused
}

func allowed() oauth.Answer {
	return oauth.Answer{Response: &oauth.Response{
		AccessToken: "a.b.c", IssuedTokenType: oauth.URNAccessToken, TokenType: "Bearer", ExpiresIn: 300, Scope: "images",
	}}
}

func service(name, issuer string, hosts ...string) policy.Service {
	return policy.Service{
		Name: name, Issuer: issuer, Hosts: hosts, Algorithm: "ES256",
		Rotation:        policy.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour},
		DefaultLifetime: 5 * time.Minute, MaxLifetime: time.Hour, DelegationDepth: 4, TokenBytes: 8192,
		AssertionAudiences: []string{issuer},
	}
}

func compile(t *testing.T, services ...policy.Service) *policy.Snapshot {
	t.Helper()
	s, err := policy.Compile(&policy.Spec{Format: policy.Format, Services: services}, 7, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// running is a server on loopback with one TokenService, or those given.
type running struct {
	*server.Server
	fake    *fake
	metrics *telemetry.Metrics
	addr    string
	stop    func() error
}

func start(t *testing.T, f *fake, change func(*server.Config), services ...policy.Service) *running {
	t.Helper()
	if len(services) == 0 {
		services = []policy.Service{service("default", "https://sts.example.com")}
	}
	snapshot := compile(t, services...)
	r := &running{fake: f, metrics: telemetry.NewMetrics()}
	config := server.Config{
		Snapshot: func() *policy.Snapshot { return snapshot }, Exchanger: f, Metrics: r.metrics,
		JWKS: func(name string) ([]byte, bool) { return []byte(`{"keys":[],"of":"` + name + `"}`), name != "keyless" },
		SAML: func(name, issuer, endpoint string) ([]byte, bool) {
			return []byte(issuer + " " + endpoint), name != "keyless"
		},
	}
	if change != nil {
		change(&config)
	}
	r.Server = server.New(config)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, server.Listeners{Main: ln}) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("stop the server: %v", err)
		}
	})
	return r
}

// client keeps no connections, so that a test leaks none.
func client() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) member(t *testing.T, name string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(r.body), &m); err != nil {
		t.Fatalf("body %q: %v", r.body, err)
	}
	s, _ := m[name].(string)
	return s
}

func (r *running) do(t *testing.T, method, path, body string, change func(*http.Request)) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(req)
	}
	res, err := client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

func form() string {
	return url.Values{
		"grant_type": {oauth.GrantTokenExchange}, "subject_token": {"a.b.c"}, "subject_token_type": {oauth.URNJWT},
	}.Encode()
}

func TestATokenIsAnswered(t *testing.T) {
	t.Parallel()
	f := &fake{}
	r := start(t, f, nil)
	got := r.do(t, http.MethodPost, "/token", form(), func(req *http.Request) { req.SetBasicAuth("shop/frontend", "s") })
	if got.status != http.StatusOK || got.member(t, "access_token") != "a.b.c" {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if cc := got.header.Get("Cache-Control"); cc != "no-store" {
		t.Errorf("Cache-Control = %q", cc)
	}
	if ct := got.header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type = %q", ct)
	}
	calls, refused := f.seen()
	if len(calls) != 1 || len(refused) != 0 {
		t.Fatalf("calls %d, refused %d", len(calls), len(refused))
	}
	c := calls[0]
	if f.bodies[0] != form() || c.Service.Name() != "default" || c.Peer.String() != "127.0.0.1" || !strings.HasPrefix(c.Authorization, "Basic ") || len(c.DPoP) > 0 {
		t.Errorf("call = %+v", c)
	}
	if id := got.header.Get("X-Correlation-Id"); id == "" || id != c.CorrelationID {
		t.Errorf("correlation ID %q, the call has %q", id, c.CorrelationID)
	}
}
