// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"log/slog"
	"net"
	"time"

	"golang.org/x/time/rate"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
)

// Options are the knobs of a Manager; every zero field means its default.
type Options struct {
	// FetchTimeout bounds one fetch: discovery, keys, names and handshakes
	// together. Default 10 s.
	FetchTimeout time.Duration
	// RefreshInterval is the longest time between two fetches that succeed,
	// and so the longest that a removed key is still accepted while its issuer
	// answers. A server's max-age can only shorten it, to a minute at least.
	// Default 10 min, at most 24 h.
	RefreshInterval time.Duration
	// Cooldown is the least time between two fetches of one issuer that
	// unknown keys cause. Default 30 s.
	Cooldown time.Duration
	// StaleBound is how long keys serve after the last fetch that succeeded.
	// Default 24 h.
	StaleBound time.Duration
	// CarrierFresh says whether whoever carries keys to us (Source.Carried) was
	// heard of lately. While it is true, carried keys do not end and nothing is
	// polled; while it is false, they are polled for and end like all others. Nil:
	// nobody carries, and Carried only says where this process begins. It is asked
	// often, and must not block.
	CarrierFresh func() bool
	// Now is the clock; default time.Now. It must run with the timers of
	// package time, as both do in a testing/synctest bubble.
	Now func() time.Time
	// Jitter returns numbers in [0, 1); default a random one.
	Jitter func() float64
	// Proxy is what fetches leave through; default none. Sources with AllowedCIDRs
	// are dialled directly all the same (egress.Rules.Direct).
	Proxy *Proxy
	// RootCAs are who may sign the certificates of issuers that declare no authority
	// of their own, and of the proxy; default the system's. See ParseRoots.
	RootCAs *x509.CertPool
	// Resolver and Dial replace the network; default the system's.
	Resolver egress.Resolver
	Dial     egress.DialFunc
	// Observer counts fetches; default nobody.
	Observer Observer
	// OnChange is called after the status of an issuer changed, from any
	// goroutine and without locks held. It must not block.
	OnChange func(name string)
	// Logger is told of state changes; default slog's.
	Logger *slog.Logger

	// turns spreads the fetches of all sources that nobody waits for.
	turns *rate.Limiter
}

// Observer counts fetches.
type Observer interface {
	// Fetched is called once per fetch, from the issuer's worker. The name is
	// that of a TrustedIssuer, the result of a closed set.
	Fetched(name string, result Result, took time.Duration)
}

func (o Options) orDefaults() Options {
	setDefault(&o.FetchTimeout, 10*time.Second)
	setDefault(&o.RefreshInterval, 10*time.Minute)
	setDefault(&o.Cooldown, 30*time.Second)
	setDefault(&o.StaleBound, 24*time.Hour)
	o.RefreshInterval = min(o.RefreshInterval, maxMaxAge)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.turns == nil {
		o.turns = rate.NewLimiter(turnsPerSecond, turnsAtOnce)
	}
	if o.Dial != nil && o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Jitter == nil {
		o.Jitter = jitter
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d <= 0 {
		*d = to
	}
}

// jitter needs no secret randomness, but one source of it is one less to judge.
func jitter() float64 {
	var b [8]byte
	_, _ = rand.Read(b[:])                                           // never fails (crypto/rand)
	return float64(binary.NativeEndian.Uint64(b[:])>>11) / (1 << 53) // the 53 bits that a float64 holds
}
