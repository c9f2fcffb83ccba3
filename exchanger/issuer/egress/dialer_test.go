// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package egress_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
)

// answers gives one answer per look-up, the last one for ever.
type answers struct {
	list  [][]string
	calls int
	err   error
}

func (a *answers) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	if a.err != nil {
		return nil, a.err
	}
	n := min(a.calls, len(a.list)-1)
	a.calls++
	var out []netip.Addr
	for _, s := range a.list[n] {
		out = append(out, netip.MustParseAddr(s))
	}
	return out, nil
}

// wire records what is dialled and refuses some of it.
type wire struct {
	dialled []string
	down    []string
}

func (w *wire) dial(_ context.Context, _, address string) (net.Conn, error) {
	w.dialled = append(w.dialled, address)
	if slices.Contains(w.down, address) {
		return nil, errors.New("connection refused")
	}
	c, _ := net.Pipe()
	return c, nil
}

func TestOnlyJudgedAddressesAreDialled(t *testing.T) {
	t.Parallel()
	const public, second = "93.184.215.14", "93.184.215.15"
	cases := map[string]struct {
		host    string
		answers [][]string
		down    []string
		dials   int
		want    []string // dialled, in order
		err     error
	}{
		"a public answer is dialled by its address": {
			host: "a.example", answers: [][]string{{public}}, dials: 1, want: []string{public + ":443"},
		},
		"F159: a name that resolves to a private address is not dialled": {
			host: "a.example", answers: [][]string{{"10.0.0.1"}}, dials: 1, err: egress.ErrAddress,
		},
		"F160: a second answer after the check has no say": {
			host: "a.example", answers: [][]string{{public}, {"127.0.0.1"}}, dials: 1, want: []string{public + ":443"},
		},
		"F160: every dial judges anew, so a rebound name is refused": {
			host: "a.example", answers: [][]string{{public}, {"127.0.0.1"}}, dials: 2, want: []string{public + ":443"}, err: egress.ErrAddress,
		},
		"F161: of two answers the private one is not dialled": {
			host: "a.example", answers: [][]string{{"10.0.0.1", public}}, dials: 1, want: []string{public + ":443"},
		},
		"F161: the private one is not dialled as a fallback either": {
			host: "a.example", answers: [][]string{{public, "10.0.0.1"}}, down: []string{public + ":443"}, dials: 1,
			want: []string{public + ":443"}, err: egress.ErrConnect,
		},
		"an allowed fallback is dialled": {
			host: "a.example", answers: [][]string{{public, second}}, down: []string{public + ":443"}, dials: 1,
			want: []string{public + ":443", second + ":443"},
		},
		"a mapped answer is dialled as what it is": {
			host: "a.example", answers: [][]string{{"::ffff:" + public}}, dials: 1, want: []string{public + ":443"},
		},
		"a literal is judged too":                  {host: "127.0.0.1", dials: 1, err: egress.ErrAddress},
		"no answer is an error":                    {host: "a.example", answers: [][]string{{}}, dials: 1, err: egress.ErrResolve},
		"a local name stays on this machine":       {host: "idp.localhost", answers: [][]string{{public}}, dials: 1, err: egress.ErrAddress},
		"only so many addresses are tried in turn": {host: "a.example", answers: [][]string{{"8.0.0.1", "8.0.0.2", "8.0.0.3", "8.0.0.4", "8.0.0.5"}}, down: []string{"8.0.0.1:443", "8.0.0.2:443", "8.0.0.3:443", "8.0.0.4:443"}, dials: 1, want: []string{"8.0.0.1:443", "8.0.0.2:443", "8.0.0.3:443", "8.0.0.4:443"}, err: egress.ErrConnect},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &wire{down: tc.down}
			d := egress.Dialer{Resolver: &answers{list: tc.answers}, Dial: w.dial}
			var last error
			for range tc.dials {
				conn, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(tc.host, "443"))
				last = err
				if conn != nil {
					_ = conn.Close()
				}
			}
			if !errors.Is(last, tc.err) {
				t.Fatalf("the last dial: %v, want %v", last, tc.err)
			}
			if !slices.Equal(w.dialled, tc.want) {
				t.Fatalf("dialled %q, want %q", w.dialled, tc.want)
			}
		})
	}
}

type panicking struct{}

func (panicking) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	panic("a reply of a strange shape")
}

func TestADialThatPanicsIsAnError(t *testing.T) {
	t.Parallel()
	t.Run("F189: a panic in the resolver is contained", func(t *testing.T) {
		t.Parallel()
		d := egress.Dialer{Resolver: panicking{}}
		if _, err := d.DialContext(t.Context(), "tcp", "a.example:443"); !errors.Is(err, egress.ErrResolve) {
			t.Fatalf("got %v, want ErrResolve", err)
		}
	})
}

func TestARealConnectionToLoopbackWorksWhenListed(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	d := egress.Dialer{Rules: egress.Rules{AllowedCIDRs: cidrs(t, "127.0.0.0/8"), Loopback: true}}
	conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if _, err := (&egress.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String()); !errors.Is(err, egress.ErrAddress) {
		t.Fatalf("without rules: %v, want ErrAddress", err)
	}
}
