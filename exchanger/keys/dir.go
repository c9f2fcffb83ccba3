// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

const (
	fileSuffix = ".json"
	tempSuffix = ".tmp"
	// maxFileBytes holds maxSlots slots of the largest keys: an 8192-bit RSA key
	// is 6.4 KiB of PEM, times 32 is 205 KiB, and as much again for revoked kids.
	maxFileBytes = 512 << 10
	// fileDepth is document, slots, slot.
	fileDepth   = 4
	fileVersion = 1
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
		l, err := d.load(service)
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

// document is the file's JSON; doc.go shows it.
type document struct {
	Version      int        `json:"version"`
	TokenService string     `json:"tokenService"`
	Generation   int64      `json:"generation"`
	Revoked      []string   `json:"revoked,omitempty"`
	Slots        []slotJSON `json:"slots"`
}

type slotJSON struct {
	KeyID       string    `json:"keyID"`
	Algorithm   string    `json:"algorithm"`
	State       State     `json:"state"`
	PublishedAt time.Time `json:"publishedAt"`
	ActivatedAt time.Time `json:"activatedAt,omitzero"`
	RetiredAt   time.Time `json:"retiredAt,omitzero"`
	PrivateKey  string    `json:"privateKey"`
	SealKey     string    `json:"sealKey"`
}

// load reads one TokenService's file; nil when there is none.
func (d *directory) load(service string) (*line, error) {
	l, err := d.read(service)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("key file %s: %w", d.file(service), err)
	}
	return l, nil
}

func (d *directory) read(service string) (*line, error) {
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
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, errors.New("it cannot be read")
	}
	if len(b) > maxFileBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxFileBytes)
	}
	l, err := decodeLine(service, b)
	if err != nil {
		return nil, fmt.Errorf("%w; restore it from a backup, or move it away to start with new keys "+
			"(every token signed so far becomes invalid)", err)
	}
	return l, nil
}

// withoutPath takes the path off an error: load says it in full.
func withoutPath(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// decodeLine never puts the file's content into an error: it is full of keys.
func decodeLine(service string, b []byte) (*line, error) {
	// encoding/json lets the last of two equal members win; refuse that first.
	if _, err := jose.DecodeStrict(b, fileDepth); err != nil {
		return nil, fmt.Errorf("it is not a key file: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var doc document
	switch err := dec.Decode(&doc); {
	case err != nil:
		return nil, errors.New("it is not a key file: a member is unknown or has the wrong type")
	case doc.Version != fileVersion:
		return nil, fmt.Errorf("it has version %d, this program reads version %d", doc.Version, fileVersion)
	case doc.TokenService != service:
		return nil, errors.New("it belongs to another TokenService than its name says")
	case doc.Generation < 1 || len(doc.Slots) > maxSlots:
		return nil, errors.New("it is not a key file: its generation or its number of slots is out of range")
	}
	l := &line{generation: doc.Generation, keys: map[string]pair{}, revoked: doc.Revoked}
	active := 0
	for i, s := range doc.Slots {
		key, err := s.keys()
		if err != nil {
			return nil, fmt.Errorf("slot %d: %w", i, err)
		}
		if _, twice := l.keys[s.KeyID]; twice {
			return nil, fmt.Errorf("slot %d: it holds the same private key as another slot", i)
		}
		if s.State == Active {
			active++
		}
		l.keys[s.KeyID] = key
		l.slots = append(l.slots, Slot{s.KeyID, s.Algorithm, s.State, s.PublishedAt, s.ActivatedAt, s.RetiredAt})
	}
	if active > 1 {
		return nil, errors.New("more than one slot is Active")
	}
	return l, nil
}

func (s slotJSON) keys() (pair, error) {
	// A state without its times would be overdue for everything.
	wantActivated := s.State == Active || s.State == Retired
	wantRetired := s.State == Retired
	switch {
	case s.State != Prepared && !wantActivated:
		return pair{}, errors.New("its state is not one of Prepared, Active, Retired")
	case s.PublishedAt.IsZero() || s.ActivatedAt.IsZero() == wantActivated || s.RetiredAt.IsZero() == wantRetired:
		return pair{}, errors.New("its times do not fit its state")
	}
	signing, err := jose.ParsePrivateKeyPEM([]byte(s.PrivateKey), s.Algorithm)
	if err != nil {
		return pair{}, err
	}
	if signing.KeyID() != s.KeyID {
		return pair{}, errors.New("its keyID is not the thumbprint of its private key")
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(s.SealKey)
	if err != nil {
		return pair{}, errors.New("its sealing key is not base64url")
	}
	seal, err := jose.NewSealKey(s.KeyID, secret)
	return pair{signing, seal}, err
}

func encodeLine(service string, l *line) ([]byte, error) {
	doc := document{Version: fileVersion, TokenService: service, Generation: l.generation, Revoked: l.revoked, Slots: []slotJSON{}}
	for _, s := range l.slots {
		key := l.keys[s.KeyID]
		private, err := key.signing.MarshalPEM()
		if err != nil {
			return nil, err
		}
		doc.Slots = append(doc.Slots, slotJSON{
			KeyID: s.KeyID, Algorithm: s.Algorithm, State: s.State,
			PublishedAt: s.PublishedAt.UTC(), ActivatedAt: s.ActivatedAt.UTC(), RetiredAt: s.RetiredAt.UTC(),
			PrivateKey: string(private), SealKey: base64.RawURLEncoding.EncodeToString(key.seal.Bytes()),
		})
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	return append(b, '\n'), err
}

// save writes beside the file, syncs, and renames: after a crash there is the
// old file or the new one. The directory is synced too, or the rename itself
// could be lost.
func (d *directory) save(service string, l *line) error {
	if len(service) > maxNameBytes || !safeName.MatchString(service) {
		return fmt.Errorf("the name %q cannot be a file name: at most %d lower-case letters, digits, dots and dashes", service, maxNameBytes)
	}
	stored, err := d.load(service)
	if err != nil {
		return err
	}
	// A file that vanished, or came back from a backup, is older than what is in
	// use here: it is written again, and no retired key comes back to life.
	if stored != nil && stored.generation >= l.generation {
		return errStale
	}
	b, err := encodeLine(service, l)
	if err != nil {
		return err
	}
	temp := service + tempSuffix
	if err := d.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.write(temp, b); err != nil {
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
