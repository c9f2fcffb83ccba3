// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxFile bounds the files of credentials: a bundle of some hundred certificates.
const maxFile = 1 << 20

// RedisAddress is where a Redis is, and how one is let in. Files are read anew for
// every connection, and none is older than about ten minutes: what is rotated is used
// without a restart.
type RedisAddress struct {
	// URL is rediss://host:port or rediss://host:port/database; redis:// to loopback
	// addresses alone. It has no credentials: command lines are seen by others.
	URL string
	// Username is for servers with ACLs.
	Username string
	// PasswordFile has the password, with nothing but a line's end behind it.
	PasswordFile string
	// CA is a PEM file of who may sign for the server; without it, the system's.
	CA string
	// Certificate and Key are PEM files that show the server who we are.
	Certificate, Key string

	host, name string
	database   int
	plain      bool
}

// Check says what is wrong with the address, or with the files, which are there when
// a program starts.
func (a *RedisAddress) Check() error {
	u, err := url.Parse(a.URL)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return fmt.Errorf("the store's address: expected rediss://host:port, or redis://127.0.0.1:port on this machine, found %q", redacted(u))
	}
	if u.User != nil {
		return errors.New("the store's address: expected no credentials in it, since command lines are seen by others; give a user name and a file with the password")
	}
	switch u.Scheme {
	case "rediss":
	case "redis":
		ip, err := netip.ParseAddr(u.Hostname())
		if u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
			return fmt.Errorf("the store's address: expected rediss://, which is TLS, found redis://%s: only a loopback address goes without", u.Host)
		}
		a.plain = true
	default:
		return fmt.Errorf("the store's address: expected rediss:// or redis://, found %q", redacted(u))
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		if a.database, err = strconv.Atoi(path); err != nil || a.database < 0 {
			return fmt.Errorf("the store's address: expected the number of a database behind the slash, found %q", path)
		}
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	a.name, a.host = u.Hostname(), net.JoinHostPort(u.Hostname(), port)
	return a.files()
}

// files looks whether what is to be read can be: at the start, where it is told best.
func (a *RedisAddress) files() error {
	var errs []error
	if (a.Certificate == "") != (a.Key == "") {
		errs = append(errs, errors.New("the store's client certificate and its key: expected both or neither"))
	}
	if a.plain && (a.CA != "" || a.Certificate != "") {
		errs = append(errs, errors.New("the store's address is redis://, which has no TLS: expected no certificates, or rediss://"))
	}
	if _, _, err := a.credentials(context.Background()); err != nil {
		errs = append(errs, err)
	}
	if _, err := a.tls(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// redacted is an address as it may be shown.
func redacted(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// credentials are those of this moment.
func (a *RedisAddress) credentials(context.Context) (user, password string, err error) {
	if a.PasswordFile == "" {
		return a.Username, "", nil
	}
	b, err := read(a.PasswordFile)
	if err != nil {
		return "", "", fmt.Errorf("the store's password: %w", err)
	}
	if password = strings.TrimRight(string(b), "\r\n"); password == "" {
		return "", "", fmt.Errorf("the store's password: %s is empty", a.PasswordFile)
	}
	return a.Username, password, nil
}

// tls is the configuration of this moment.
func (a *RedisAddress) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.name}
	if a.CA != "" {
		b, err := read(a.CA)
		if err != nil {
			return nil, fmt.Errorf("who signs for the store: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("who signs for the store: expected PEM certificates, found none in %s", a.CA)
		}
	}
	if a.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(a.Certificate, a.Key)
		if err != nil {
			return nil, fmt.Errorf("the store's client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// dial connects, with TLS or to loopback.
func (a *RedisAddress) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	d := net.Dialer{Timeout: time.Second}
	if a.plain {
		d.Control = loopbackOnly
		return d.DialContext(ctx, "tcp", a.host)
	}
	config, err := a.tls()
	if err != nil {
		return nil, err
	}
	return (&tls.Dialer{NetDialer: &d, Config: config}).DialContext(ctx, "tcp", a.host)
}

// loopbackOnly looks at the address itself: what localhost is, somebody else says.
func loopbackOnly(_, address string, _ syscall.RawConn) error {
	ip, err := netip.ParseAddrPort(address)
	if err != nil || !ip.Addr().IsLoopback() {
		return errors.New("a store without TLS must be on loopback")
	}
	return nil
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", file, maxFile)
	}
	return b, nil
}
