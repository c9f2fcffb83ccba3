// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// The words for why something published is not served.
const (
	refusedPointer  = "PointerUnreadable"
	refusedRevision = "RevisionNotNewer"
	refusedFormat   = "FormatNotReadable"
	refusedChunk    = "ChunkDamaged"
	refusedContent  = "ContentUnreadable"
	refusedCompile  = "CompileFailed"
	refusedPanic    = "CompilePanicked"
)

// refusal is why something published is not served.
type refusal struct {
	revision        uint64
	reason, message string
}

func (r *refusal) Error() string { return r.reason + ": " + r.message }

// parallel is how many slots are read at once.
const parallel = 8

// readAgain is how often the pointer is read again because a slot was not what it
// names: the writer moves it after the slots, within milliseconds.
const readAgain = 3

// take takes in what the cells hold, keys first: a snapshot in force without its
// keys signs nothing. It reports whether all of it could be told.
func (f *Feed) take(ctx context.Context) bool {
	pointer, keys, creds := f.pointer.get(), f.keys.get(), f.creds.get()
	f.noteSole(pointer)
	if !pointer.known || !keys.known || !creds.known {
		// Part of the whole is nothing (and whoever is not allowed to read one of the
		// three does not serve). The watch wakes us, and the read every minute.
		return true
	}
	fresh := !keys.same(f.keysSeen) || !creds.same(f.credsSeen)
	f.followKeys(ctx, keys)
	f.followCredentials(creds)
	settled, swapped := f.takePointer(ctx, pointer)
	switch {
	case f.served == nil:
	case swapped || fresh:
		f.save(ctx)
	default:
		f.saveConfirmed(ctx)
	}
	return settled
}

// followKeys takes over the stored keys. A Secret that is gone, or emptied, by
// somebody's hand says nothing about keys; the ones in use go on.
func (f *Feed) followKeys(ctx context.Context, keys state) {
	if keys.same(f.keysSeen) {
		return
	}
	f.keysSeen = keys
	documents := documentsOf(keys.data())
	if len(documents) == 0 {
		f.o.Log.WarnContext(ctx, "the Secret of signing keys is missing or empty; keys in use go on", "secret", wire.KeysName)
		return
	}
	f.follow(ctx, documents)
}

// followCredentials takes over what is presented to other servers. A Secret that is
// gone, by somebody's hand, says nothing about it; an empty one says that there is
// nothing any more.
func (f *Feed) followCredentials(creds state) {
	if creds.secret == nil || creds.same(f.credsSeen) {
		return
	}
	f.credsSeen = creds
	f.present()
}

func (f *Feed) present() {
	if f.o.Credentials != nil {
		f.o.Credentials(maps.Clone(f.credsSeen.data()))
	}
}

func (f *Feed) follow(ctx context.Context, documents map[string][]byte) {
	err := f.o.Keys.Follow(documents)
	if err == nil && f.o.KeysChanged != nil {
		err = f.o.KeysChanged()
	}
	if err != nil {
		f.o.Log.ErrorContext(ctx, "signing keys were not followed; the last good ones go on", "error", err)
	}
}

// keySuffix is what the Secret's entries for TokenServices end in.
const keySuffix = ".json"

func documentsOf(data map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for name, document := range data {
		if service, ok := strings.CutSuffix(name, keySuffix); ok {
			out[service] = document
		}
	}
	return out
}

// takePointer brings into force what the pointer names.
func (f *Feed) takePointer(ctx context.Context, now state) (settled, swapped bool) {
	f.noteHeartbeat(now)
	if now.secret == nil {
		if !now.same(f.seen) {
			f.o.Log.WarnContext(ctx, "nothing is published; what is in force goes on until it is too old", "secret", wire.PointerName)
		}
		f.seen = now
		return true, false
	}
	for attempt := 1; ; attempt++ {
		p, swap, err := f.bring(ctx, now)
		var refused *refusal
		switch {
		case err == nil:
			f.accept(ctx, p, now, swap)
			return true, swap != nil
		case errors.Is(err, wire.ErrChunk) || apierrors.IsNotFound(err):
			if attempt < readAgain {
				if now, err = f.rereadPointer(ctx); err == nil && now.secret != nil {
					continue
				}
				break
			}
			refused = &refusal{revision: p.Revision, reason: refusedChunk, message: err.Error()}
		case errors.As(err, &refused):
		}
		f.seen = now
		if refused == nil {
			f.o.Log.WarnContext(ctx, "the published policy cannot be read now; what is in force goes on", "error", err)
			return false, false
		}
		f.refuse(ctx, refused)
		return true, false
	}
}

func (f *Feed) rereadPointer(ctx context.Context) (state, error) {
	_, err := f.pointer.read(ctx, f.secrets, f.times.request)
	return f.pointer.get(), err
}

// noteHeartbeat takes note of when the controller was last alive.
func (f *Feed) noteHeartbeat(s state) {
	if at, err := time.Parse(time.RFC3339, string(s.data()[wire.HeartbeatKey])); err == nil {
		f.heartbeat.Store(&at)
	}
}

// noteSole tells whether this replica is the only one. What a checkpoint starts from
// does not say so: another one may have been since.
func (f *Feed) noteSole(s state) {
	if f.o.Sole != nil && s.known {
		f.o.Sole(f.o.PodUID != "" && string(s.data()[wire.SoleKey]) == f.o.PodUID)
	}
}

// swap is a snapshot that is ready to be put in force.
type swap struct {
	spec     *policy.Spec
	snapshot *policy.Snapshot
	compile  time.Duration
	chunks   map[string][]byte
}

// bring reads and compiles what the pointer names; no swap where it is in force, and
// nothing of the work where it is in force under a lower number.
func (f *Feed) bring(ctx context.Context, now state) (wire.Pointer, *swap, error) {
	p, err := wire.ParsePointer(now.secret.Data[wire.PointerKey])
	switch {
	case errors.Is(err, wire.ErrFormat):
		return p, nil, &refusal{reason: refusedFormat, message: err.Error()}
	case err != nil:
		return p, nil, &refusal{reason: refusedPointer, message: err.Error()}
	}
	var inForce uint64
	if f.served != nil {
		inForce = f.served.pointer.Revision
	}
	if !wire.Plausible(p.Revision, inForce) {
		// The revision is not told to the controller, which would go beyond it.
		return p, nil, &refusal{reason: refusedPointer, message: fmt.Sprintf(
			"revision %d is in force here; revision %d is published: no controller comes that far. Look who else can write Secret %s; "+
				"the controller replaces it within a minute", inForce, p.Revision, wire.PointerName)}
	}
	if s := f.served; s != nil {
		switch {
		case p.Revision == s.pointer.Revision && p.Digest == s.pointer.Digest:
			return p, nil, nil
		case p.Revision > s.pointer.Revision && p.Digest == s.pointer.Digest:
			return s.renumbered(p.Revision)
		case p.Revision <= s.pointer.Revision:
			return p, nil, &refusal{revision: p.Revision, reason: refusedRevision, message: fmt.Sprintf(
				"revision %d is in force here; revision %d is published: it is older, or another one of the same number (was etcd restored?). "+
					"The controller publishes a higher one", s.pointer.Revision, p.Revision)}
		}
	}
	ready, err := f.compile(p, func() (map[string][]byte, error) { return f.fetch(ctx, p) })
	if err == nil {
		// The controller stores keys before it publishes what needs them, but one watch
		// may be behind the other.
		if _, err := f.keys.read(ctx, f.secrets, f.times.request); err == nil {
			f.followKeys(ctx, f.keys.get())
		}
		if _, err := f.creds.read(ctx, f.secrets, f.times.request); err == nil {
			f.followCredentials(f.creds.get())
		}
	}
	return p, ready, err
}

// renumbered is what is in force, under a higher number. The digest is of the whole
// canonical Spec, so that nothing has to be fetched or compiled: moving the number on
// and on, which a forged acknowledgement of one replica makes the controller do, costs
// the others next to nothing. The chunks are named as they are at hand; the pointer
// that brought the number may name others that hold the same.
func (s *served) renumbered(revision uint64) (wire.Pointer, *swap, error) {
	p, again := s.pointer, s.swap
	p.Revision = revision
	again.snapshot = again.snapshot.Renumbered(revision)
	return p, &again, nil
}

// compile reads the chunks and compiles what they say. A panic in it is a refusal.
func (f *Feed) compile(p wire.Pointer, fetch func() (map[string][]byte, error)) (ready *swap, err error) {
	defer func() {
		if v := recover(); v != nil {
			// Its value may quote what was compiled, so only its type is told.
			ready, err = nil, &refusal{revision: p.Revision, reason: refusedPanic, message: fmt.Sprintf("compiling panicked (%T); please report it as a bug", v)}
		}
	}()
	chunks, err := fetch()
	if err != nil {
		return nil, err
	}
	spec, err := f.decoder.Decode(p, func(name string) ([]byte, error) {
		for _, ref := range p.Chunks {
			if ref.Name() == name {
				return chunks[ref.Hash], nil
			}
		}
		return nil, nil
	})
	switch {
	case errors.Is(err, wire.ErrChunk):
		return nil, err
	case errors.Is(err, wire.ErrFormat):
		return nil, &refusal{revision: p.Revision, reason: refusedFormat, message: err.Error()}
	case err != nil:
		return nil, &refusal{revision: p.Revision, reason: refusedContent, message: err.Error()}
	}
	start := f.o.Now()
	snapshot, err := policy.Compile(spec, p.Revision, f.o.Compiler)
	if err != nil {
		return nil, &refusal{revision: p.Revision, reason: refusedCompile, message: err.Error()}
	}
	return &swap{spec: spec, snapshot: snapshot, compile: f.o.Now().Sub(start), chunks: chunks}, nil
}

// fetch returns the pointer's chunks by hash, and reads those that are not at hand.
func (f *Feed) fetch(ctx context.Context, p wire.Pointer) (map[string][]byte, error) {
	out := map[string][]byte{}
	var missing []wire.ChunkRef
	for _, ref := range p.Chunks {
		if f.served != nil && f.served.chunks[ref.Hash] != nil {
			out[ref.Hash] = f.served.chunks[ref.Hash]
			continue
		}
		missing = append(missing, ref)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	var mu sync.Mutex
	for _, ref := range missing {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, f.times.request)
			defer cancel()
			secret, err := f.secrets.Get(ctx, ref.Name(), metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("read slot %s: %w", ref.Name(), err)
			}
			mu.Lock()
			defer mu.Unlock()
			out[ref.Hash] = secret.Data[wire.ChunkKey]
			return nil
		})
	}
	return out, group.Wait()
}

// accept puts in force what was brought, or confirms what is.
func (f *Feed) accept(ctx context.Context, p wire.Pointer, now state, ready *swap) {
	if ready != nil {
		f.apply(ctx, p, ready)
	}
	f.seen = now
	f.confirmed.Store(&now.at)
	if f.refused != nil {
		f.refused = nil
		if f.o.Refused != nil {
			f.o.Refused(false)
		}
		f.acknowledge()
	}
}

func (f *Feed) apply(ctx context.Context, p wire.Pointer, ready *swap) {
	if err := f.o.Apply(ready.spec, ready.snapshot, ready.compile); err != nil {
		f.o.Log.WarnContext(ctx, "the policy is in force; not all signing keys are there", "revision", p.Revision, "error", err)
	}
	f.served = &served{pointer: p, swap: *ready}
	f.served.chunks = maps.Clone(ready.chunks)
	f.o.Log.InfoContext(ctx, "the policy is in force", "revision", p.Revision, "digest", p.Digest)
	f.acknowledge()
}

func (f *Feed) refuse(ctx context.Context, r *refusal) {
	if f.refused != nil && *f.refused == *r {
		return
	}
	f.refused = r
	f.o.Log.ErrorContext(ctx, "what is published is not served; what is in force goes on until it is too old", "revision", r.revision, "reason", r.reason, "message", r.message)
	if f.o.Refused != nil {
		f.o.Refused(true)
	}
	f.acknowledge()
}

func (f *Feed) acknowledge() {
	if f.ack == nil {
		return
	}
	a := acknowledgement{refused: f.refused}
	if f.served != nil {
		a.revision, a.digest = f.served.pointer.Revision, f.served.pointer.Digest
	}
	f.ack.say(a)
}
