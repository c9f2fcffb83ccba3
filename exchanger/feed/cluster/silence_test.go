// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"

	plane "github.com/exchequer-dev/exchequer/test/cluster"
	"github.com/exchequer-dev/exchequer/test/fakes/operator"
)

// frost freezes what the API server sends: every watch that is open, or everything.
type frost struct {
	mu     sync.Mutex
	all    bool
	frozen chan struct{} // closed when the present watches freeze
	began  int           // watches that have begun
}

func newFrost() *frost { return &frost{frozen: make(chan struct{})} }

func (f *frost) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		f.mu.Lock()
		all, frozen := f.all, f.frozen
		watching := r.URL.Query().Get("watch") != ""
		if watching {
			f.began++
		}
		f.mu.Unlock()
		if all {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		}
		answer, err := next.RoundTrip(r)
		if err == nil && watching {
			answer.Body = &frozenBody{ReadCloser: answer.Body, frozen: frozen, closed: make(chan struct{})}
		}
		return answer, err
	})
}

// freezeWatches freezes the watches that are open; new ones are not.
func (f *frost) freezeWatches() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.frozen)
	f.frozen = make(chan struct{})
}

func (f *frost) freezeAll(yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = yes
	if yes {
		close(f.frozen)
		f.frozen = make(chan struct{})
	}
}

// frozenBody is a connection that stays open and says nothing more.
type frozenBody struct {
	io.ReadCloser
	frozen chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (b *frozenBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	select {
	case <-b.frozen:
		<-b.closed
		return 0, io.ErrUnexpectedEOF
	default:
		return n, err
	}
}

func (b *frozenBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}

func TestF326AWatchThatFallsSilentIsNoticed(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	f := newFrost()
	r := start(t, o, "one", through(f.wrap))
	r.mustServe(o.Publish(world(1, "main")))
	r.mustConfirm()
	f.freezeWatches()
	second := o.Publish(world(2, "main"))
	r.mustServe(second)
	eventually(t, func(g gomega.Gomega) { g.Expect(r.log.String()).To(gomega.ContainSubstring("fallen silent")) })
	third := o.Publish(world(3, "main"))
	r.mustServe(third)
	r.mustConfirm()
}

func TestF326AnAPIServerThatFallsSilentDoesNotConfirm(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	f := newFrost()
	r := start(t, o, "one", through(f.wrap), timed(times{confirm: 200 * time.Millisecond, retry: 100 * time.Millisecond, start: 2 * time.Second, request: 300 * time.Millisecond}))
	first := o.Publish(world(1, "main"))
	r.mustServe(first)
	r.mustConfirm()
	f.freezeAll(true)
	eventually(t, func(g gomega.Gomega) {
		g.Expect(time.Since(r.Confirmed())).To(gomega.BeNumerically(">", time.Second))
	})
	second := o.Publish(world(2, "main"))
	if got, _ := r.serves(); got != first.Revision {
		t.Errorf("revision %d is served, and nobody could have told", got)
	}
	f.freezeAll(false)
	r.mustServe(second)
	r.mustConfirm()
}

func TestAReplicaStartsFromItsCheckpoint(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	dir := filepath.Join(t.TempDir(), "checkpoint")
	r := start(t, o, "one", checkpointIn(dir))
	r.mustServe(o.Publish(world(1, "main")))
	p := o.Publish(world(300, "main"))
	r.mustServe(p)
	r.mustConfirm()
	eventually(t, func(g gomega.Gomega) {
		_, err := os.Stat(filepath.Join(dir, confirmedFile))
		g.Expect(err).NotTo(gomega.HaveOccurred())
	})
	r.stop()
	confirmed := r.Confirmed()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%d files: %v", len(entries), err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	store, err := openCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := store.load()
	if err != nil {
		t.Fatal(err)
	}

	f := newFrost()
	f.all = true
	again := start(t, o, "one", checkpointIn(dir), through(f.wrap))
	again.mustServe(p)
	if _, ok := again.ring.Active("main"); !ok {
		t.Error("there are no keys")
	}
	if got := again.Confirmed(); got.After(confirmed) || !got.Equal(kept.ConfirmedAt) {
		t.Errorf("it counts as confirmed at %v, %v was kept, and the last was at %v", got, kept.ConfirmedAt, confirmed)
	}
	f.freezeAll(false)
	again.mustConfirm()
	if got := again.revisions(); len(got) != 1 {
		t.Errorf("revisions %v: what was in force was put in force again", got)
	}
	next := o.Publish(world(301, "main"))
	again.mustServe(next)
	again.mustAcknowledge(next)
}

func TestACheckpointThatCannotBeTrustedIsIgnoredAndSaid(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	good := filepath.Join(t.TempDir(), "checkpoint")
	r := start(t, o, "one", checkpointIn(good))
	r.mustServe(o.Publish(world(3, "main")))
	eventually(t, func(g gomega.Gomega) {
		_, err := os.Stat(filepath.Join(good, checkpointFile))
		g.Expect(err).NotTo(gomega.HaveOccurred())
	})
	r.stop()
	b, err := os.ReadFile(filepath.Join(good, checkpointFile))
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(file string) error{
		"empty":   func(file string) error { return os.WriteFile(file, nil, 0o600) },
		"cut off": func(file string) error { return os.WriteFile(file, b[:len(b)-1], 0o600) },
		"a flipped bit": func(file string) error {
			c := append([]byte{}, b...)
			c[len(c)/2] ^= 1
			return os.WriteFile(file, c, 0o600)
		},
		"readable by others": func(file string) error {
			if err := os.WriteFile(file, b, 0o600); err != nil {
				return err
			}
			return os.Chmod(file, 0o644)
		},
		"a directory": func(file string) error { return os.Mkdir(file, 0o700) },
		"of a version that is unknown": func(file string) error {
			s, err := openCheckpoint(filepath.Dir(file))
			if err != nil {
				return err
			}
			return s.write(checkpointFile, []byte(strings.Replace(string(b[sumBytes:]), `"version":2`, `"version":3`, 1)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := spoil(filepath.Join(dir, checkpointFile)); err != nil {
				t.Fatal(err)
			}
			r := start(t, o, "one", checkpointIn(dir), at("https://127.0.0.1:1"), timed(times{confirm: time.Second, retry: time.Second, start: time.Millisecond, request: time.Second}))
			eventually(t, func(g gomega.Gomega) {
				g.Expect(r.log.String()).To(gomega.ContainSubstring("the checkpoint cannot be used"))
			})
			if got := r.revisions(); len(got) > 0 {
				t.Errorf("revisions %v are served", got)
			}
			r.stop()
		})
	}
}
