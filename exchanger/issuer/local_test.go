// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// apiServer answers what an API server does.
type apiServer struct {
	mu           sync.Mutex
	issuer, jwks string
	err          error
	status       int
	asked        []string
	header       http.Header
}

func (a *apiServer) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.URL.String())
	if a.err != nil {
		return nil, a.err
	}
	h := http.Header{"Content-Type": {"application/json"}}
	for k, v := range a.header {
		h[k] = v
	}
	body := a.jwks
	if strings.HasSuffix(r.URL.Path, "openid-configuration") {
		body = `{"issuer":"` + a.issuer + `","jwks_uri":"https://elsewhere.example/jwks","response_types_supported":["id_token"]}`
	}
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	return &http.Response{StatusCode: status, Header: h, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (a *apiServer) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

func local(t *testing.T, a *apiServer, o issuer.LocalOptions) *issuer.Local {
	t.Helper()
	o.Server, o.Transport, o.Logger = &url.URL{Scheme: "https", Host: "10.96.0.1:443"}, a, discard()
	l, err := issuer.NewLocal(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func clusterKeys(t *testing.T) *fake.Issuer {
	t.Helper()
	iss, err := fake.New(fake.Options{URL: "https://kubernetes.default.svc"})
	if err != nil {
		t.Fatal(err)
	}
	return iss
}

func TestTheLocalClusterIsReadFromItsAPIServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := clusterKeys(t)
		a := &apiServer{issuer: "https://kubernetes.default.svc", jwks: string(keys.KeySet())}
		var changes atomic.Int64
		l := local(t, a, issuer.LocalOptions{OnChange: func() { changes.Add(1) }, Jitter: func() float64 { return 0 }})
		if _, known := l.Current(); known {
			t.Error("something is known before anything was asked")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		synctest.Wait()
		got, known := l.Current()
		if !known || got.Issuer != a.issuer || !sameKeys(t, got.JWKS, keys.KeySet()) || changes.Load() != 1 {
			t.Fatalf("%+v, %v, %d changes", got, known, changes.Load())
		}
		if want := []string{"https://10.96.0.1:443/.well-known/openid-configuration", "https://10.96.0.1:443/openid/v1/jwks"}; !slices.Equal(a.requests(), want) {
			t.Errorf("asked %q: jwks_uri is for others", a.requests())
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if n := len(a.requests()); n != 4 || changes.Load() != 1 {
			t.Errorf("%d requests, %d changes after a minute without any", n, changes.Load())
		}
		rotate(t, keys)
		keys.Remove("key-1")
		a.mu.Lock()
		a.jwks = string(keys.KeySet())
		a.mu.Unlock()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if got, _ := l.Current(); changes.Load() != 2 || bytes.Contains(got.JWKS, []byte("key-1")) || !bytes.Contains(got.JWKS, []byte("key-2")) {
			t.Errorf("%d changes, %s", changes.Load(), got.JWKS)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatAnAPIServerSaysIsKeptWhenItSaysNothingGood(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*apiServer){
		"it does not answer": func(a *apiServer) { a.err = errors.New("connection refused") },
		"it answers 403":     func(a *apiServer) { a.status = http.StatusForbidden },
		"F157: it redirects": func(a *apiServer) {
			a.status, a.header = http.StatusFound, http.Header{"Location": {"https://elsewhere.example/"}}
		},
		"F166: it has no keys":                     func(a *apiServer) { a.jwks = `{"keys":[]}` },
		"F165: its keys are above their bound":     func(a *apiServer) { a.jwks = strings.Repeat(" ", 256<<10+1) },
		"F168: it answers with a page":             func(a *apiServer) { a.header = http.Header{"Content-Type": {"text/html"}} },
		"its issuer is empty":                      func(a *apiServer) { a.issuer = "" },
		"its issuer is above its bound":            func(a *apiServer) { a.issuer = "https://" + strings.Repeat("a", 1024) },
		"its issuer has a space":                   func(a *apiServer) { a.issuer = "https://kubernetes.default.svc " },
		"its discovery document is not valid JSON": func(a *apiServer) { a.issuer = `"` },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := &apiServer{issuer: "https://kubernetes.default.svc", jwks: string(clusterKeys(t).KeySet())}
				spoil(a)
				start := &issuer.LocalCluster{Issuer: "https://kubernetes.default.svc", JWKS: []byte("{}")}
				l := local(t, a, issuer.LocalOptions{Start: start, OnChange: func() { t.Error("a change is told") }})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- l.Run(ctx) }()
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				if got, known := l.Current(); !known || string(got.JWKS) != "{}" {
					t.Errorf("%+v, %v", got, known)
				}
				for _, u := range a.requests() {
					if !strings.HasPrefix(u, "https://10.96.0.1:443/") {
						t.Errorf("our credential went to %s", u)
					}
				}
				if n := len(a.requests()); n < 10 || n > 60 {
					t.Errorf("%d requests in ten minutes", n)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestALocalClusterNeedsAServer(t *testing.T) {
	t.Parallel()
	for _, o := range []issuer.LocalOptions{{}, {Server: &url.URL{Scheme: "https"}, Transport: &apiServer{}}, {Server: &url.URL{Scheme: "https", Host: "a"}}} {
		if _, err := issuer.NewLocal(o); err == nil {
			t.Errorf("%+v", o)
		}
	}
}
