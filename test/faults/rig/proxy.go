// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"net"
	"sync"
	"time"
)

// Proxy carries TCP connections to one address, and fails them on request.
type Proxy struct {
	target   string
	listener net.Listener
	group    sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when what follows changes
	cut     bool
	frozen  bool
	delay   time.Duration
	open    map[net.Conn]bool // true: forgotten, see Forget
	closed  bool
}

// NewProxy carries to an address that need not be there yet.
func NewProxy(target string) (*Proxy, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: l, open: map[net.Conn]bool{}, changed: make(chan struct{})}
	p.group.Go(p.accept)
	return p, nil
}

// Address is the host and port that it listens on.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Cut resets every connection and refuses new ones, until Heal.
func (p *Proxy) Cut() {
	p.change(func() { p.cut = true })
	p.reset()
}

// Freeze lets no byte through any more and closes nothing, as a firewall does
// that forgot a connection: both sides believe that it is open. New connections
// are accepted and say nothing.
func (p *Proxy) Freeze() { p.change(func() { p.frozen = true }) }

// Slow holds every piece of data for a time on its way.
func (p *Proxy) Slow(by time.Duration) { p.change(func() { p.delay = by }) }

// Heal ends Cut, Freeze and Slow. Connections that were frozen go on.
func (p *Proxy) Heal() { p.change(func() { p.cut, p.frozen, p.delay = false, false, 0 }) }

// Forget is Heal for new connections; those that were frozen never say another
// word, and nobody is told.
func (p *Proxy) Forget() {
	p.mu.Lock()
	for c := range p.open {
		p.open[c] = true
	}
	p.mu.Unlock()
	p.Heal()
}

// Close ends all connections.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.change(func() { p.closed = true })
	p.reset()
	p.group.Wait()
}

func (p *Proxy) change(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, not a polite end
		}
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		down, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse := p.cut || p.closed
		if !refuse {
			p.open[down] = false
		}
		p.mu.Unlock()
		if refuse {
			if tcp, ok := down.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = down.Close()
			continue
		}
		p.group.Go(func() { p.carry(down) })
	}
}

func (p *Proxy) carry(down net.Conn) {
	defer p.drop(down)
	if !p.pass(down) {
		return
	}
	up, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.open[up] = p.open[down]
	p.mu.Unlock()
	defer p.drop(up)
	var both sync.WaitGroup
	both.Go(func() { p.copy(up, down) })
	both.Go(func() { p.copy(down, up) })
	both.Wait()
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
}

func (p *Proxy) copy(to, from net.Conn) {
	// Either end ends both: what is asked through here has no half-closed state.
	defer func() { _ = to.Close(); _ = from.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !p.pass(from) {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits until data of a connection may go on.
func (p *Proxy) pass(c net.Conn) bool {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		<-time.After(delay)
	}
	for {
		p.mu.Lock()
		frozen, closed, changed := p.frozen || p.open[c], p.closed, p.changed
		p.mu.Unlock()
		if closed {
			return false
		}
		if !frozen {
			return true
		}
		<-changed
	}
}
