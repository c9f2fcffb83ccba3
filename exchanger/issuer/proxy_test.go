// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// proxy is an HTTP proxy that connects every host to one address.
type proxy struct {
	address string
	mu      sync.Mutex
	asked   []*http.Request
}

// startProxy answers CONNECT with answer, if there is one, else by connecting to the
// given address.
func startProxy(t *testing.T, to, answer string) *proxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(conn, to, answer) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return p
}

func (p *proxy) serve(conn net.Conn, to, answer string) {
	defer func() { _ = conn.Close() }()
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, req)
	p.mu.Unlock()
	if answer != "" {
		_, _ = io.WriteString(conn, answer)
		return
	}
	peer, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil {
		return
	}
	defer func() { _ = peer.Close() }()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { _, _ = io.Copy(peer, conn); _ = peer.Close() }()
	_, _ = io.Copy(conn, peer)
}

func (p *proxy) requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*http.Request{}, p.asked...)
}

// proxied is a manager that fetches through the proxy, for which no name resolves.
func proxied(t *testing.T, rawProxy string, roots []byte) (*issuer.Manager, *record) {
	t.Helper()
	p, err := issuer.ParseProxy(rawProxy)
	if err != nil {
		t.Fatal(err)
	}
	o := issuer.Options{Proxy: p, Logger: discard(), Resolver: &names{}}
	if roots != nil {
		if o.RootCAs, err = issuer.ParseRoots(roots); err != nil {
			t.Fatal(err)
		}
	}
	rec := newRecord()
	o.Observer = rec
	m := issuer.New(o)
	run(t, m)
	return m, rec
}

func hostOf(rawURL string) string { return strings.TrimPrefix(rawURL, "https://") }

func TestFetchesLeaveThroughTheDeclaredProxy(t *testing.T) {
	t.Parallel()
	t.Run("by CONNECT with the host's name, at a proxy on a private address", func(t *testing.T) {
		t.Parallel()
		iss := startTLS(t, fake.TLS{})
		_, port, _ := net.SplitHostPort(hostOf(iss.URL()))
		p := startProxy(t, "127.0.0.1:"+port, "")
		m, rec := proxied(t, "http://user:pass%20word@"+p.address, nil)
		settle(t, m, issuer.Source{Name: corp, Digest: digest, URL: iss.URL(), CABundle: iss.CABundle()})
		if _, err := m.Keys(t.Context(), corp, digest, "key-1"); err != nil {
			st, _ := m.Status(corp)
			t.Fatal(err, st.Message)
		}
		asked := p.requests()
		if len(asked) == 0 || asked[0].Method != http.MethodConnect || asked[0].Host != idp+":"+port ||
			asked[0].Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("user:pass word")) {
			t.Errorf("asked %+v", asked)
		}
		if rec.last(corp) != issuer.ResultOK {
			t.Errorf("result %q", rec.last(corp))
		}
	})
	t.Run("F180: a root that is declared for all stands in for the system's, and not for an issuer's own", func(t *testing.T) {
		t.Parallel()
		iss := startTLS(t, fake.TLS{})
		_, port, _ := net.SplitHostPort(hostOf(iss.URL()))
		p := startProxy(t, "127.0.0.1:"+port, "")
		m, rec := proxied(t, "http://"+p.address, iss.CABundle())
		settle(t, m, issuer.Source{Name: corp, Digest: digest, URL: iss.URL()})
		if _, err := m.Keys(t.Context(), corp, digest, "key-1"); err != nil {
			t.Error(err)
		}
		settle(t, m, issuer.Source{Name: corp, Digest: "own", URL: iss.URL(), CABundle: wrongCA(t)})
		if _, err := m.Keys(t.Context(), corp, "own", "key-1"); err == nil || rec.last(corp) != issuer.ResultTLS {
			t.Errorf("%v, result %q", err, rec.last(corp))
		}
	})
	t.Run("not where private ranges are listed: the address that is checked is the one that is dialled", func(t *testing.T) {
		t.Parallel()
		iss := startTLS(t, fake.TLS{})
		p := startProxy(t, "", "HTTP/1.1 500 x\r\n\r\n")
		parsed, err := issuer.ParseProxy("http://" + p.address)
		if err != nil {
			t.Fatal(err)
		}
		m := issuer.New(issuer.Options{Proxy: parsed, Logger: discard(), Resolver: &names{table: map[string][]string{idp: {"127.0.0.1"}}}})
		run(t, m)
		src := sourceOf(corp, iss, iss.CABundle())
		settle(t, m, src)
		if _, err := m.Keys(t.Context(), corp, digest, "key-1"); err != nil || len(p.requests()) != 0 {
			t.Errorf("%v, %d requests to the proxy", err, len(p.requests()))
		}
	})
	t.Run("F163: over https, and held to the declared roots", func(t *testing.T) {
		t.Parallel()
		// The proxy is a TLS server that knows no CONNECT: what counts is that it is asked
		// only after its certificate was judged.
		iss := startTLS(t, fake.TLS{Name: "127.0.0.1"})
		_, port, _ := net.SplitHostPort(hostOf(iss.URL()))
		for name, roots := range map[string][]byte{"known": iss.CABundle(), "unknown": nil} {
			m, rec := proxied(t, "https://127.0.0.1:"+port, roots)
			settle(t, m, issuer.Source{Name: corp, Digest: digest, URL: "https://login.corp.example"})
			st, _ := m.Status(corp)
			if judged := strings.Contains(st.Message, "TLS"); rec.last(corp) != issuer.ResultProxy || judged != (name == "unknown") {
				t.Errorf("%s roots: %q, %s", name, rec.last(corp), st.Message)
			}
		}
	})
}

func TestAProxyThatDoesNotConnectIsAFailedFetch(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		answer string
		says   string
	}{
		"it refuses":                  {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403"},
		"it wants a credential":       {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"},
		"it redirects":                {"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\n\r\n", "302"},
		"it speaks no HTTP":           {"SSH-2.0-OpenSSH\r\n", "not HTTP"},
		"F165: its answer has no end": {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Y: z\r\n", 4000), "too long"},
		"it speaks for the issuer":    {"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01", "before the peer can"},
		"it hangs up":                 {" ", "not HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, "", of.answer)
			m, rec := proxied(t, "http://user:secretword@"+p.address, nil)
			settle(t, m, issuer.Source{Name: corp, Digest: digest, URL: "https://login.corp.example"})
			st, _ := m.Status(corp)
			if rec.last(corp) != issuer.ResultProxy || !strings.Contains(st.Message, of.says) || strings.Contains(st.Message, "secretword") {
				t.Errorf("%q: %s", rec.last(corp), st.Message)
			}
		})
	}
	t.Run("F178: it does not answer", func(t *testing.T) {
		t.Parallel()
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts by itself, and says nothing
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		p, err := issuer.ParseProxy("http://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		rec := newRecord()
		m := issuer.New(issuer.Options{Proxy: p, Logger: discard(), Observer: rec, FetchTimeout: 100 * time.Millisecond})
		run(t, m)
		settle(t, m, issuer.Source{Name: corp, Digest: digest, URL: "https://login.corp.example"})
		if rec.last(corp) != issuer.ResultTimeout {
			t.Errorf("result %q", rec.last(corp))
		}
	})
	t.Run("F159: it is not asked for what only means something inside", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", "HTTP/1.1 200 OK\r\n\r\n")
		m, rec := proxied(t, "http://"+p.address, nil)
		settle(t, m, issuer.Source{Name: corp, Digest: digest, URL: "https://metadata.google.internal"})
		if rec.last(corp) != issuer.ResultAddress || len(p.requests()) != 0 {
			t.Errorf("result %q, %d requests", rec.last(corp), len(p.requests()))
		}
	})
}

func TestAProxyIsDeclaredInOneForm(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		raw string
		ok  bool
	}{
		"a host and a port":    {"http://proxy.corp.example:3128", true},
		"an address":           {"http://10.0.0.1:3128/", true},
		"with a credential":    {"https://user:pass@proxy.corp.example:443", true},
		"without a port":       {"http://proxy.corp.example", false},
		"without a host":       {"http://:3128", false},
		"without a scheme":     {"proxy.corp.example:3128", false},
		"another scheme":       {"socks5://proxy.corp.example:1080", false},
		"a path":               {"http://proxy.corp.example:3128/pac", false},
		"a query":              {"http://proxy.corp.example:3128?x", false},
		"nothing":              {"", false},
		"a secret, ill-formed": {"http://user:secretword@%zz:3128", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := issuer.ParseProxy(of.raw)
			if (err == nil) != of.ok {
				t.Fatalf("%v, %v", p, err)
			}
			if err != nil && strings.Contains(err.Error(), "secretword") {
				t.Error(err)
			}
			if err == nil && strings.Contains(p.String(), "pass") {
				t.Error(p)
			}
		})
	}
	if _, err := issuer.ParseRoots([]byte("no certificate")); err == nil {
		t.Error("a bundle without a certificate passes for one")
	}
}
