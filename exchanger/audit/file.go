// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"os"
	"sync"
)

// File is an audit file: opened to append, readable by its owner alone. It is
// safe for concurrent use.
type File struct {
	path string
	mu   sync.Mutex
	file *os.File
}

// OpenFile opens, or creates with mode 0600, the file that records go to.
func OpenFile(path string) (*File, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, file: f}, nil
}

func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the audit file: %w", err)
	}
	return f, nil
}

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

// Reopen opens the path anew, after somebody moved the file away. When that
// fails the old file stays in use.
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
