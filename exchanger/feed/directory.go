// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const (
	// debounce gathers what one editor or one ConfigMap update writes.
	debounce = 100 * time.Millisecond
	// pollEvery finds changes that no notification told of: network file systems
	// and swapped links do not always notify.
	pollEvery = 2 * time.Second
)

// Directory is a directory of manifests that is read again whenever it changes.
type Directory struct {
	root    string
	builder *Builder

	mu       sync.Mutex
	files    map[string][]*Object
	former   map[string]*Object
	revision uint64
	digest   string
	current  *policy.Snapshot
	stamp    string
	// confirmed is when the directory was last found to be as it was read.
	confirmed time.Time
}

// NewDirectory watches root, a directory or one file.
func NewDirectory(root string, builder *Builder) *Directory {
	return &Directory{root: root, builder: builder, files: map[string][]*Object{}}
}

// Load reads the directory and builds what it means. A file that cannot be parsed
// keeps its last objects, and is a problem. The error is for a directory that
// cannot be read at all: nothing changed then.
func (d *Directory) Load() (*Build, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	stamp := d.fingerprint()
	paths, err := Files(d.root)
	if err != nil {
		return nil, err
	}
	next := make(map[string][]*Object, len(paths))
	var objects []*Object
	var problems []Problem
	for _, path := range paths {
		found, bad := ReadFile(path)
		if len(bad) > 0 {
			problems = append(problems, d.keepLast(path, bad)...)
			found = d.files[path]
		}
		next[path] = found
		objects = append(objects, found...)
	}
	build, err := d.builder.Build(objects, d.former, d.revision+1)
	if err != nil {
		return nil, fmt.Errorf("manifests %s: %w", d.root, err)
	}
	build.Broken = build.Broken || len(problems) > 0
	build.Problems = append(problems, build.Problems...)
	d.files, d.former, d.stamp, d.confirmed = next, build.inForce(), stamp, d.builder.now()
	if build.Snapshot.Digest() == d.digest {
		// Nothing that decides anything changed: the snapshot in force stays, with
		// its revision.
		build.Unchanged, build.Snapshot = true, d.current
		return build, nil
	}
	d.revision++
	d.current = build.Snapshot
	d.digest = build.Snapshot.Digest()
	return build, nil
}

// inForce are the objects that the next change is compared with.
func (b *Build) inForce() map[string]*Object {
	out := make(map[string]*Object, len(b.Objects))
	for _, o := range b.Objects {
		if f, ok := b.byRef[o.Ref()]; ok {
			out[o.Ref()] = f
		}
	}
	return out
}

func (d *Directory) keepLast(path string, bad []Problem) []Problem {
	if last := d.files[path]; len(last) > 0 {
		for i := range bad {
			bad[i].Message += fmt.Sprintf(" (the file's last %d objects stay in force)", len(last))
		}
	}
	return bad
}

// Watch calls changed after every change of the directory, at most once per
// debounce, until ctx ends.
func (d *Directory) Watch(ctx context.Context, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", d.root, err)
	}
	defer func() { _ = w.Close() }()
	d.watchFolders(w)
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	settle := time.NewTimer(debounce)
	settle.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.Events:
			settle.Reset(debounce)
		case _, open := <-w.Errors:
			// What was missed, the next poll finds.
			if !open {
				return nil
			}
		case <-poll.C:
			if d.differs() {
				settle.Reset(debounce)
			}
		case <-settle.C:
			d.watchFolders(w)
			if d.differs() {
				changed()
			}
		}
	}
}

func (d *Directory) differs() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fingerprint() != d.stamp {
		return true
	}
	d.confirmed = d.builder.now()
	return false
}

// Confirmed says when the directory was last found to be what is in force.
func (d *Directory) Confirmed() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.confirmed
}

// watchFolders adds every folder, and the one above, where a link to the
// directory would be swapped. Adding one again does nothing.
func (d *Directory) watchFolders(w *fsnotify.Watcher) {
	_ = w.Add(filepath.Dir(filepath.Clean(d.root)))
	_ = filepath.WalkDir(d.root+string(filepath.Separator), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			_ = w.Add(path)
		}
		return nil
	})
}

// fingerprint tells two states of the directory apart by names, sizes, times and
// what links point to, without reading the files.
func (d *Directory) fingerprint() string {
	paths, err := Files(d.root)
	if err != nil {
		return "unreadable"
	}
	var b strings.Builder
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			fmt.Fprintf(&b, "%s ?\n", p)
			continue
		}
		target, _ := filepath.EvalSymlinks(p)
		fmt.Fprintf(&b, "%s %s %d %d\n", p, target, info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}
