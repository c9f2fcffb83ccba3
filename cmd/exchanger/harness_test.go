// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	plane "github.com/exchequer-dev/exchequer/test/cluster"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
	"github.com/exchequer-dev/exchequer/test/fakes/operator"
)

func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }

const (
	secret   = "correct-horse-battery-staple-and-more"
	patience = 60 * time.Second
)

// world is a namespace with a published policy, and an issuer whose keys it holds.
type world struct {
	*operator.Operator
	t    *testing.T
	corp *fake.Issuer
	api  *cable
}

func newWorld(t *testing.T) *world {
	t.Helper()
	corp, err := fake.Start(fake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(corp.Close)
	o := operator.New(t, plane.Shared(t))
	server, err := url.Parse(o.Plane.Admin().Host)
	if err != nil {
		t.Fatal(err)
	}
	if server.Host == "" {
		server.Host = o.Plane.Admin().Host
	}
	return &world{Operator: o, t: t, corp: corp, api: newCable(t, server.Host)}
}

// spec lets shop/app exchange corp's tokens for media/images.
func (w *world) spec() *policy.Spec {
	digest := sha256.Sum256([]byte(secret))
	classes := []policy.Class{policy.ClassAccessToken, policy.ClassJWT}
	return &policy.Spec{
		Format: policy.Format,
		Services: []policy.Service{{
			Name: "main", Issuer: "https://sts.example", Algorithm: "ES256", MaxLifetime: time.Hour, DefaultLifetime: 5 * time.Minute, TokenBytes: 8192,
			Rotation: policy.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour}, AssertionAudiences: []string{"https://sts.example"},
		}},
		Issuers: []policy.Issuer{{
			Name: "corp", TokenService: "main", Kind: policy.IssuerJWT, URL: w.corp.URL(), ForSubject: true, Algorithms: []string{"ES256"},
			Classes: classes, Keys: policy.Keys{Inline: get(w.t, w.corp.JWKSURL())}, Prefix: "corp:",
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

func get(t *testing.T, address string) string {
	t.Helper()
	_, body, err := do(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// do asks without keeping a connection open.
func do(ctx context.Context, method, address string, form url.Values) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	r.Close = true
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := (&http.Client{Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	return answer.StatusCode, string(b), err
}

// kubeconfig is the exchanger's, through the cable.
func (w *world) kubeconfig() string {
	w.t.Helper()
	c := w.Plane.ServiceAccount(w.t, w.Namespace, operator.Account)
	file := filepath.Join(w.t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: "https://" + w.api.address, CertificateAuthorityData: c.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: c.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	}, file); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// program is a running exchanger.
type program struct {
	t               *testing.T
	w               *world
	token, probes   string
	stop            context.CancelFunc
	ended           chan error
	mu              sync.Mutex
	words, auditLog strings.Builder
}

func (w *world) start(change func(*settings), args ...string) *program {
	w.t.Helper()
	s, err := parse(append([]string{
		"--listen=127.0.0.1:0", "--ops-listen=127.0.0.1:0", "--namespace=" + w.Namespace, "--kubeconfig=" + w.kubeconfig(), "--drain-delay=0s",
		"--pod-name=one", "--pod-uid=1",
	}, args...), nil, io.Discard)
	if err != nil {
		w.t.Fatal(err)
	}
	s.confirmEvery = 200 * time.Millisecond
	change(s)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	p := &program{t: w.t, w: w, stop: cancel, ended: make(chan error, 1)}
	words, say := io.Pipe()
	go func() {
		err := s.serve(ctx, locked{p, &p.auditLog}, say)
		_ = say.Close()
		p.ended <- err
		close(p.ended)
	}()
	addresses := make(chan [2]string, 1)
	go func() {
		for lines := bufio.NewScanner(words); lines.Scan(); {
			p.mu.Lock()
			p.words.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
			var said struct{ Listen, Operations string }
			if json.Unmarshal(lines.Bytes(), &said) == nil && said.Listen != "" {
				addresses <- [2]string{said.Listen, said.Operations}
			}
		}
	}()
	select {
	case a := <-addresses:
		p.token, p.probes = "http://"+a[0]+"/token", "http://"+a[1]
	case err := <-p.ended:
		w.t.Fatalf("it ended with %v", err)
	}
	w.t.Cleanup(func() {
		p.end()
		if w.t.Failed() {
			p.mu.Lock()
			w.t.Logf("it said:\n%s", p.words.String())
			p.mu.Unlock()
		}
	})
	return p
}

// locked is a writer under the program's lock.
type locked struct {
	p *program
	b *strings.Builder
}

func (l locked) Write(b []byte) (int, error) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.b.Write(b)
}

func (p *program) end() {
	p.stop()
	if err, ok := <-p.ended; ok && err != nil {
		p.t.Errorf("it ended with %v", err)
	}
}

func (p *program) exchange() (int, string, error) {
	token, err := p.w.corp.Mint(fake.Claims{"sub": "alice", "aud": "shop/app"})
	if err != nil {
		return 0, "", err
	}
	return do(context.Background(), http.MethodPost, p.token, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {"shop/app"}, "client_secret": {secret},
		"subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "audience": {"media/images"},
	})
}

func (p *program) metrics(t *testing.T) string {
	t.Helper()
	_, text, err := do(t.Context(), http.MethodGet, p.probes+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// age is how long ago the API server confirmed what is served.
func (p *program) age(t *testing.T) time.Duration {
	t.Helper()
	const name = "\nexchequer_snapshot_age_seconds "
	_, rest, ok := strings.Cut(p.metrics(t), name)
	value, _, _ := strings.Cut(rest, "\n")
	seconds, err := strconv.ParseFloat(value, 64)
	if !ok || err != nil {
		t.Fatalf("there is no%s: %v", name, err)
	}
	return time.Duration(seconds * float64(time.Second))
}

// is asks for readiness and an exchange once.
func (p *program) is(g gomega.Gomega, status int) {
	code, ready, err := do(context.Background(), http.MethodGet, p.probes+"/readyz", nil)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	g.Expect(code).To(gomega.Equal(status), ready)
	code, body, err := p.exchange()
	g.Expect(err).NotTo(gomega.HaveOccurred())
	g.Expect(code).To(gomega.Equal(status), body)
}

func (p *program) mustBecome(status int) {
	p.t.Helper()
	gomega.NewWithT(p.t).Eventually(func(g gomega.Gomega) { p.is(g, status) }).
		WithTimeout(patience).WithPolling(50 * time.Millisecond).Should(gomega.Succeed())
}

// cable is the way to the API server, which can be cut: what is sent then arrives
// nowhere, on connections that seem to be open.
type cable struct {
	address string
	mu      sync.Mutex
	cut     chan struct{} // closed while it is whole
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{address: l.Addr().String(), cut: make(chan struct{})}
	close(c.cut)
	done := make(chan struct{})
	t.Cleanup(func() { close(done); _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go c.join(in, to, done)
		}
	}()
	return c
}

func (c *cable) join(in net.Conn, to string, done chan struct{}) {
	defer func() { _ = in.Close() }()
	out, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	both := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		go func() {
			defer func() { both <- struct{}{} }()
			b := make([]byte, 32<<10)
			for {
				n, err := way[0].Read(b)
				c.mu.Lock()
				cut := c.cut
				c.mu.Unlock()
				select {
				case <-cut:
				case <-done:
					return
				}
				if _, writeErr := way[1].Write(b[:n]); err != nil || writeErr != nil {
					return
				}
			}
		}()
	}
	<-both
}

func (c *cable) sever() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = make(chan struct{})
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.cut)
}
