// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
)

// maxProxyAnswer bounds what a proxy may say to CONNECT: a status line and a few
// headers. Refusals with a page are cut; only their status is told.
const maxProxyAnswer = 16 << 10

// errProxy is what every failure at the egress proxy wraps.
var errProxy = errors.New("egress proxy")

// Proxy is an HTTP proxy that fetches leave through. It is declared by whoever runs
// the process, so that the rules about addresses are not for its own address; it is
// never taken from the environment.
type Proxy struct {
	address string // host:port
	host    string
	tls     bool
	auth    string // Proxy-Authorization, empty for none
}

// ParseProxy reads a proxy's URL: http://host:port or https://host:port, with a
// user name and a password where it wants them. No error repeats them.
func ParseProxy(raw string) (*Proxy, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || len(raw) > egress.MaxURLBytes:
		return nil, errors.New("egress proxy: it is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("egress proxy: expected http://host:port or https://host:port")
	case u.Hostname() == "" || u.Port() == "":
		return nil, errors.New("egress proxy: expected a host and a port")
	case (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("egress proxy: expected nothing behind the port")
	}
	p := &Proxy{address: u.Host, host: u.Hostname(), tls: u.Scheme == "https"}
	if u.User != nil {
		password, _ := u.User.Password()
		p.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	return p, nil
}

// String is the proxy's address, without its credential.
func (p *Proxy) String() string { return p.address }

// ParseRoots makes a pool of the system's roots and of a PEM bundle, such as that of
// a proxy that looks into TLS. It stands in for the system's roots; an issuer that
// declares its own authority is held to that alone.
func ParseRoots(bundle []byte) (*x509.CertPool, error) {
	if _, err := ParseBundle(bundle); err != nil { // refuses what AppendCertsFromPEM would skip
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM(bundle)
	return pool, nil
}

// tunnel dials through a proxy by CONNECT.
type tunnel struct {
	proxy    *Proxy
	rules    egress.Rules
	roots    *x509.CertPool
	resolver egress.Resolver
	dial     egress.DialFunc
}

// DialContext has the shape that http.Transport wants. A panic below it is an error,
// as in egress.Dialer.
func (t *tunnel) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	defer func() {
		if recover() != nil {
			conn, err = nil, fmt.Errorf("%w: panic on the way to it", errProxy)
		}
	}()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: expected host:port", errProxy)
	}
	if err := t.rules.CheckProxied(host); err != nil {
		return nil, err
	}
	conn, err = t.reach(ctx, network)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", errProxy, t.proxy.address, err)
	}
	// A deadline is all that a handshake in the caller's goroutine can be ended by.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	conn, err = t.shake(ctx, conn, address)
	if !stop() && err == nil {
		_ = conn.Close()
		err = ctx.Err()
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, fmt.Errorf("%w %s: %w", errProxy, t.proxy.address, err)
	}
	return conn, nil
}

// reach connects to the proxy, at whatever address it has.
func (t *tunnel) reach(ctx context.Context, network string) (net.Conn, error) {
	if t.dial == nil {
		return (&net.Dialer{}).DialContext(ctx, network, t.proxy.address)
	}
	_, port, err := net.SplitHostPort(t.proxy.address)
	if err != nil {
		return nil, err
	}
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(t.proxy.host); err == nil {
		addrs = append(addrs, a)
	} else if addrs, err = t.resolver.LookupNetIP(ctx, "ip", t.proxy.host); err != nil {
		return nil, fmt.Errorf("%w: %w", egress.ErrResolve, err)
	}
	err = errors.New("its name has no address")
	for _, a := range addrs {
		var conn net.Conn
		if conn, err = t.dial(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// shake asks for the connection. Whatever fails closes conn.
func (t *tunnel) shake(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	if t.proxy.tls {
		secure := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.proxy.host, RootCAs: t.roots})
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("its TLS: %s", clip(err.Error()))
		}
		conn = secure
	}
	if err := t.connect(conn, address); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func (t *tunnel) connect(conn net.Conn, address string) error {
	var ask strings.Builder
	fmt.Fprintf(&ask, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: exchequer\r\n", address, address)
	if t.proxy.auth != "" {
		ask.WriteString("Proxy-Authorization: " + t.proxy.auth + "\r\n")
	}
	if _, err := io.WriteString(conn, ask.String()+"\r\n"); err != nil {
		return errors.New("it does not take the request")
	}
	from := bufio.NewReader(io.LimitReader(conn, maxProxyAnswer))
	resp, err := http.ReadResponse(from, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return errors.New("its answer is not HTTP, or too long")
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("expected status 200 for CONNECT, found %d", resp.StatusCode)
	}
	if from.Buffered() > 0 {
		// The peer speaks second in TLS: these are not its bytes.
		return errors.New("it says something before the peer can")
	}
	return nil
}
