// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
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
	// settleWithin is when a change is taken up though more of them follow: a
	// folder in which something writes all the time never settles.
	settleWithin = time.Second
	// pollEvery finds changes that no notification told of: network file systems
	// and swapped links do not always notify.
	pollEvery = 2 * time.Second
	// readTries is how often a directory is read again that changes meanwhile.
	readTries = 5
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
	// stamp is the state of the directory when it was last read; behind says that
	// what was read then is not in force.
	stamp  string
	behind bool
	// confirmed is when the directory was last found to be as it was read.
	confirmed time.Time
	// between, where a test sets it, is called when the files have been read and
	// before it is asked whether they changed meanwhile.
	between func()
}

// NewDirectory watches root, a directory or one file.
func NewDirectory(root string, builder *Builder) *Directory {
	return &Directory{root: root, builder: builder, files: map[string][]*Object{}}
}

// Load reads the directory and builds what it means. A file that cannot be parsed
// keeps its last objects, and is a problem. The error is for a directory that
// cannot be read at all, or not at one moment: nothing changed then.
func (d *Directory) Load() (*Build, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	objects, problems, err := d.read()
	d.behind = true
	if err != nil {
		return nil, err
	}
	build, err := d.builder.Build(objects, d.former, d.revision+1)
	if err != nil {
		return nil, fmt.Errorf("manifests %s: %w", d.root, err)
	}
	build.Broken = build.Broken || len(problems) > 0
	build.Problems = append(problems, build.Problems...)
	d.former, d.behind, d.confirmed = build.inForce(), false, d.builder.now()
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

// read reads all files as they are at one moment: a directory that changes
// meanwhile, as a mounted ConfigMap does, is read again, so that no mixture of
// before and after is ever in force.
func (d *Directory) read() (objects []*Object, problems []Problem, err error) {
	next := map[string][]*Object{}
	for range readTries {
		var readable bool
		if d.stamp, readable = d.fingerprint(); !readable {
			// Perhaps a folder went while it was looked at.
			_, err = Files(d.root)
			continue
		}
		paths, listErr := Files(d.root)
		if err = listErr; err != nil {
			continue
		}
		clear(next)
		objects, problems = nil, nil
		for _, path := range paths {
			found, bad := ReadFile(path)
			if len(bad) > 0 {
				problems = append(problems, d.keepLast(path, bad)...)
				found = d.files[path]
			}
			next[path] = found
			objects = append(objects, found...)
		}
		if d.between != nil {
			d.between()
		}
		if after, _ := d.fingerprint(); after == d.stamp {
			d.files = next
			return objects, problems, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("manifests %s: they changed each of the %d times that they were read", d.root, readTries)
	}
	return nil, nil, err
}

func (d *Directory) keepLast(path string, bad []Problem) []Problem {
	if last := d.files[path]; len(last) > 0 {
		for i := range bad {
			bad[i].Message += fmt.Sprintf(" (the file's last %d objects stay in force)", len(last))
		}
	}
	return bad
}

// Watch calls changed after every change of the directory, when it has settled,
// until ctx ends.
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
	var first time.Time // of the changes that are to settle
	noticed := func() {
		now := time.Now()
		if first.IsZero() {
			first = now
		}
		settle.Reset(max(0, min(debounce, settleWithin-now.Sub(first))))
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.Events:
			noticed()
		case _, open := <-w.Errors:
			// What was missed, the next poll finds.
			if !open {
				return nil
			}
		case <-poll.C:
			if d.differs() {
				noticed()
			}
		case <-settle.C:
			first = time.Time{}
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
	now, readable := d.fingerprint()
	if now != d.stamp {
		return true
	}
	if readable && !d.behind {
		d.confirmed = d.builder.now()
	}
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
	found := &walk{}
	_ = found.root(d.root) // What cannot be read is for Load to tell.
	for _, folder := range found.folders {
		_ = w.Add(folder)
	}
}

// fingerprint tells two states of the directory apart by names, sizes, times and
// what links point to, without reading the files; false when it cannot be read.
func (d *Directory) fingerprint() (string, bool) {
	paths, err := Files(d.root)
	if err != nil {
		return "unreadable: " + err.Error(), false
	}
	var b strings.Builder
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			fmt.Fprintf(&b, "%q ?\n", p)
			continue
		}
		target, _ := filepath.EvalSymlinks(p)
		fmt.Fprintf(&b, "%q %q %d %d\n", p, target, info.Size(), info.ModTime().UnixNano())
	}
	return b.String(), true
}
