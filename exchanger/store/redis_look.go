// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// lookEvery is how often the server is looked at, whoever asks.
const lookEvery = 2 * time.Second

// errUnfit means that the server must not be used as it is.
var errUnfit = errors.New("the server must not be used as it is")

// Run looks at the server now and then until ctx ends: what is not asked for is
// known to be well all the same, and what was down is used again. It returns nil.
func (r *Redis) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		_ = r.Look(ctx) // it is told
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Look looks at the server now, and says why it cannot be used, if so. It is for
// people and for tests: nothing waits for it.
func (r *Redis) Look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 4*r.options.Deadline)
	defer cancel()
	err := func() error {
		conn := r.client.Conn()
		defer func() { _ = conn.Close() }()
		return r.look(ctx, conn)
	}()
	if unfit := r.trouble.Load(); err != nil && unfit != nil {
		err = *unfit // the client's own error does not say more than that
	}
	r.circuit.report(err == nil || resultOf(err) != resultUnanswered)
	if err != nil && !errors.Is(err, errUnfit) {
		r.tell(err, -1)
	}
	return err
}

// waitFor bounds Wait: the server may be down, and most requests need nothing of it.
const waitFor = 2 * time.Second

// Wait returns at Since, or after two seconds, or with ctx. What is issued in the
// second in which a store begins is refused, however fresh it is; a program that waits
// before it serves refuses nobody.
func (r *Redis) Wait(ctx context.Context) error {
	_ = r.Look(ctx) // it is told; whoever needs the store is told by a refusal
	timer := time.NewTimer(min(time.Until(r.Since()), waitFor))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// server is what a server says of itself.
type server struct {
	runID, version, policy, role, mode string
	evicted                            int64
	replicas                           int
}

// look reads what a server says of itself, at the beginning of every connection.
func (r *Redis) look(ctx context.Context, conn *redis.Conn) error {
	text, err := conn.Info(ctx).Result()
	if err != nil {
		return fmt.Errorf("ask the server for INFO: %w", err)
	}
	s := parseInfo(text)
	if err := s.fit(r.options.Replicas); err != nil {
		r.trouble.Store(&err)
		r.tell(err, s.evicted)
		return err
	}
	if err := r.beginOn(ctx, conn, s); err != nil {
		return err
	}
	r.trouble.Store(nil)
	r.tell(nil, s.evicted)
	return nil
}

func parseInfo(text string) server {
	var s server
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "run_id":
			s.runID = value
		case "redis_version":
			s.version = value
		case "redis_mode":
			s.mode = value
		case "maxmemory_policy":
			s.policy = value
		case "role":
			s.role = value
		case "evicted_keys":
			s.evicted, _ = strconv.ParseInt(value, 10, 64)
		case "connected_slaves":
			s.replicas, _ = strconv.Atoi(value)
		}
	}
	return s
}

// fit says why the server must not be used.
func (s server) fit(replicas int) error {
	var what string
	switch {
	case s.runID == "" || s.policy == "" || s.role == "":
		what = "it does not say what it is: its user must be allowed INFO"
	case older(s.version):
		what = "expected version 6.2 or later, found " + s.version
	case s.policy != "noeviction":
		what = "expected maxmemory-policy noeviction, found " + s.policy + ": it would forget what was used to make room"
	case s.role != "master":
		what = "it is a replica: give the address of the primary"
	case s.mode != "standalone":
		what = "expected one primary, found mode " + s.mode + ": a cluster cannot change several keys at once"
	case s.replicas < replicas:
		what = fmt.Sprintf("expected at least %d replicas to confirm writes, found %d", replicas, s.replicas)
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", errUnfit, what)
}

func older(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return err1 != nil || err2 != nil || a < 6 || a == 6 && b < 2
}

// begin finds out since when the server has kept everything.
func (r *Redis) begin(ctx context.Context) error {
	conn := r.client.Conn()
	defer func() { _ = conn.Close() }()
	return r.look(ctx, conn)
}

func (r *Redis) beginOn(ctx context.Context, conn *redis.Conn, s server) error {
	said, err := beginScript.Run(ctx, conn, []string{marker}, hex.EncodeToString([]byte(nonce())), s.runID, s.evicted).Text()
	if err != nil {
		return err
	}
	fields := strings.Fields(said)
	if len(fields) != 4 {
		return fmt.Errorf("%w: %s is not what was written there", errUnfit, marker)
	}
	seconds, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %s is not what was written there", errUnfit, marker)
	}
	next := &epoch{said, time.Unix(seconds, 0)}
	for {
		before := r.known.Load()
		if before != nil && before.marker == said {
			return nil
		}
		if before != nil && before.since.After(next.since) {
			// Since never goes back, whichever of two servers answers.
			next = &epoch{said, before.since}
		}
		if r.known.CompareAndSwap(before, next) {
			if before != nil && r.options.Log != nil {
				r.options.Log.Warn("the store for one-time state may have lost what was written last: what was issued before is refused where it is good only once", "since", next.since.UTC())
			}
			return nil
		}
	}
}

// tell tells when the server comes and goes. evicted is -1 where it is not known.
func (r *Redis) tell(err error, evicted int64) {
	r.looked.Lock()
	defer r.looked.Unlock()
	if o := r.options.Observer; o != nil {
		o.StoreState(err == nil, evicted)
	}
	ready := err == nil
	if r.told && ready == r.ready {
		return
	}
	r.told, r.ready = true, ready
	switch l := r.options.Log; {
	case l == nil:
	case ready:
		l.Info("the store for one-time state is ready")
	default:
		l.Error("the store for one-time state cannot be used: what needs it is refused", "error", err)
	}
}

// Ready says whether the last look found a server that can be used.
func (r *Redis) Ready() bool {
	r.looked.Lock()
	defer r.looked.Unlock()
	return r.told && r.ready && r.circuit.closed()
}
