// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	fileSuffix = ".json"
	tempSuffix = ".tmp"
)

// safeName is what a Kubernetes object may be called: it cannot leave the
// directory, hide, or collide with the temporary file. 200 bytes leave room for
// the suffixes below the 255 of common file systems.
var safeName = regexp.MustCompile(`\A[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\z`)

const maxNameBytes = 200

// directory is the store of OpenDir.
type directory struct {
	path string
	root *os.Root
}

// OpenDir returns a Ring whose keys are kept in files in dir, which is made when
// it does not exist (its parent must). Every key file in it is read now: one that
// cannot be used is an error that names it, because making new keys in its place
// would silently invalidate every token and could hide an attack.
//
// A directory that the group or others may write is refused, and so is a key
// file that they may read: whoever could have read a key may have kept it.
//
// One process owns the directory. If a second one changes a file, the first
// notices before it writes, takes over the second's keys and goes on from there.
func OpenDir(dir string) (*Ring, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the key directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the key directory: %w", err)
	}
	d := &directory{path: dir, root: root}
	info, err := root.Stat(".")
	if err != nil {
		return nil, fmt.Errorf("open the key directory: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("key directory %s may be written by others (mode %04o): run chmod 700 on it, after checking its files",
			dir, info.Mode().Perm())
	}
	r := newRing(d)
	if err := r.loadAll(d); err != nil {
		_ = root.Close()
		return nil, err
	}
	r.first = len(r.lines) == 0
	return r, nil
}

// loadAll reads every key file. Nothing is published before Ensure has compared
// it with the plan: a key may have been revoked meanwhile.
func (r *Ring) loadAll(d *directory) error {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return fmt.Errorf("read key directory %s: %w", d.path, err)
	}
	holder := map[string]string{}
	for _, e := range entries {
		service, ok := strings.CutSuffix(e.Name(), fileSuffix)
		if !ok {
			continue
		}
		l, err := r.load(service)
		if err != nil {
			return err
		}
		if l == nil {
			continue // removed since the directory was listed
		}
		for kid := range l.keys {
			if other, taken := holder[kid]; taken {
				return fmt.Errorf("key files %s and %s hold the same private key %s: each TokenService needs its own; remove it from one of them",
					d.file(other), d.file(service), kid)
			}
			holder[kid] = service
		}
		r.lines[service] = l
	}
	return nil
}

func (d *directory) file(service string) string {
	return filepath.Join(d.path, service+fileSuffix)
}

// Place names a TokenService's file.
func (d *directory) Place(service string) string { return "key file " + d.file(service) }

// Load reads one TokenService's file; nil when there is none.
func (d *directory) Load(service string) ([]byte, error) {
	b, err := d.read(service)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w", d.Place(service), err)
	}
	return b, nil
}

func (d *directory) read(service string) ([]byte, error) {
	if len(service) > maxNameBytes || !safeName.MatchString(service) {
		return nil, errors.New("the name is not one that a TokenService can have")
	}
	f, err := d.root.Open(service + fileSuffix)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, errors.New("it cannot be examined")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("others than its owner may read or write it (mode %04o): if nobody did, run chmod 600 on it", info.Mode().Perm())
	}
	// One byte more than is decoded: too much is told from enough.
	b, err := io.ReadAll(io.LimitReader(f, maxDocumentBytes+1))
	if err != nil {
		return nil, errors.New("it cannot be read")
	}
	return b, nil
}

// withoutPath takes the path off an error: load says it in full.
func withoutPath(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// Save writes beside the file, syncs, and renames: after a crash there is the
// old file or the new one. The directory is synced too, or the rename itself
// could be lost.
func (d *directory) Save(service string, generation int64, document []byte) error {
	if len(service) > maxNameBytes || !safeName.MatchString(service) {
		return fmt.Errorf("the name %q cannot be a file name: at most %d lower-case letters, digits, dots and dashes", service, maxNameBytes)
	}
	stored, err := d.Load(service)
	if err != nil {
		return err
	}
	if stored != nil {
		there, err := Generation(service, stored)
		if err != nil {
			return unusable(d, service, err)
		}
		// A file that vanished, or came back from a backup, is older than what is in
		// use here: it is written again, and no retired key comes back to life.
		if there >= generation {
			return ErrStale
		}
	}
	temp := service + tempSuffix
	if err := d.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.write(temp, document); err != nil {
		_ = d.root.Remove(temp)
		return err
	}
	if err := d.root.Rename(temp, service+fileSuffix); err != nil {
		return err
	}
	dir, err := d.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (d *directory) write(name string, b []byte) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
