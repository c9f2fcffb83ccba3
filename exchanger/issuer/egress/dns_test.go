// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package egress_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
)

// dnsServer speaks DNS over streams in memory: Go's own resolver asks it.
type dnsServer struct {
	mu    sync.Mutex
	reply func(query []byte) []byte
	all   sync.WaitGroup
}

func (d *dnsServer) set(reply func([]byte) []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reply = reply
}

func (d *dnsServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		d.all.Go(func() { d.serve(there) })
		return here, nil
	}}
}

func (d *dnsServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		d.mu.Lock()
		reply := d.reply
		d.mu.Unlock()
		answer := reply(query)
		if answer == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answering makes a well-formed reply with the given addresses to questions for A.
func answering(addrs ...[4]byte) func([]byte) []byte {
	return func(query []byte) []byte {
		var m dnsmessage.Message
		if m.Unpack(query) != nil {
			return nil
		}
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			for _, a := range addrs {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: a},
				})
			}
		}
		out, err := m.Pack()
		if err != nil {
			return nil
		}
		return out
	}
}

// spoiled is a well-formed reply that was changed.
func spoiled(change func(b []byte) []byte) func([]byte) []byte {
	good := answering([4]byte{127, 0, 0, 1})
	return func(query []byte) []byte { return change(good(query)) }
}

func TestHostileDNSAnswersAreErrors(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		reply func([]byte) []byte
		want  error
	}{
		"F189: nothing":              {func([]byte) []byte { return nil }, nil},
		"F189: an empty message":     {func([]byte) []byte { return []byte{} }, nil},
		"F189: half a header":        {spoiled(func(b []byte) []byte { return b[:6] }), nil},
		"F189: a header alone":       {spoiled(func(b []byte) []byte { return b[:12] }), nil},
		"F189: the reply to another": {spoiled(func(b []byte) []byte { b[0]++; return b }), nil},
		"F189: 65,535 questions":     {spoiled(func(b []byte) []byte { b[4], b[5] = 0xff, 0xff; return b }), nil},
		"F189: a name that points at itself": {spoiled(func(b []byte) []byte {
			at := bytes.LastIndex(b, []byte{0, 1, 0, 1}) - 2 // the answer's name is before its type and class
			if at > 12 {
				b[at], b[at+1] = 0xc0|byte(at>>8), byte(at)
			}
			return b
		}), nil},
		"F189: noise":                   {spoiled(func(b []byte) []byte { return append(b[:12:12], bytes.Repeat([]byte{0xc0}, 4000)...) }), nil},
		"F189: no address":              {answering(), egress.ErrResolve},
		"F159: a metadata service":      {answering([4]byte{169, 254, 169, 254}), egress.ErrAddress},
		"F161: 1,000 private addresses": {answering(many([4]byte{10, 0, 0, 1}, 1000)...), egress.ErrAddress},
		"F160: this host":               {answering([4]byte{0, 0, 0, 0}), egress.ErrAddress},
		"F189: SERVFAIL":                {spoiled(func(b []byte) []byte { b[3] |= 2; return b }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dns := &dnsServer{reply: of.reply}
			dialled := ""
			d := &egress.Dialer{
				Resolver: dns.resolver(),
				Rules:    egress.Rules{Loopback: true, AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
				Dial: func(_ context.Context, _, address string) (net.Conn, error) {
					dialled = address
					here, there := net.Pipe()
					_ = there.Close()
					return here, nil
				},
			}
			dial := func(patience time.Duration) error {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				conn, err := d.DialContext(ctx, "tcp", "corp.example.:443")
				if err == nil {
					_ = conn.Close()
				}
				return err
			}
			patience := 200 * time.Millisecond // the resolver waits for a better reply
			if of.want != nil {
				patience = 10 * time.Second // this one is a reply
			}
			err := dial(patience)
			var timeout net.Error
			switch {
			case err == nil || dialled != "":
				t.Fatalf("%s was dialled: %v", dialled, err)
			case of.want != nil && !errors.Is(err, of.want):
				t.Errorf("%v, want %v", err, of.want)
			case of.want == nil && !errors.Is(err, egress.ErrResolve) && (!errors.As(err, &timeout) || !timeout.Timeout()):
				t.Errorf("%v", err)
			}
			dns.set(answering([4]byte{127, 0, 0, 1}))
			if err := dial(10 * time.Second); err != nil || dialled != "127.0.0.1:443" {
				t.Errorf("after its recovery: %q, %v", dialled, err)
			}
			dns.all.Wait()
		})
	}
}

func many(a [4]byte, n int) [][4]byte {
	out := make([][4]byte, n)
	for i := range out {
		out[i] = a
		out[i][2], out[i][3] = byte(i>>8), byte(i)
	}
	return out
}
