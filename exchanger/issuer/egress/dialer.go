// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

const (
	// maxAddresses bounds how many answers of one name are judged; large
	// services publish up to about a dozen per family.
	maxAddresses = 32
	// maxAttempts × attemptTimeout = 4 × 3 s: what one dial may take beyond
	// the resolver, when the caller's own deadline is not nearer.
	maxAttempts    = 4
	attemptTimeout = 3 * time.Second
	// resolveTimeout is two tries of a stub resolver.
	resolveTimeout = 5 * time.Second
)

// ErrResolve and ErrConnect tell the two ways in which a dial that was allowed
// can fail.
var (
	ErrResolve = errors.New("resolve host")
	ErrConnect = errors.New("connect")
)

// Resolver turns a name into addresses; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// DialFunc opens a connection to an address that has been checked.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dialer resolves a host once, judges every answer and dials judged addresses
// only.
type Dialer struct {
	// Rules says what may be dialled.
	Rules Rules
	// Resolver is net.DefaultResolver when nil.
	Resolver Resolver
	// Dial is a net.Dialer's when nil. It is given IP addresses only.
	Dial DialFunc
}

// DialContext has the shape that http.Transport wants. An answer that may not
// be dialled is not dialled even when all others fail. A panic below it is an
// error: http.Transport calls it in a goroutine of its own, where nobody else
// could recover it.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	defer func() {
		if p := recover(); p != nil {
			conn, err = nil, fmt.Errorf("%w: panic in the resolver or dialer", ErrResolve)
		}
	}()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: expected host:port", ErrConnect)
	}
	addrs, err := d.permitted(ctx, host)
	if err != nil {
		return nil, err
	}
	var last error
	for i, a := range addrs {
		if i == maxAttempts || ctx.Err() != nil {
			break
		}
		conn, err := d.dialOne(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	if last == nil {
		last = ctx.Err()
	}
	return nil, fmt.Errorf("%w to %q: %w", ErrConnect, address, last)
}

func (d *Dialer) dialOne(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if d.Dial != nil {
		return d.Dial(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// permitted returns the addresses of host that may be dialled; none is an
// error that names one refusal.
func (d *Dialer) permitted(ctx context.Context, host string) ([]netip.Addr, error) {
	found, err := d.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var ok []netip.Addr
	var refused error
	for _, a := range found[:min(len(found), maxAddresses)] {
		err := d.Rules.CheckAddr(a)
		if err == nil && isLocalName(host) && !a.Unmap().IsLoopback() {
			err = fmt.Errorf("host %q %w: it %w", host, ErrAddress, errNotLocal)
		}
		if err != nil {
			refused = err
			continue
		}
		ok = append(ok, a.Unmap())
	}
	if len(ok) == 0 {
		return nil, fmt.Errorf("none of the %d addresses of host %q is allowed: %w", len(found), host, refused)
	}
	return ok, nil
}

func (d *Dialer) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	var resolver Resolver = net.DefaultResolver
	if d.Resolver != nil {
		resolver = d.Resolver
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	found, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrResolve, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w %q: no addresses", ErrResolve, host)
	}
	return found, nil
}
