// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

const (
	checkpointFile = "checkpoint"
	confirmedFile  = "confirmed"
	// checkpointVersion is that of both documents.
	checkpointVersion = 1
	// maxCheckpointBytes holds 64 chunks of 900 KiB in base64, which are 77 MiB, and
	// two Secrets of 1 MiB.
	maxCheckpointBytes = 96 << 20
	maxConfirmedBytes  = 1 << 10
)

// checkpoint is the directory from which a replica starts when the API server does
// not answer. It holds signing keys: it is meant to lie in memory and to end with
// the Pod, and nobody but its owner may read its files.
type checkpoint struct {
	root *os.Root
}

// checkpointDocument is everything that a replica serves.
type checkpointDocument struct {
	Version int             `json:"version"`
	Pointer json.RawMessage `json:"pointer"`
	// Chunks are compressed, by the hash of their content.
	Chunks      map[string][]byte `json:"chunks"`
	Keys        map[string][]byte `json:"keys"`
	Credentials map[string][]byte `json:"credentials,omitempty"`
	ConfirmedAt time.Time         `json:"confirmedAt"`
}

// confirmation is the part that changes every minute, in a file of its own.
type confirmation struct {
	Version     int       `json:"version"`
	Revision    uint64    `json:"revision"`
	Digest      string    `json:"digest"`
	ConfirmedAt time.Time `json:"confirmedAt"`
}

// openCheckpoint opens the directory and makes it where it is missing; its parent
// must be there.
func openCheckpoint(dir string) (*checkpoint, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the checkpoint directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the checkpoint directory: %w", err)
	}
	return &checkpoint{root: root}, nil
}

// save writes what is in force. A checkpoint that cannot be written costs a restart
// without API server, not the exchange.
func (f *Feed) save(ctx context.Context) {
	if f.store == nil {
		return
	}
	document := checkpointDocument{
		Version: checkpointVersion, Pointer: f.served.pointer.Marshal(), Chunks: f.served.chunks,
		Keys: f.keysSeen.data(), Credentials: f.credsSeen.data(), ConfirmedAt: f.Confirmed().UTC(),
	}
	b, err := json.Marshal(document)
	if err == nil {
		err = f.store.write(checkpointFile, b)
	}
	if err != nil {
		f.o.Log.ErrorContext(ctx, "the checkpoint was not written; a restart without the API server would start from the one before, or not at all", "error", err)
	}
}

// saveConfirmed notes the time of the last confirmation, at most once a minute or so:
// whenever the API server was heard.
func (f *Feed) saveConfirmed(ctx context.Context) {
	if f.store == nil {
		return
	}
	p := f.served.pointer
	b, err := json.Marshal(confirmation{Version: checkpointVersion, Revision: p.Revision, Digest: p.Digest, ConfirmedAt: f.Confirmed().UTC()})
	if err == nil {
		err = f.store.write(confirmedFile, b)
	}
	if err != nil {
		f.o.Log.WarnContext(ctx, "the checkpoint's time was not written; after a restart it counts as older than it is", "error", err)
	}
}

// fromCheckpoint starts from what was in force when this replica last ran, if the
// API server has not answered. It is as old as it was then, and older by the time in
// between.
func (f *Feed) fromCheckpoint(ctx context.Context) {
	if f.served != nil {
		return
	}
	missing := errors.Join(f.pointer.missing(), f.keys.missing(), f.creds.missing())
	var d *checkpointDocument
	err := fs.ErrNotExist
	if f.store != nil {
		d, err = f.store.load()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.o.Log.WarnContext(ctx, "nothing to serve came from the API server, and there is no checkpoint: not ready until something comes", "missing", missing)
		return
	case err != nil:
		f.o.Log.ErrorContext(ctx, "nothing to serve came from the API server, and the checkpoint cannot be used: not ready until something comes", "error", err, "missing", missing)
		return
	}
	p, err := wire.ParsePointer(d.Pointer)
	var ready *swap
	if err == nil {
		ready, err = f.compile(p, func() (map[string][]byte, error) { return d.Chunks, nil })
	}
	if err != nil {
		f.o.Log.ErrorContext(ctx, "nothing to serve came from the API server, and the checkpoint cannot be used: not ready until something comes", "error", err)
		return
	}
	f.follow(ctx, documentsOf(d.Keys))
	f.keysSeen = state{secret: &corev1.Secret{Data: d.Keys}} // known is false: whatever the API server says is news
	f.credsSeen = state{secret: &corev1.Secret{Data: d.Credentials}}
	confirmed := d.ConfirmedAt
	if now := f.o.Now(); confirmed.After(now) {
		confirmed = now
	}
	f.confirmed.Store(&confirmed)
	f.o.Log.WarnContext(ctx, "nothing to serve came from the API server: starting from the checkpoint", "revision", p.Revision, "confirmedAt", confirmed, "missing", missing)
	f.apply(ctx, p, ready)
}

// sum stands before the document, so that damage is noticed before anything of it is
// believed.
const sumBytes = 2*sha256.Size + 1

func (c *checkpoint) write(name string, b []byte) error {
	sum := sha256.Sum256(b)
	b = append(append([]byte(hex.EncodeToString(sum[:])), '\n'), b...)
	temp := name + ".tmp"
	if err := c.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := c.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	// The process may be killed at any moment, and finds the old file or the new; a
	// machine that loses power loses the Pod, so nothing is synced.
	if err = errors.Join(err, file.Close()); err == nil {
		err = c.root.Rename(temp, name)
	}
	if err != nil {
		_ = c.root.Remove(temp)
	}
	return err
}

// load reads the checkpoint and the time at which it was last confirmed.
func (c *checkpoint) load() (*checkpointDocument, error) {
	b, err := c.read(checkpointFile, maxCheckpointBytes)
	if err != nil {
		return nil, err
	}
	var d checkpointDocument
	if err := decode(b, &d); err != nil {
		return nil, err
	}
	if d.Version != checkpointVersion {
		return nil, fmt.Errorf("the checkpoint has version %d, this build reads %d", d.Version, checkpointVersion)
	}
	p, err := wire.ParsePointer(d.Pointer)
	if err != nil {
		return nil, err
	}
	var later confirmation
	if b, err := c.read(confirmedFile, maxConfirmedBytes); err == nil && decode(b, &later) == nil && later.Version == checkpointVersion &&
		later.Revision == p.Revision && later.Digest == p.Digest && later.ConfirmedAt.After(d.ConfirmedAt) {
		d.ConfirmedAt = later.ConfirmedAt
	}
	return &d, nil
}

func (c *checkpoint) read(name string, most int64) ([]byte, error) {
	file, err := c.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("the checkpoint is not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("others than its owner may read or write the checkpoint (mode %04o)", info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(file, most+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(b)) > most:
		return nil, fmt.Errorf("the checkpoint is longer than %d bytes", most)
	case len(b) < sumBytes:
		return nil, errors.New("the checkpoint is damaged: it is cut off")
	}
	sum := sha256.Sum256(b[sumBytes:])
	if string(b[:sumBytes]) != hex.EncodeToString(sum[:])+"\n" {
		return nil, errors.New("the checkpoint is damaged: its content is not what was written")
	}
	return b[sumBytes:], nil
}

// decode never quotes the document, which holds keys.
func decode(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return errors.New("the checkpoint is not a document of the expected shape")
	}
	return nil
}
