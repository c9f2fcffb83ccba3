// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// full is a file on a volume that has room for so many bytes.
type full struct {
	io.WriteCloser
	t    *testing.T
	dir  string
	room int64
}

func (f full) Write(b []byte) (int, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		f.t.Error(err)
	}
	used := int64(len(b))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			f.t.Error(err)
			continue
		}
		used += info.Size()
	}
	if used > f.room {
		return 0, syscall.ENOSPC
	}
	return f.WriteCloser.Write(b)
}

// document is a checkpoint with one chunk of so many bytes.
func document(t *testing.T, revision uint64, size int) checkpointDocument {
	t.Helper()
	plan, err := wire.Encode(&policy.Spec{Format: policy.Format}, revision, nil)
	if err != nil {
		t.Fatal(err)
	}
	return checkpointDocument{
		Version: checkpointVersion, Pointer: plan.Pointer.Marshal(), ConfirmedAt: time.Unix(1, 0).UTC(),
		chunks: map[string][]byte{"one": bytes.Repeat([]byte("\n{\x00"), size/3), "empty": {}},
		Keys:   map[string][]byte{"main.json": []byte("{}")},
	}
}

func volume(t *testing.T, room int64) (*checkpoint, string) {
	t.Helper()
	dir := t.TempDir()
	c, err := openCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	create := c.create
	c.create = func(name string) (io.WriteCloser, error) {
		file, err := create(name)
		if err != nil {
			return nil, err
		}
		return full{file, t, dir, room}, nil
	}
	return c, dir
}

func revision(t *testing.T, d *checkpointDocument) uint64 {
	t.Helper()
	p, err := wire.ParsePointer(d.Pointer)
	if err != nil {
		t.Fatal(err)
	}
	return p.Revision
}

func TestACheckpointOnAVolumeThatIsTooSmall(t *testing.T) {
	t.Parallel()
	const size = 30_000
	t.Run("for two: the one before makes room for the next", func(t *testing.T) {
		t.Parallel()
		c, _ := volume(t, size*3/2)
		for n := range uint64(3) {
			if err := c.replace(document(t, n+1, size)); err != nil {
				t.Fatal(err)
			}
			d, err := c.load()
			if err != nil {
				t.Fatal(err)
			}
			if got := revision(t, d); got != n+1 {
				t.Errorf("revision %d is there, want %d", got, n+1)
			}
			if !bytes.Equal(d.chunks["one"], document(t, 1, size).chunks["one"]) || d.chunks["empty"] == nil || string(d.Keys["main.json"]) != "{}" {
				t.Error("it is not what was written")
			}
		}
	})
	t.Run("for one: what was revoked since does not stay", func(t *testing.T) {
		t.Parallel()
		c, dir := volume(t, size*3/2)
		if err := c.replace(document(t, 1, size)); err != nil {
			t.Fatal(err)
		}
		if err := c.replace(document(t, 2, 2*size)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("error %v", err)
		}
		if _, err := c.load(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an older checkpoint is there: %v", err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Errorf("%d files were left: %v", len(entries), err)
		}
		if err := c.replace(document(t, 3, size)); err != nil {
			t.Errorf("with room again: %v", err)
		}
	})
	t.Run("for any other reason, too", func(t *testing.T) {
		t.Parallel()
		c, dir := volume(t, 1<<20)
		if err := c.replace(document(t, 1, size)); err != nil {
			t.Fatal(err)
		}
		// What cannot be taken away stands where the next one is to be written.
		if err := os.MkdirAll(filepath.Join(dir, checkpointFile+".tmp", "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := c.replace(document(t, 2, size)); err == nil {
			t.Error("it was written")
		}
		if _, err := c.load(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an older checkpoint is there: %v", err)
		}
	})
}

func TestTheLargestCheckpointFits(t *testing.T) {
	t.Parallel()
	const chunks, secrets = wire.MaxChunks * 900 << 10, 2 * (1 << 20 * 4 / 3)
	if most := chunks + secrets + 64<<10; most > maxCheckpointBytes {
		t.Errorf("%d bytes, and %d are read", most, maxCheckpointBytes)
	}
	d := document(t, 1, 3<<20)
	parts, err := d.encode()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(bytes.Join(parts, nil)); n > 3<<20+2<<10 {
		t.Errorf("3 MiB of chunks are %d bytes", n)
	}
}

func TestChunksOfACheckpointAreAsLongAsItSays(t *testing.T) {
	t.Parallel()
	d := document(t, 1, 300)
	parts, err := d.encode()
	if err != nil {
		t.Fatal(err)
	}
	good := bytes.Join(parts, nil)
	for name, b := range map[string][]byte{
		"nothing":        {},
		"no chunks":      parts[0],
		"one byte less":  good[:len(good)-1],
		"one byte more":  append(bytes.Clone(good), 'x'),
		"a length below": bytes.Replace(good, []byte(`"bytes":300`), []byte(`"bytes":-30`), 1),
		"a huge length":  bytes.Replace(good, []byte(`"bytes":300`), []byte(`"bytes":9223372036854775807`), 1),
	} {
		if _, err := decodeCheckpoint(b); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
	if _, err := decodeCheckpoint(good); err != nil {
		t.Error(err)
	}
}
