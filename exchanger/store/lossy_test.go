// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// lossy stands between a store and its server, and loses answers: the server has
// done what it was asked, and the connection ends.
type lossy struct {
	listener net.Listener
	server   string
	toLose   atomic.Int64
}

func newLossy(t *testing.T, port int) *lossy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &lossy{listener: l, server: fmt.Sprintf("127.0.0.1:%d", port)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(c)
		}
	}()
	return p
}

func (p *lossy) url() string { return "redis://" + p.listener.Addr().String() }

// lose makes the next n answers get lost.
func (p *lossy) lose(n int64) { p.toLose.Store(n) }
func (p *lossy) left() int64  { return p.toLose.Load() }

func (p *lossy) carry(c net.Conn) {
	defer func() { _ = c.Close() }()
	s, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	go func() {
		_, _ = io.Copy(s, c)
		_ = s.Close()
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := s.Read(b)
		if err != nil {
			return
		}
		if p.toLose.Load() > 0 {
			p.toLose.Add(-1)
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}
