// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// watched is a directory with the objects of a shop in it.
type watched struct {
	tree
	*Directory
}

func newWatched(t *testing.T, root string) *watched {
	t.Helper()
	d := newTree(t)
	b, err := NewBuilder("exchequer-system", time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &watched{d, NewDirectory(d.path(root), b)}
}

func (w *watched) load() *Build {
	w.t.Helper()
	b, err := w.Load()
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func TestADirectoryMeansWhatItsFilesSay(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "")
	w.write("sts.yaml", sts)
	w.write("deep/app.yaml", app)
	b := w.load()
	if len(b.Spec.Services) != 1 || len(b.Spec.Clients) != 1 || b.Broken || b.Unchanged || b.Snapshot.Revision() != 1 {
		t.Fatalf("%+v: %s", b, told(b))
	}
	t.Run("what means the same keeps its revision", func(t *testing.T) {
		w.write("deep/app.yaml", "# a comment\n"+app)
		w.write("notes.yaml", "# nothing\n")
		again := w.load()
		if !again.Unchanged || again.Snapshot != b.Snapshot {
			t.Errorf("unchanged %v, revision %d", again.Unchanged, again.Snapshot.Revision())
		}
	})
	t.Run("an object in another file is the same object", func(t *testing.T) {
		w.write("moved.yaml", app)
		w.remove("deep")
		if again := w.load(); !again.Unchanged || again.Broken {
			t.Errorf("unchanged %v: %s", again.Unchanged, told(again))
		}
	})
	t.Run("what was deleted is gone, under a new revision", func(t *testing.T) {
		w.remove("moved.yaml")
		again := w.load()
		if again.Unchanged || len(again.Spec.Clients) != 0 || again.Snapshot.Revision() != 2 {
			t.Errorf("unchanged %v, clients %d, revision %d", again.Unchanged, len(again.Spec.Clients), again.Snapshot.Revision())
		}
	})
	t.Run("what comes back is a change again", func(t *testing.T) {
		w.write("again.yaml", app)
		if again := w.load(); again.Snapshot.Revision() != 3 || again.Snapshot.Digest() != b.Snapshot.Digest() {
			t.Errorf("revision %d, digest %s, want 3 and the first one's", again.Snapshot.Revision(), again.Snapshot.Digest())
		}
	})
}

func TestAFileThatCannotBeParsedKeepsItsLastObjects(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "")
	w.write("sts.yaml", sts)
	w.write("app.yaml", app)
	first := w.load()
	w.write("app.yaml", app+"\n  - broken")
	for range 2 {
		b := w.load()
		if !b.Unchanged || !b.Broken || b.Snapshot != first.Snapshot {
			t.Fatalf("unchanged %v, broken %v: %s", b.Unchanged, b.Broken, told(b))
		}
		if got := told(b); !strings.Contains(got, "app.yaml:1: not YAML") || !strings.Contains(got, "(the file's last 1 objects stay in force)") {
			t.Errorf("told %s", got)
		}
	}
	t.Run("the other files go on meaning what they say", func(t *testing.T) {
		w.write("other.yaml", strings.Replace(app, "name: app", "name: other", 1))
		if b := w.load(); len(b.Spec.Clients) != 2 || !b.Broken {
			t.Errorf("clients %d: %s", len(b.Spec.Clients), told(b))
		}
	})
	t.Run("mended, it says something again", func(t *testing.T) {
		w.write("app.yaml", "")
		if b := w.load(); len(b.Spec.Clients) != 1 || b.Broken {
			t.Errorf("clients %d: %s", len(b.Spec.Clients), told(b))
		}
	})
	t.Run("a file that was never read has nothing to keep", func(t *testing.T) {
		w.write("new.yaml", "a: b: c")
		if b := w.load(); !b.Broken || strings.Contains(told(b), "stay in force") {
			t.Errorf("told %s", told(b))
		}
	})
	t.Run("a file that was deleted keeps nothing", func(t *testing.T) {
		w.remove("new.yaml")
		w.remove("other.yaml")
		if b := w.load(); len(b.Spec.Clients) != 0 || b.Broken {
			t.Errorf("clients %d: %s", len(b.Spec.Clients), told(b))
		}
	})
}

func TestADirectoryThatCannotBeReadChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "manifests")
	if _, err := w.Load(); err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		t.Fatalf("got %v", err)
	}
	w.write("manifests/sts.yaml", sts)
	first := w.load()
	at := w.Confirmed()
	w.must(moved(w.path("manifests"), w.path("away")))
	if !w.differs() {
		t.Error("that it is gone is no difference")
	}
	if _, err := w.Load(); err == nil {
		t.Error("a directory that is gone means nothing, and was not an error")
	}
	if w.differs() {
		t.Error("that it is still gone is a difference each time")
	}
	if !w.Confirmed().Equal(at) {
		t.Error("what is in force was confirmed by a directory that is gone")
	}
	w.must(moved(w.path("away"), w.path("manifests")))
	if !w.differs() {
		t.Error("that it is back is no difference")
	}
	if b := w.load(); !b.Unchanged || b.Snapshot != first.Snapshot {
		t.Errorf("unchanged %v, revision %d", b.Unchanged, b.Snapshot.Revision())
	}
	if w.differs() || !w.Confirmed().After(at) {
		t.Error("what is in force is not confirmed")
	}
}

// watch runs Watch and returns a function that waits for the next call.
func (w *watched) watch() (wait func(what string)) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	called, done := make(chan struct{}, 64), make(chan error, 1)
	go func() { done <- w.Watch(ctx, func() { called <- struct{}{} }) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	return func(what string) {
		w.t.Helper()
		select {
		case <-called:
		case <-time.After(20 * time.Second): // a bound for a machine that is busy
			w.t.Fatalf("%s was not noticed", what)
		}
	}
}

func TestEveryChangeOfADirectoryIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "")
	w.write("sts.yaml", sts)
	w.folder("deep")
	w.load()
	wait := w.watch()
	for _, c := range []struct {
		what   string
		change func()
	}{
		{"a new file", func() { w.write("app.yaml", app) }},
		{"an edit", func() { w.write("app.yaml", app+"\n# edited\n") }},
		{"an editor that writes elsewhere and renames", func() {
			w.write(".app.yaml.swp", app+"\n# renamed into place\n")
			w.must(moved(w.path(".app.yaml.swp"), w.path("app.yaml")))
		}},
		{"a file in a folder that was there", func() { w.write("deep/more.yaml", "# more") }},
		{"a file in a folder that was not", func() { w.write("new/er/more.yaml", "# more") }},
		{"a rename", func() { w.must(moved(w.path("app.yaml"), w.path("client.yaml"))) }},
		{"a folder that went", func() { w.remove("new") }},
		{"a removal", func() { w.remove("client.yaml") }},
	} {
		c.change()
		// Whoever is told reads it again; until then it stays a difference. A change
		// of several steps may be told more than once.
		for wait(c.what); ; wait(c.what) {
			if w.differs() {
				w.load()
				break
			}
		}
	}
}

func TestTheSwapOfAConfigMapIsNoticedAndTakenAsAWhole(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "")
	w.write("..1/sts.yaml", sts)
	w.write("..1/team/app.yaml", app)
	w.link("..data", "..1")
	w.link("sts.yaml", "..data/sts.yaml")
	w.link("team", "..data/team")
	if b := w.load(); len(b.Spec.Clients) != 1 {
		t.Fatal(told(b))
	}
	wait := w.watch()
	for _, next := range []string{"..2", "..3"} {
		w.write(next+"/sts.yaml", sts)
		w.write(next+"/team/app.yaml", strings.Replace(app, "name: app", "name: app"+next[2:], 1))
		w.link("..data", next)
		for wait("the swap to " + next); !w.differs(); {
			wait("the swap to " + next)
		}
		if b := w.load(); len(b.Spec.Clients) != 1 || b.Spec.Clients[0].ID != "shop/app"+next[2:] {
			t.Fatalf("clients %+v: %s", b.Spec.Clients, told(b))
		}
	}
}

// Two files of one ConfigMap belong together: no state may have one from before a
// swap and one from after it.
func TestNoMixtureOfBeforeAndAfterASwapIsTaken(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "")
	version := func(n int) string {
		return strings.Replace(app, "spec: {}", fmt.Sprintf("spec: {token: {lifetime: %dm}}", 1+n%50), 1)
	}
	swap := func(n int) {
		next := fmt.Sprintf("..%d", n)
		w.write(next+"/a.yaml", version(n))
		w.write(next+"/z.yaml", strings.Replace(version(n), "name: app", "name: zap", 1))
		w.link("..data", next)
	}
	w.write("sts.yaml", sts)
	swap(0)
	w.link("a.yaml", "..data/a.yaml")
	w.link("z.yaml", "..data/z.yaml")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; n <= 100; n++ {
			swap(n)
		}
	}()
	defer func() { <-done }()
	taken := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		b, err := w.Load()
		if err != nil {
			continue // It changed too fast: nothing of it was taken.
		}
		if c := b.Spec.Clients; len(c) != 2 || c[0].Lifetime != c[1].Lifetime {
			t.Fatalf("clients %+v: %s", c, told(b))
		}
		taken++
	}
	if taken == 0 {
		t.Error("nothing was taken, not even at the end")
	}
}

func TestALinkToTheDirectoryMayBeSwapped(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "current")
	w.write("one/all.yaml", sts+"\n---"+app)
	w.write("two/all.yaml", sts)
	w.link("current", "one")
	w.load()
	wait := w.watch()
	w.link("current", "two")
	wait("the swap")
	if b := w.load(); len(b.Spec.Clients) != 0 {
		t.Errorf("clients %+v", b.Spec.Clients)
	}
}

func TestASingleFileIsWatchedToo(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "all.yaml")
	w.write("all.yaml", sts)
	w.load()
	wait := w.watch()
	w.write("all.yaml", sts+"\n---"+app)
	wait("the edit")
	if b := w.load(); len(b.Spec.Clients) != 1 {
		t.Errorf("clients %+v", b.Spec.Clients)
	}
}

// Something that writes into the directory all the time, a log for one, must not
// keep a change from being noticed.
func TestAChangeIsNoticedThoughTheDirectoryNeverSettles(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "")
	w.write("sts.yaml", sts)
	w.load()
	wait := w.watch()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(debounce / 10)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				w.write("requests.log", time.Now().String())
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	w.write("app.yaml", app)
	wait("the change")
	if b := w.load(); len(b.Spec.Clients) != 1 {
		t.Errorf("clients %+v", b.Spec.Clients)
	}
}

func TestADirectoryThatChangesWhileItIsReadIsReadAgain(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "")
	w.write("sts.yaml", sts)
	w.write("app.yaml", app)
	w.between = func() {
		w.between = nil
		w.remove("app.yaml")
	}
	if b := w.load(); len(b.Spec.Clients) != 0 {
		t.Error("what was read before the change is in force")
	}
	n := 0
	w.between = func() {
		n++
		w.write("more.yaml", fmt.Sprintf("# %d\n%s", n, strings.Repeat("#", n)))
	}
	if _, err := w.Load(); err == nil {
		t.Error("a directory that never rests was read at no moment, and counts")
	}
	if n != readTries {
		t.Errorf("it was tried %d times", n)
	}
}
