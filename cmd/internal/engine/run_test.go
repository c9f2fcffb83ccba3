// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/server"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

const secret = "correct-horse-battery-staple-and-more"

// records is an audit sink in memory.
type records struct {
	mu  sync.Mutex
	all []audit.Record
}

func (r *records) Write(rec *audit.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, *rec)
	return nil
}

// running is an engine that serves, and a stop that waits for its end.
type running struct {
	*Engine
	t    *testing.T
	url  string
	ring *keys.Ring
	log  *records
	stop func() error
}

func run(t *testing.T, o Options) *running {
	t.Helper()
	log := &records{}
	if o.Ring == nil {
		o.Ring = keys.InMemory()
	}
	o.Audit, o.Log, o.Loopback = log, slog.New(slog.DiscardHandler), true
	l := listener(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	e := New(o)
	go func() { done <- e.Run(ctx, server.Listeners{Main: l}) }()
	var once sync.Once
	var ended error
	r := &running{Engine: e, t: t, url: "http://" + l.Addr().String(), ring: o.Ring, log: log, stop: func() error {
		once.Do(func() {
			cancel()
			ended = <-done
		})
		return ended
	}}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	return r
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// get asks the engine; closing the connection keeps none open for the leak test.
func (r *running) do(method, path string, form url.Values) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Close = true
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// spec is a token service at the engine's own address with one issuer, one client
// and one target.
func (r *running) spec(corp *fake.Issuer) *policy.Spec {
	digest := sha256.Sum256([]byte(secret))
	classes := []policy.Class{policy.ClassAccessToken, policy.ClassJWT}
	main := service("main")
	main.Issuer, main.DefaultLifetime, main.TokenBytes, main.AssertionAudiences = r.url, 5*time.Minute, 8192, []string{r.url}
	return &policy.Spec{
		Format: policy.Format, Services: []policy.Service{main},
		Issuers: []policy.Issuer{{
			Name: "corp", TokenService: "main", Kind: policy.IssuerJWT, URL: corp.URL(), ForSubject: true, Algorithms: []string{"ES256"},
			Classes: classes, Keys: policy.Keys{JWKSURL: corp.JWKSURL(), AllowedCIDRs: []string{"127.0.0.0/8", "not a prefix"}}, Prefix: "corp:",
			MaxTokenAge: time.Hour, ClockSkew: 30 * time.Second, Mappings: policy.Mappings{Subject: policy.Value{Claim: "sub"}},
		}},
		Clients: []policy.Client{
			{ID: "media/images", Namespace: "media", Name: "images", TokenService: "main"},
			{
				ID: "shop/app", Namespace: "shop", Name: "app", TokenService: "main", TokenExchange: true,
				SecretDigests: []string{hex.EncodeToString(digest[:])},
			},
		},
		Policies: []policy.Policy{{
			Namespace: "media", Name: "images", TokenService: "main", Clients: []string{"shop/app"}, SubjectIssuers: []string{"corp"},
			SubjectClasses: classes, SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient}, Targets: []string{"media/images"},
			TokenTypes: []policy.TokenType{policy.TypeAccessToken},
		}},
	}
}

func (r *running) apply(spec *policy.Spec, revision uint64) error {
	r.t.Helper()
	snapshot, err := policy.Compile(spec, revision, expr.New())
	if err != nil {
		r.t.Fatal(err)
	}
	err = r.Apply(spec, snapshot, time.Millisecond)
	r.Settle(r.t.Context())
	return err
}

func (r *running) exchange(corp *fake.Issuer) (int, string) {
	r.t.Helper()
	token, err := corp.Mint(fake.Claims{"sub": "alice", "aud": "shop/app"})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(http.MethodPost, "/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {"shop/app"}, "client_secret": {secret},
		"subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "audience": {"media/images"},
	})
}

func newIssuer(t *testing.T) *fake.Issuer {
	t.Helper()
	i, err := fake.Start(fake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

func TestAnEngineServesFromTheFirstApplyOn(t *testing.T) {
	t.Parallel()
	corp := newIssuer(t)
	r := run(t, Options{})
	t.Run("before it there is no answer but the probes'", func(t *testing.T) {
		if status, body := r.do(http.MethodGet, "/readyz", nil); status != http.StatusServiceUnavailable || !strings.Contains(body, "snapshot") {
			t.Errorf("readiness %d %s", status, body)
		}
		if status, _ := r.do(http.MethodGet, "/livez", nil); status != http.StatusOK {
			t.Errorf("liveness %d", status)
		}
		if status, body := r.exchange(corp); status != http.StatusServiceUnavailable || strings.Contains(body, "access_token\":") {
			t.Errorf("an exchange is answered with %d %s", status, body)
		}
	})
	if err := r.apply(r.spec(corp), 1); err != nil {
		t.Fatal(err)
	}
	t.Run("then it is ready, has keys, and exchanges", func(t *testing.T) {
		if status, body := r.do(http.MethodGet, "/readyz", nil); status != http.StatusOK {
			t.Errorf("readiness %d %s", status, body)
		}
		signing, ok := r.ring.Active("main")
		if !ok {
			t.Fatal("there is no signing key")
		}
		if status, body := r.do(http.MethodGet, "/jwks", nil); status != http.StatusOK || !strings.Contains(body, signing.KeyID()) {
			t.Errorf("jwks %d %s", status, body)
		}
		if s := r.KeyStatus("corp"); s.State != translate.KeysReady {
			t.Errorf("the issuer's keys: %+v", s)
		}
		if status, body := r.exchange(corp); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("it says what it does in metrics and records", func(t *testing.T) {
		_, body := r.do(http.MethodGet, "/metrics", nil)
		for _, want := range []string{
			`exchequer_exchange_requests_total{outcome="allowed",reason="",token_service="main"} 1`,
			`exchequer_issuer_fetch_total{`, `exchequer_signing_key_info{`, `exchequer_snapshot_revision 1`, `exchequer_issuer_keys_age_seconds{trusted_issuer="corp"}`,
		} {
			if !strings.Contains(body, want) {
				t.Errorf("metrics do not have %s", want)
			}
		}
		last := r.log.all[len(r.log.all)-1]
		if last.Outcome != policy.Allowed || last.Revision != 1 {
			t.Errorf("record %+v", last)
		}
	})
}

func TestWhatTheManifestsDropIsGone(t *testing.T) {
	t.Parallel()
	corp := newIssuer(t)
	for name, c := range map[string]struct {
		change func(*policy.Spec)
		status int
		code   string
		keys   translate.KeyState
	}{
		"a trusted issuer":              {func(s *policy.Spec) { s.Issuers = nil }, 400, "invalid_request", translate.KeysPending},
		"a suspended issuer's keys too": {func(s *policy.Spec) { s.Issuers[0].Suspended = true }, 400, "invalid_request", translate.KeysPending},
		"a policy":                      {func(s *policy.Spec) { s.Policies = nil }, 400, "invalid_target", translate.KeysReady},
		"a client":                      {func(s *policy.Spec) { s.Clients = s.Clients[:1] }, 401, "invalid_client", translate.KeysReady},
		"the token service":             {func(s *policy.Spec) { *s = policy.Spec{Format: policy.Format} }, 404, "", translate.KeysPending},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, Options{})
			if err := r.apply(r.spec(corp), 1); err != nil {
				t.Fatal(err)
			}
			if status, body := r.exchange(corp); status != http.StatusOK {
				t.Fatalf("%d %s", status, body)
			}
			next := r.spec(corp)
			c.change(next)
			if err := r.apply(next, 2); err != nil {
				t.Fatal(err)
			}
			status, body := r.exchange(corp)
			var answer struct {
				Error string `json:"error"`
			}
			if c.code != "" {
				if err := json.Unmarshal([]byte(body), &answer); err != nil {
					t.Fatal(err)
				}
			}
			if status != c.status || answer.Error != c.code {
				t.Errorf("answered with %d %s, want %d %s", status, body, c.status, c.code)
			}
			if got := r.KeyStatus("corp").State; got != c.keys {
				t.Errorf("the issuer's keys are %s, want %s", got, c.keys)
			}
		})
	}
}

func TestSuccessiveSnapshotsWhileRequestsCome(t *testing.T) {
	t.Parallel()
	corp := newIssuer(t)
	r := run(t, Options{})
	if err := r.apply(r.spec(corp), 1); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, body := r.exchange(corp); status != http.StatusOK {
					t.Errorf("%d %s", status, body)
					return
				}
			}
		})
	}
	var appliers sync.WaitGroup
	for worker := range uint64(2) {
		appliers.Go(func() { // two at once, as nobody should
			for i := range uint64(10) {
				if err := r.apply(r.spec(corp), 2+worker+2*i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	appliers.Wait()
	close(stop)
	group.Wait()
}

func TestSigningKeysAreLookedAfterWhileItRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ring := keys.InMemory()
		e := New(Options{Ring: ring, Audit: &records{}, Log: slog.New(slog.DiscardHandler)})
		spec := &policy.Spec{Format: policy.Format, Services: []policy.Service{service("main")}}
		snapshot, err := policy.Compile(spec, 1, expr.New())
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Apply(spec, snapshot, 0); err != nil {
			t.Fatal(err)
		}
		first, _ := ring.Active("main")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.lookAfterKeys(ctx) }()
		time.Sleep(719*time.Hour - time.Minute)
		if now, _ := ring.Active("main"); now.KeyID() != first.KeyID() {
			t.Error("the key was changed before its time")
		}
		time.Sleep(time.Hour + 3*time.Minute)
		now, _ := ring.Active("main")
		if now.KeyID() == first.KeyID() {
			t.Error("the key was not changed when its time had come")
		}
		if public, _ := ring.Public("main"); public.Len() != 2 {
			t.Errorf("%d keys are published, want the new one and the one before", public.Len())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAnEngineEndsAndLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // it counts goroutines
	corp, err := fake.Start(fake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer corp.Close()
	before := goleak.IgnoreCurrent()
	r := run(t, Options{})
	if err := r.apply(r.spec(corp), 1); err != nil {
		t.Fatal(err)
	}
	if status, body := r.exchange(corp); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if err := r.stop(); err != nil {
		t.Errorf("Run ended with %v", err)
	}
	corp.Close()
	goleak.VerifyNone(t, before)
}

func TestAnEngineThatIsStoppedAtOnceClosesWhatItWasGiven(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := server.Listeners{Main: listener(t), Operations: listener(t), Public: listener(t)}
	if err := New(Options{Ring: keys.InMemory(), Audit: &records{}}).Run(ctx, l); err != nil {
		t.Errorf("Run ended with %v", err)
	}
	for _, each := range []net.Listener{l.Main, l.Operations, l.Public} {
		_ = each.(*net.TCPListener).SetDeadline(time.Now().Add(time.Second))
		if _, err := each.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s still listens: %v", each.Addr(), err)
		}
	}
}

func TestAListenerThatFailsEndsTheEngine(t *testing.T) {
	t.Parallel()
	l := listener(t)
	_ = l.Close()
	if err := New(Options{Ring: keys.InMemory(), Audit: &records{}}).Run(t.Context(), server.Listeners{Main: l}); err == nil {
		t.Error("Run ended well without a listener")
	}
}
