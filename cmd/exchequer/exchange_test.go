// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/cmd/internal/engine"
	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/feed"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/server"
)

// live runs the program at the real time.
func live(t *testing.T, stdin string, args ...string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), invocation{program: "exchequer", args: args, in: strings.NewReader(stdin), out: &out, errs: &errs, now: time.Now})
	return ran{code: code, out: out.String(), errs: errs.String()}
}

// service is a running exchange of the good manifests. It returns its issuer,
// its manifests, and the file of its audit records.
func service(t *testing.T) (issuer, dir, records string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	issuer = "http://" + l.Addr().String()
	dir = t.TempDir()
	for _, name := range []string{"platform.yaml", "media.yaml", "shop.yaml"} {
		b, err := os.ReadFile(filepath.Join("testdata", "good", name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "https://sts.example.com", issuer)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	records = filepath.Join(t.TempDir(), "audit.log")
	sink, err := audit.OpenFile(records)
	if err != nil {
		t.Fatal(err)
	}
	log := audit.New(sink, audit.Options{})
	eng := engine.New(engine.Options{Ring: keys.InMemory(), Audit: log, Log: slog.New(slog.DiscardHandler), Loopback: true})
	builder, err := feed.NewBuilder(defaultNamespace, time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	build, err := feed.NewDirectory(dir, builder).Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Apply(build.Spec, build.Snapshot, 0); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = eng.Run(t.Context(), server.Listeners{Main: l}) })
	t.Cleanup(func() {
		running.Wait() // the context of a test ends before this
		_ = log.Close()
		_ = sink.Close()
	})
	return issuer, dir, records
}

func TestATokenIsExchangedAndTheRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	issuer, _, records := service(t)
	token := file(t, "token.jwt", live(t, "", "token", "mint", "--key", corpKey, "--issuer", "https://login.corp.example", "--sub", "alice", "--aud", "shop-web",
		"--scope", "images contacts", "--claim", "email_verified=true", "--claim", `groups=["staff"]`).must(t, exitOK).out)
	secret := file(t, "secret", "a-secret-for-tests-0123456789abcdef\n")
	ask := func(more ...string) []string {
		return append([]string{
			"exchange", "--issuer", issuer, "--client-id", "shop/frontend", "--subject-token-file", token, "--audience", "media/images-resource",
		}, more...)
	}
	bySecret := []string{"--client-secret-file", secret}

	out := live(t, "", ask(append(bySecret, "-o", "token")...)...).must(t, exitOK).out
	live(t, out, "token", "verify", "--issuer", issuer, "--audience", "media/images-resource", "--typ", "at+jwt").must(t, exitOK)

	r := live(t, "", ask(bySecret...)...).must(t, exitOK)
	says(t, r.out, "✓ exchanged", "corp:alice", "media/images-resource", "images")
	if strings.Contains(r.out, "eyJ") {
		t.Error("the table shows the token")
	}
	j := decode[exchanged](t, live(t, "", ask(append(bySecret, "-o", "json", "--requested-token-type", "access_token")...)...).must(t, exitOK).out)
	if j.AccessToken == "" || j.ExpiresIn != 300 || j.Scope != "images" || j.IssuedTokenType != urnPrefix+"access_token" {
		t.Errorf("%+v", j)
	}
	live(t, "", ask("--private-key", "testdata/keys/client.pem")...).must(t, exitOK)
	live(t, "", "exchange", "--endpoint", issuer+"/token", "--client-id", "shop/frontend", "--subject-token-file", token,
		"--audience", "media/images-resource", "--private-key", "testdata/keys/client.pem").must(t, exitOK)

	r = live(t, "", ask(append(bySecret, "--scope", "contacts")...)...).must(t, exitNo)
	says(t, r.errs, "✗ refused: invalid_scope (HTTP 400)", "exchequer explain --correlation-id")
	j = decode[exchanged](t, live(t, "", ask(append(bySecret, "--scope", "contacts", "-o", "json")...)...).must(t, exitNo).out)
	r = live(t, "", "explain", "--audit", records, "--correlation-id", j.CorrelationID).must(t, exitNo)
	says(t, r.out, "✗ refused: ScopeUnknown (check scopesKnown)", "corp:alice")

	r = live(t, "wrong", ask("--client-secret-file", "-")...).must(t, exitNo)
	says(t, r.errs, "invalid_client (HTTP 401)")
	r = live(t, "", ask("--private-key", corpKey)...).must(t, exitNo)
	says(t, r.errs, "invalid_client")
}

func TestADecisionCanBeReplayedFromItsRecord(t *testing.T) {
	t.Parallel()
	issuer, dir, records := service(t)
	secret := file(t, "secret", "a-secret-for-tests-0123456789abcdef\n")
	type request struct{ groups, scope string }
	for name, given := range map[string]request{
		"F358: an allowed exchange is allowed again":         {`["staff"]`, "images"},
		"F358: a refused one is refused by the same check":   {`[]`, "images"},
		"F358: and so is one that no policy was asked about": {`["staff"]`, "contacts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := live(t, "", "token", "mint", "--key", corpKey, "--issuer", "https://login.corp.example", "--sub", "alice", "--aud", "shop-web",
				"--scope", "images contacts", "--claim", "email_verified=true", "--claim", "groups="+given.groups).must(t, exitOK).out
			token := file(t, "token.jwt", text)
			live(t, "", "exchange", "--issuer", issuer, "--client-id", "shop/frontend", "--client-secret-file", secret,
				"--subject-token-file", token, "--audience", "media/images-resource", "--scope", given.scope)
			r := recordOf(t, records, sha256.Sum256([]byte(strings.TrimSpace(text))))
			if r.Revision != 1 || (r.Outcome == policy.Allowed) != (r.KeyID != "" && r.TokenID != "" && len(r.Targets) == 1) {
				t.Errorf("the record is not whole: %+v", r)
			}
			again := live(t, "", "explain", "--manifests", dir, "--client", r.Client, "--subject-token", token, "--audience", "media/images-resource",
				"--scope", given.scope, "--time", r.Time.Format(time.RFC3339Nano), "-o", "json")
			got, want := decode[explanation](t, again.out), recordExplanation(r)
			if got.Outcome != want.Outcome || got.Reason != want.Reason || got.Check != want.Check || got.Detail != want.Detail || got.Subject.Subject != want.Subject.Subject {
				t.Errorf("replayed %+v\nrecorded %+v", got, want)
			}
			byRecord := live(t, "", "explain", "--correlation-id", r.CorrelationID, "--audit", records, "--manifests", dir, "--subject-token", token, "-o", "json")
			if e := decode[explanation](t, byRecord.out); byRecord.code != again.code || e.Recorded == nil || !e.Recorded.Same || e.Outcome != want.Outcome {
				t.Errorf("by its record alone: exit code %d, %+v", byRecord.code, e.Recorded)
			}
			if want.Allowed && !slices.Equal(got.Token.Policies, want.Token.Policies) {
				t.Errorf("replayed %v, recorded %v", got.Token.Policies, want.Token.Policies)
			}
			if !want.Allowed && len(got.Targets)+len(want.Targets) > 0 && !reflect.DeepEqual(got.Targets, want.Targets) {
				t.Errorf("replayed %v, recorded %v", got.Targets, want.Targets)
			}
		})
	}
}

// recordOf finds the record of a request by the digest of its subject token.
func recordOf(t *testing.T, file string, digest [sha256.Size]byte) *audit.Record {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		r, err := audit.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(r.TokensIn, digest) {
			return r
		}
	}
	t.Fatalf("no record has the token's digest:\n%s", b)
	return nil
}

// endpoint is a server that answers as it is told, and remembers the last form.
func endpoint(t *testing.T, status int, header http.Header, body string) (at string, last func() *http.Request) {
	t.Helper()
	var mu sync.Mutex
	var seen *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		mu.Lock()
		seen = r
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		for k, v := range header {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, func() *http.Request {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

const answer = `{"access_token": "opaque", "token_type": "Bearer", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}`

func TestTheRequestIsTheOneOfRFC8693(t *testing.T) {
	t.Parallel()
	at, last := endpoint(t, 200, nil, answer)
	r := live(t, "the token\n", "exchange", "--endpoint", at+"/token", "--assertion-file", file(t, "sa", "assertion\n"), "--subject-token-file", "-", "--subject-token-type", "id_token",
		"--audience", "a", "--audience", "b", "--resource", "https://r.example/", "--scope", "x y", "--requested-token-type", "jwt", "-o", "token").must(t, exitOK)
	if r.out != "opaque\n" {
		t.Errorf("stdout = %q", r.out)
	}
	req := last()
	want := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {"the token"}, "subject_token_type": {urnPrefix + "id_token"},
		"audience": {"a", "b"}, "resource": {"https://r.example/"}, "scope": {"x y"}, "requested_token_type": {urnPrefix + "jwt"},
		"client_assertion": {"assertion"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	for k, v := range want {
		if !slices.Equal(req.PostForm[k], v) {
			t.Errorf("%s = %q, want %q", k, req.PostForm[k], v)
		}
	}
	if len(req.PostForm) != len(want) || req.URL.RawQuery != "" || req.Header.Get("Authorization") != "" {
		t.Errorf("form %v, query %q", req.PostForm, req.URL.RawQuery)
	}
}

func TestASecretGoesFormEncodedIntoBasic(t *testing.T) {
	t.Parallel()
	at, last := endpoint(t, 200, nil, answer)
	live(t, "pass:w+rd%é\r\n", "exchange", "--endpoint", at, "--client-id", "shop/frontend", "--client-secret-file", "-", "--subject-token-file", file(t, "s", "x")).must(t, exitOK)
	id, secret, ok := last().BasicAuth()
	if !ok || id != "shop%2Ffrontend" || secret != "pass%3Aw%2Brd%25%C3%A9" {
		t.Errorf("%q %q %v", id, secret, ok)
	}
}

func TestAnswersThatAreNoTokenAreToldApart(t *testing.T) {
	t.Parallel()
	html := http.Header{"Content-Type": {"text/html"}}
	for name, tc := range map[string]struct {
		status int
		header http.Header
		body   string
		code   int
		want   string
	}{
		"a refusal":              {400, nil, `{"error": "invalid_target", "error_description": "No.", "correlation_id": "c1"}`, exitNo, "correlation ID c1"},
		"a refusal with escapes": {400, nil, `{"error": "x\u001b[2Jy"}`, exitNo, `refused: x\u001b[2Jy`},
		"an outage":              {503, http.Header{"Retry-After": {"5"}}, `{"error": "temporarily_unavailable"}`, exitUnable, "try again after 5 seconds"},
		"too many requests":      {429, nil, `{"error": "temporarily_unavailable"}`, exitUnable, "temporarily_unavailable"},
		"a page":                 {200, html, "<html>", exitUnable, "is this a token endpoint?"},
		"a redirect":             {302, http.Header{"Location": {"https://elsewhere.example"}}, "", exitUsage, "redirect"},
		"no token":               {200, nil, `{}`, exitUnable, "no access_token"},
		"an error without name":  {400, nil, `{}`, exitNo, "status 400"},
		"an endless answer":      {200, nil, strings.Repeat(" ", maxAnswer+1), exitUnable, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, _ := endpoint(t, tc.status, tc.header, tc.body)
			r := live(t, "s", "exchange", "--endpoint", at, "--client-id", "a", "--client-secret-file", "-", "--subject-token-file", file(t, "t", "x")).must(t, tc.code)
			says(t, r.errs, tc.want)
			if strings.Contains(r.out+r.errs, "\x1b") {
				t.Error("an escape came through")
			}
		})
	}
}

func TestDiscoveryBelievesNoOtherIssuer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		code   int
		want   string
	}{
		"another name":        {200, `{"issuer": "https://other.example", "token_endpoint": "https://other.example/token"}`, exitUsage, "calls itself"},
		"no endpoint":         {200, `{}`, exitUnable, "token_endpoint"},
		"an endpoint by http": {200, `{"issuer": "SELF", "token_endpoint": "http://other.example/token"}`, exitUsage, "expected https"},
		"not found":           {404, `{}`, exitUnable, "found 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s *httptest.Server
			s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				fmt.Fprint(w, strings.ReplaceAll(tc.body, "SELF", s.URL))
			}))
			t.Cleanup(s.Close)
			r := live(t, "s", "exchange", "--issuer", s.URL, "--client-id", "a", "--client-secret-file", "-", "--subject-token-file", file(t, "t", "x")).must(t, tc.code)
			says(t, r.errs, tc.want)
		})
	}
}

func TestExchangeRefusesWhatMakesNoRequest(t *testing.T) {
	t.Parallel()
	token := file(t, "t", "x")
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no address":           {[]string{"--client-id", "a"}, "exactly one of --endpoint URL and --issuer URL"},
		"no client":            {[]string{"--endpoint", "https://a.example"}, "--client-id is missing"},
		"no credential":        {[]string{"--endpoint", "https://a.example", "--client-id", "a"}, "how does the client authenticate?"},
		"two credentials":      {[]string{"--endpoint", "https://a.example", "--client-id", "a", "--client-secret-file", token, "--private-key", corpKey}, "expected one of"},
		"no subject":           {[]string{"--endpoint", "https://a.example", "--client-id", "a", "--client-secret-file", token}, "--subject-token-file is missing"},
		"standard input twice": {[]string{"--endpoint", "https://a.example", "--client-id", "a", "--client-secret-file", "-", "--subject-token-file", "-"}, "only one of them"},
		"an empty secret":      {[]string{"--endpoint", "https://a.example", "--client-id", "a", "--client-secret-file", file(t, "e", "\n"), "--subject-token-file", token}, "expected a secret"},
		"http to another":      {[]string{"--endpoint", "http://a.example/token", "--client-id", "a", "--client-secret-file", token, "--subject-token-file", token}, "expected https"},
		"plain http and a server that names the endpoint": {[]string{"--plain-http", "--issuer", "http://a.example", "--client-id", "a", "--client-secret-file", token, "--subject-token-file", token}, "expected https"},
		"plain http and another scheme":                   {[]string{"--plain-http", "--endpoint", "ftp://a.example/token", "--client-id", "a", "--client-secret-file", token, "--subject-token-file", token}, "expected the scheme https"},
		"http discovery":                                  {[]string{"--issuer", "http://a.example", "--client-id", "a", "--client-secret-file", token, "--subject-token-file", token}, "expected https"},
		"a nameless assertion":                            {[]string{"--endpoint", "https://a.example/x", "--client-id", "a", "--private-key", corpKey, "--subject-token-file", token}, "--assertion-audience is missing"},
		"no authority":                                    {[]string{"--endpoint", "https://a.example/x", "--client-id", "a", "--client-secret-file", token, "--subject-token-file", token, "--ca-file", token}, "no certificate in"},
		"a directory for a file":                          {[]string{"--endpoint", "https://a.example/x", "--client-id", "a", "--client-secret-file", ".", "--subject-token-file", token}, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := live(t, "", append([]string{"exchange"}, tc.args...)...).must(t, exitUsage)
			says(t, r.errs, tc.want)
		})
	}
}

func TestNoAnswerIsNoRefusal(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := live(t, "s", "exchange", "--endpoint", "http://"+address+"/token", "--client-id", "a", "--client-secret-file", "-", "--subject-token-file", file(t, "t", "x")).must(t, exitUnable)
	says(t, r.errs, "ask http://"+address+"/token")
	// A person who says that the network is to be trusted is believed: it is tried.
	r = live(t, "s", "exchange", "--endpoint", "http://exchequer.invalid/token", "--plain-http", "--client-id", "a", "--client-secret-file", "-", "--subject-token-file", file(t, "t", "x")).must(t, exitUnable)
	says(t, r.errs, "ask http://exchequer.invalid/token")
}

func TestSecretsCanComeFromTheEnvironment(t *testing.T) {
	t.Setenv(secretVariable, "from-the-environment")
	t.Setenv(subjectVariable, "subject")
	at, last := endpoint(t, 200, nil, answer)
	live(t, "", "exchange", "--endpoint", at, "--client-id", "a").must(t, exitOK)
	if _, secret, _ := last().BasicAuth(); secret != "from-the-environment" || last().PostForm.Get("subject_token") != "subject" {
		t.Errorf("secret %q, form %v", secret, last().PostForm)
	}
}
