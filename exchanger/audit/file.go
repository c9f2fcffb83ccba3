// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// MaxLine bounds a line of an audit file: 16 targets and 64 scopes of 2 KiB each, and
// a trace of 16 times 100 policies of 200 bytes, are below 512 KiB.
const MaxLine = 512 << 10

// File is an audit file: opened to append, readable by its owner alone. It is
// safe for concurrent use.
type File struct {
	path string
	tail Tail
	mu   sync.Mutex
	file *os.File
}

// Tail is how a file ended when it was opened.
type Tail struct {
	// Sum is the last whole line's, Any says that there is one.
	Sum Sum
	Any bool
	// Torn says that the file ends within a line.
	Torn bool
}

// OpenFile opens, or creates with mode 0600, the file that records go to, and looks
// at how it ends.
func OpenFile(path string) (*File, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	tail, err := readTail(path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{path: path, tail: tail, file: f}, nil
}

func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the audit file: %w", err)
	}
	return f, nil
}

// readTail reads the end of a regular file; any other has none.
func readTail(path string) (t Tail, err error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return Tail{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return Tail{}, fmt.Errorf("read how the audit file ends, for the next record to be chained to: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// The last whole line, and one that may be torn.
	const most = 2 * (MaxLine + 1)
	b := make([]byte, min(info.Size(), most))
	if _, err := f.ReadAt(b, info.Size()-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
		return Tail{}, fmt.Errorf("read how the audit file ends, for the next record to be chained to: %w", err)
	}
	end := bytes.LastIndexByte(b, '\n')
	t.Torn = end != len(b)-1
	switch rest := b[end+1:]; {
	case t.Torn && json.Valid(rest):
		t.Sum, t.Any = sha256.Sum256(rest), true // whole but for its break
	case end >= 0:
		t.Sum, t.Any = sha256.Sum256(b[bytes.LastIndexByte(b[:end], '\n')+1:end]), true
	}
	return t, nil
}

// Tail is how the file ended when it was opened.
func (f *File) Tail() Tail { return f.tail }

// Regular says whether it is a regular file, which takes what is written at once,
// and not a pipe or a device, which may keep a writer waiting.
func (f *File) Regular() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := f.file.Stat()
	return err == nil && info.Mode().IsRegular()
}

// Write appends p.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Write(p)
}

// Reopen opens the path anew, after somebody moved the file away; the chain goes on
// in the new file. When that fails the old file stays in use.
func (f *File) Reopen() error {
	fresh, err := open(f.path)
	if err != nil {
		return err
	}
	f.mu.Lock()
	old := f.file
	f.file = fresh
	f.mu.Unlock()
	return old.Close()
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}
