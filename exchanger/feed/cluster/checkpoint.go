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
	"maps"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

const (
	checkpointFile = "checkpoint"
	confirmedFile  = "confirmed"
	// checkpointVersion is that of both documents.
	checkpointVersion = 2
	// maxCheckpointBytes holds 64 chunks of 900 KiB, which are 56.25 MiB, and two Secrets
	// of 1 MiB in base64, which are 2.7 MiB: 59 MiB. The chart's sizeLimit is the same.
	maxCheckpointBytes = 64 << 20
	maxConfirmedBytes  = 1 << 10
)

// checkpoint is the directory from which a replica starts when the API server does
// not answer. It holds signing keys: it is meant to lie in memory and to end with
// the Pod, and nobody but its owner may read its files.
type checkpoint struct {
	root *os.Root
	// create makes a file that is not there yet.
	create func(name string) (io.WriteCloser, error)
}

// checkpointDocument is everything that a replica serves. In the file, it is a line
// of JSON, and then the chunks as they are: base64 would take a third more.
type checkpointDocument struct {
	Version int             `json:"version"`
	Pointer json.RawMessage `json:"pointer"`
	// Lengths says which chunks follow the line, in this order.
	Lengths []chunkLength `json:"chunks"`
	// chunks are compressed, by the hash of their content.
	chunks      map[string][]byte
	Keys        map[string][]byte `json:"keys"`
	Credentials map[string][]byte `json:"credentials,omitempty"`
	ConfirmedAt time.Time         `json:"confirmedAt"`
}

type chunkLength struct {
	Hash  string `json:"hash"`
	Bytes int    `json:"bytes"`
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
	return &checkpoint{root: root, create: func(name string) (io.WriteCloser, error) {
		return root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}}, nil
}

// save writes what is in force. A checkpoint that cannot be written costs a restart
// without API server, not the exchange. The one before does not stay in its place: it
// has what has been revoked since.
func (f *Feed) save(ctx context.Context) {
	if f.store == nil {
		return
	}
	document := checkpointDocument{
		Version: checkpointVersion, Pointer: f.served.pointer.Marshal(), chunks: f.served.chunks,
		Keys: f.keysSeen.data(), Credentials: f.credsSeen.data(), ConfirmedAt: f.Confirmed().UTC(),
	}
	if err := f.store.replace(document); err != nil {
		f.o.Log.ErrorContext(ctx, "the checkpoint was not written, and the one before is gone; a restart without the API server would not get ready", "error", err)
	}
}

// replace writes the document in place of the one before. Where there is no room for
// both, the one before makes room: it is of no use to anybody any more. Only whoever
// is killed in between, with the API server gone too, misses it.
func (c *checkpoint) replace(d checkpointDocument) error {
	parts, err := d.encode()
	if err == nil {
		if err = c.write(checkpointFile, parts...); err == nil {
			return nil
		}
	}
	if gone := c.root.Remove(checkpointFile); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("take the checkpoint before away: %w", gone))
	}
	if parts == nil {
		return err
	}
	return c.write(checkpointFile, parts...)
}

// encode returns the line and the chunks; they are not copied.
func (d *checkpointDocument) encode() ([][]byte, error) {
	parts := make([][]byte, 1, 1+len(d.chunks))
	for _, hash := range slices.Sorted(maps.Keys(d.chunks)) {
		d.Lengths = append(d.Lengths, chunkLength{Hash: hash, Bytes: len(d.chunks[hash])})
		parts = append(parts, d.chunks[hash])
	}
	line, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	parts[0] = append(line, '\n')
	return parts, nil
}

// decodeCheckpoint is the reverse of encode.
func decodeCheckpoint(b []byte) (*checkpointDocument, error) {
	var d checkpointDocument
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	if err := decode(line, &d); err != nil {
		return nil, err
	}
	if d.Version != checkpointVersion {
		return nil, fmt.Errorf("the checkpoint has version %d, this build reads %d", d.Version, checkpointVersion)
	}
	d.chunks = make(map[string][]byte, len(d.Lengths))
	for _, chunk := range d.Lengths {
		if chunk.Bytes < 0 || chunk.Bytes > len(rest) {
			return nil, errors.New("the checkpoint's chunks are not as long as it says")
		}
		d.chunks[chunk.Hash], rest = rest[:chunk.Bytes:chunk.Bytes], rest[chunk.Bytes:]
	}
	if len(rest) > 0 {
		return nil, errors.New("the checkpoint has more than it says")
	}
	return &d, nil
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
		ready, err = f.compile(p, func() (map[string][]byte, error) { return d.chunks, nil })
	}
	if err != nil {
		f.o.Log.ErrorContext(ctx, "nothing to serve came from the API server, and the checkpoint cannot be used: not ready until something comes", "error", err)
		return
	}
	f.follow(ctx, documentsOf(d.Keys))
	f.keysSeen = state{secret: &corev1.Secret{Data: d.Keys}} // known is false: whatever the API server says is news
	f.credsSeen = state{secret: &corev1.Secret{Data: d.Credentials}}
	f.present()
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

// write replaces a file by the parts, one after the other.
func (c *checkpoint) write(name string, parts ...[]byte) error {
	sum := sha256.New()
	for _, part := range parts {
		sum.Write(part)
	}
	temp := name + ".tmp"
	if err := c.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := c.create(temp)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, hex.EncodeToString(sum.Sum(nil))+"\n")
	for _, part := range parts {
		if err == nil {
			_, err = file.Write(part)
		}
	}
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
	d, err := decodeCheckpoint(b)
	if err != nil {
		return nil, err
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
	return d, nil
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
