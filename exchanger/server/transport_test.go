// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Every row is refused by the edge: the use-case never sees it, and is told
// once, so that it is recorded.
func TestRequestsThatTheEdgeRefuses(t *testing.T) {
	t.Parallel()
	header := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i+1] == "" {
					r.Header.Del(pairs[i])
					continue
				}
				r.Header.Add(pairs[i], pairs[i+1])
			}
		}
	}
	contentType := func(v string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Content-Type"] = []string{v} }
	}
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	_, _ = zw.Write([]byte(form()))
	_ = zw.Close()
	for name, tc := range map[string]struct {
		method, path, body string
		change             func(*http.Request)
		status             int
		allow              string
	}{
		"F1: GET":                           {method: "GET", path: "/token?" + form(), status: 405, allow: "POST"},
		"F1: PUT":                           {method: "PUT", path: "/token", body: form(), status: 405, allow: "POST"},
		"F22: a preflight":                  {method: "OPTIONS", path: "/token", change: header("Origin", "https://evil.example", "Access-Control-Request-Method", "POST"), status: 405, allow: "POST"},
		"F2: parameters in the query only":  {path: "/token?" + form(), status: 400},
		"F3: a parameter in query and body": {path: "/token?scope=a", body: form() + "&scope=b", status: 400},
		"F3: a credential in the query":     {path: "/token?client_secret=x", body: form(), status: 400},
		"F4: JSON":                          {path: "/token", body: `{"grant_type":"x"}`, change: contentType("application/json"), status: 415},
		"F4: multipart":                     {path: "/token", body: form(), change: contentType("multipart/form-data; boundary=x"), status: 415},
		"F4: text":                          {path: "/token", body: form(), change: contentType("text/plain"), status: 415},
		"F4: none":                          {path: "/token", body: form(), change: header("Content-Type", ""), status: 415},
		"F4: two":                           {path: "/token", body: form(), change: header("Content-Type", "application/x-www-form-urlencoded"), status: 415},
		"F4: a list":                        {path: "/token", body: form(), change: contentType("application/x-www-form-urlencoded, application/json"), status: 415},
		"F5: UTF-16":                        {path: "/token", body: form(), change: contentType("application/x-www-form-urlencoded; charset=utf-16"), status: 415},
		"F5: another media type parameter":  {path: "/token", body: form(), change: contentType("application/x-www-form-urlencoded; boundary=x"), status: 415},
		"F6: a byte more than 64 KiB":       {path: "/token", body: strings.Repeat("a", 64<<10+1), status: 413},
		"F15: a gzip body":                  {path: "/token", body: packed.String(), change: header("Content-Encoding", "gzip"), status: 415},
		"F15: identity, said":               {path: "/token", body: form(), change: header("Content-Encoding", "identity"), status: 415},
		"two Authorization headers":         {path: "/token", body: form(), change: header("Authorization", "Basic YTpi", "Authorization", "Basic YTpj"), status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			r := start(t, f, nil)
			method := tc.method
			if method == "" {
				method = http.MethodPost
			}
			got := r.do(t, method, tc.path, tc.body, tc.change)
			if got.status != tc.status || got.header.Get("Allow") != tc.allow {
				t.Errorf("got %d, Allow %q: %s", got.status, got.header.Get("Allow"), got.body)
			}
			if got.member(t, "error") != "invalid_request" || got.member(t, "correlation_id") == "" || got.member(t, "correlation_id") != got.header.Get("X-Correlation-Id") {
				t.Errorf("body %s", got.body)
			}
			if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "application/json" || got.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("header %v", got.header)
			}
			for h := range got.header {
				if strings.HasPrefix(h, "Access-Control-") {
					t.Errorf("%s on the token endpoint", h)
				}
			}
			calls, refused := f.seen()
			if len(calls) != 0 || len(refused) != 1 || refused[0].Reason != policy.FormInvalid {
				t.Errorf("%d calls, refused %v", len(calls), refused)
			}
		})
	}
}

func TestRequestsThatReachTheUseCase(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path, body string
		change     func(*http.Request)
		check      func(oauth.Call) bool
	}{
		"F5: UTF-8, said": {body: form(), change: func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
		}},
		"F5: the media type in another case": {body: form(), change: func(r *http.Request) { r.Header.Set("Content-Type", "Application/X-WWW-Form-Urlencoded") }},
		"F6: 64 KiB":                         {body: strings.Repeat("a", 64<<10)},
		"F6: 64 KiB in chunks":               {body: strings.Repeat("a", 64<<10), change: func(r *http.Request) { r.ContentLength = -1 }},
		"F20: an attacker's Host":            {body: form(), change: func(r *http.Request) { r.Host = "evil.example"; r.Header.Set("X-Forwarded-Host", "evil.example") }, check: func(c oauth.Call) bool { return c.Service.Issuer() == "https://sts.example.com" }},
		"F21: an attacker's X-Forwarded-For": {body: form(), change: func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", "192.0.2.1")
			r.Header.Set("Forwarded", "for=192.0.2.1")
			r.Header.Set("X-Real-Ip", "192.0.2.1")
		}, check: func(c oauth.Call) bool { return c.Peer.String() == "127.0.0.1" }},
		"F22: an Origin header":            {body: form(), change: func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }},
		"an unknown name in the query":     {path: "?trace=1", body: form()},
		"a DPoP header":                    {body: form(), change: func(r *http.Request) { r.Header.Set("DPoP", "a.b.c") }, check: func(c oauth.Call) bool { return len(c.DPoP) == 1 && c.DPoP[0] == "a.b.c" }},
		"a correlation ID of the caller's": {body: form(), change: func(r *http.Request) { r.Header.Set("X-Correlation-Id", "mine"); r.Header.Set("X-Request-Id", "mine") }, check: func(c oauth.Call) bool { return c.CorrelationID != "mine" && len(c.CorrelationID) >= 26 }},
		"no body at all":                   {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			r := start(t, f, nil)
			got := r.do(t, http.MethodPost, "/token"+tc.path, tc.body, tc.change)
			calls, refused := f.seen()
			if got.status != http.StatusOK || len(calls) != 1 || len(refused) != 0 {
				t.Fatalf("got %d %s, %d calls, refused %v", got.status, got.body, len(calls), refused)
			}
			if f.bodies[0] != tc.body {
				t.Errorf("the use-case got %d bytes of %d", len(f.bodies[0]), len(tc.body))
			}
			if tc.check != nil && !tc.check(calls[0]) {
				t.Errorf("call %+v", calls[0])
			}
			for h := range got.header {
				if strings.HasPrefix(h, "Access-Control-") {
					t.Errorf("%s on the token endpoint", h)
				}
			}
		})
	}
}

// exchangeRaw writes bytes to a new connection and reads the answer to its end.
func exchangeRaw(t *testing.T, addr, request string) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, request) }()
	b, err := io.ReadAll(io.LimitReader(conn, 1<<20))
	if err != nil && len(b) == 0 {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatIsTooLargeClosesTheConnection(t *testing.T) {
	t.Parallel()
	r := start(t, &fake{}, nil)
	head := "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	for name, tc := range map[string]struct{ request, want string }{
		"F6: a Content-Length of 1 GiB is refused before the body": {head + "Content-Length: 1073741824\r\n\r\n", "HTTP/1.1 413 "},
		"F6: chunks without end are refused after 64 KiB":          {head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1000\r\n"+strings.Repeat("a", 0x1000)+"\r\n", 120), "HTTP/1.1 413 "},
		"F6: a client that waits for 100-continue is told at once": {head + "Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n", "HTTP/1.1 413 "},
		"F7: a chunk that lies about its length":                   {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n", "HTTP/1.1 400 "},
		"F10: 1 MiB of headers":                                    {"POST /token HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 1<<10) + "\r\n", "HTTP/1.1 431 "},
		"F10: one header of 32 KiB":                                {"POST /token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + strings.Repeat("a", 32<<10) + "\r\n\r\n", "HTTP/1.1 431 "},
		"two Content-Lengths":                                      {head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "HTTP/1.1 400 "},
		"an empty Host is an unknown host":                         {"GET /nothing HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// That ReadAll ends shows that the server closed the connection.
			if got := exchangeRaw(t, r.addr, tc.request); !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %.200q", got)
			}
		})
	}
}

func TestPathsAreComparedAsTheyCome(t *testing.T) {
	t.Parallel()
	f := &fake{}
	r := start(t, f, nil, service("default", "https://sts.example.com/tenants/a"))
	for _, path := range []string{
		"/token", "/tenants/a", "/tenants/a/", "/tenants/a/token/", "/tenants/a//token", "//tenants/a/token", "/TENANTS/a/token", "/tenants/a/TOKEN",
		"/tenants/a/./token", "/tenants/b/../a/token", "/tenants/a/%74oken", "/tenants%2Fa/token", "/tenants/a/token%00", "/tenants/a/token;x",
		"/introspect", "/revoke", "/tenants/a/introspect/", "/tenants/a/Revoke", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
		"/tenants/a/.well-known/oauth-authorization-server",
	} {
		t.Run("F23: "+path, func(t *testing.T) {
			t.Parallel()
			request := "POST " + path + " HTTP/1.1\r\nHost: sts.example.com\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
			res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(exchangeRaw(t, r.addr, request))), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusNotFound || res.Header.Get("Location") != "" {
				t.Errorf("got %d, Location %q", res.StatusCode, res.Header.Get("Location"))
			}
		})
	}
	if got := r.do(t, http.MethodPost, "/tenants/a/token", form(), nil); got.status != http.StatusOK {
		t.Errorf("the endpoint itself: %d", got.status)
	}
}

func TestF25AClientThatGoesAwayEndsTheContext(t *testing.T) {
	t.Parallel()
	entered, ended := make(chan struct{}), make(chan error, 1)
	f := &fake{answer: func(ctx context.Context, _ *oauth.Call) oauth.Answer {
		close(entered)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return oauth.Answer{Refusal: &policy.Refusal{Outcome: policy.Unable, Reason: policy.RequestAborted}}
	}}
	r := start(t, f, nil)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form()), form())
	<-entered
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the context has no cause")
	}
}

func TestRefusalsOnTheWire(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer     oauth.Answer
		status     int
		code       string
		challenge  bool
		retryAfter string
	}{
		"R21: a policy's refusal":              {refusal(policy.Denied, policy.PolicyRule), 400, "invalid_request", false, ""},
		"R22: targets":                         {refusal(policy.Denied, policy.TargetUnknown), 400, "invalid_target", false, ""},
		"R23, F53: no client authentication":   {refusal(policy.Denied, policy.ClientCredentials), 401, "invalid_client", true, ""},
		"F76: too many failures":               {refusal(policy.Denied, policy.RateLimited), 429, "temporarily_unavailable", false, "1"},
		"unable":                               {refusal(policy.Unable, policy.KeysUnavailable), 503, "temporarily_unavailable", false, "5"},
		"an expression that errs is a refusal": {refusal(policy.Unable, policy.SubjectRule), 400, "invalid_request", false, ""},
		"a wait that the use-case knows":       {oauth.Answer{Refusal: &policy.Refusal{Reason: policy.KeysUnavailable}, RetryAfter: 30}, 503, "temporarily_unavailable", false, "30"},
		"a wait where a retry cannot help":     {oauth.Answer{Refusal: &policy.Refusal{Reason: policy.PolicyRule}, RetryAfter: 30}, 400, "invalid_request", false, ""},
		"neither answer nor refusal is a bug":  {oauth.Answer{}, 500, "server_error", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, &fake{answer: func(context.Context, *oauth.Call) oauth.Answer { return tc.answer }}, nil)
			got := r.do(t, http.MethodPost, "/token", form(), nil)
			if got.status != tc.status || got.member(t, "error") != tc.code || got.header.Get("Retry-After") != tc.retryAfter {
				t.Errorf("got %d %s, Retry-After %q", got.status, got.body, got.header.Get("Retry-After"))
			}
			if challenge := got.header.Get("WWW-Authenticate"); (challenge != "") != tc.challenge || tc.challenge && !strings.HasPrefix(challenge, "Basic ") {
				t.Errorf("WWW-Authenticate = %q", challenge)
			}
			if got.header.Get("Cache-Control") != "no-store" || got.member(t, "error_description") == "" || got.member(t, "correlation_id") == "" {
				t.Errorf("got %v %s", got.header, got.body)
			}
			if strings.Contains(got.body, "canary") {
				t.Errorf("the detail leaked: %s", got.body)
			}
		})
	}
}

func refusal(outcome policy.Outcome, reason policy.Reason) oauth.Answer {
	return oauth.Answer{Refusal: &policy.Refusal{Outcome: outcome, Reason: reason, Check: "canary", Detail: "canary"}}
}

func TestStrangersGetOneAnswer(t *testing.T) {
	t.Parallel()
	answers := map[string]string{}
	for _, reason := range []policy.Reason{policy.ClientUnknown, policy.ClientSuspended, policy.ClientCredentials} {
		r := start(t, &fake{answer: func(context.Context, *oauth.Call) oauth.Answer { return refusal(policy.Denied, reason) }}, nil)
		request := "POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n"
		got := exchangeRaw(t, r.addr, request)
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		// Two things differ from request to request: the ID and the clock.
		got = strings.ReplaceAll(got, res.Header.Get("X-Correlation-Id"), "ID")
		got = strings.ReplaceAll(got, res.Header.Get("Date"), "DATE")
		answers[got] = string(reason)
	}
	t.Run("F56, F360, R24: unknown, suspended and wrong are the same bytes", func(t *testing.T) {
		t.Parallel()
		if len(answers) != 1 {
			t.Errorf("got %d answers: %q", len(answers), answers)
		}
	})
}

func TestNothingOfTheRequestComesBack(t *testing.T) {
	t.Parallel()
	const canary = "canary7f3a"
	r := start(t, &fake{answer: func(context.Context, *oauth.Call) oauth.Answer { return refusal(policy.Denied, policy.FormInvalid) }}, nil)
	for name, request := range map[string]string{
		"F355: in the path":         "POST /" + canary + " HTTP/1.1\r\nHost: x\r\n",
		"F355: in the query":        "POST /token?client_secret=" + canary + " HTTP/1.1\r\nHost: x\r\n",
		"F355: in the host":         "POST /token HTTP/1.1\r\nHost: " + canary + "\r\n",
		"F355: in a header's name":  "POST /token HTTP/1.1\r\nHost: x\r\n" + canary + ": 1\r\n",
		"F355: in a broken header":  "POST /token HTTP/1.1\r\nHost: x\r\n" + canary + " broken\r\n",
		"F355: in the content type": "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: " + canary + "\r\n",
		"F355: in the method":       canary + " /token HTTP/1.1\r\nHost: x\r\n",
		"F355: in a credential":     "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: " + canary + "\r\n",
		"F355: in a trace":          "POST /token HTTP/1.1\r\nHost: x\r\nTraceparent: " + canary + "\r\nX-Request-Id: " + canary + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := exchangeRaw(t, r.addr, request+"Connection: close\r\nContent-Length: 0\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 4") || strings.Contains(strings.ToLower(got), canary) {
				t.Errorf("got %q", got)
			}
		})
	}
}
