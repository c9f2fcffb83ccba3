// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is a writer that does as it is told.
type sink struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	writes int
	write  func(p []byte) (int, error) // nil: take it
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	write := s.write
	s.writes++
	s.mu.Unlock()
	n, err := len(p), error(nil)
	if write != nil {
		n, err = write(p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf.Write(p[:n])
	return n, err
}

func (s *sink) set(write func(p []byte) (int, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write = write
}

func (s *sink) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Split(strings.TrimSuffix(s.buf.String(), "\n"), "\n")
}

func record(i int) *Record {
	return &Record{CorrelationID: fmt.Sprintf("id-%d", i), Outcome: policy.Allowed}
}

func TestEveryRecordIsOneLineAndInTheSinkBeforeWriteReturns(t *testing.T) {
	t.Parallel()
	s := &sink{}
	l := New(s, Options{})
	defer l.Close()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			r := record(i)
			if err := l.Write(r); err != nil {
				t.Error(err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if !bytes.Contains(s.buf.Bytes(), []byte(`"`+r.CorrelationID+`"`)) {
				t.Errorf("%s is not in the sink", r.CorrelationID)
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, line := range s.lines() {
		r, err := Parse([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if seen[r.CorrelationID] {
			t.Errorf("%s twice", r.CorrelationID)
		}
		seen[r.CorrelationID] = true
	}
	if len(seen) != 200 {
		t.Errorf("%d records, want 200", len(seen))
	}
}

func TestASinkThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	for name, write := range map[string]func([]byte) (int, error){
		"F351, F338: a full disk":     func([]byte) (int, error) { return 0, full },
		"F351: half a line":           func(p []byte) (int, error) { return len(p) / 2, full },
		"F351: a write that is short": func(p []byte) (int, error) { return len(p) - 1, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sink{write: write}
			l := New(s, Options{})
			defer l.Close()
			if err := l.Write(record(1)); !errors.Is(err, full) && !errors.Is(err, io.ErrShortWrite) {
				t.Fatalf("got %v", err)
			}
			s.set(nil)
			if err := l.Write(record(2)); err != nil {
				t.Fatalf("after the sink recovered: %v", err)
			}
			lines := s.lines()
			if r, err := Parse([]byte(lines[len(lines)-1])); err != nil || r.CorrelationID != "id-2" {
				t.Errorf("the record after a torn line is %q: %v", lines[len(lines)-1], err)
			}
		})
	}
}

func TestF351ASinkThatHangsMeansNoRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &sink{write: func(p []byte) (int, error) { <-release; return len(p), nil }}
		l := New(s, Options{})
		begin := time.Now()
		errs := make(chan error, 2)
		go func() { errs <- l.Write(record(1)) }()
		synctest.Wait()
		go func() { errs <- l.Write(record(2)) }()
		for range 2 {
			if err := <-errs; !errors.Is(err, ErrStalled) {
				t.Errorf("got %v", err)
			}
		}
		if waited := time.Since(begin); waited != DefaultDeadline {
			t.Errorf("waited %s", waited)
		}
		if err := l.Write(record(3)); !errors.Is(err, ErrStalled) || time.Since(begin) != DefaultDeadline {
			t.Errorf("while the sink hangs: %v after %s", err, time.Since(begin))
		}
		s.set(nil)
		close(release)
		synctest.Wait()
		if err := l.Write(record(4)); err != nil {
			t.Errorf("after the sink let go: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRecordsThatWaitGoOutTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &sink{write: func(p []byte) (int, error) { <-release; return len(p), nil }}
		l := New(s, Options{Deadline: time.Minute})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if err := l.Write(record(i)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		close(release)
		wg.Wait()
		if s.writes != 2 || len(s.lines()) != 50 {
			t.Errorf("%d writes of %d lines, want 2 of 50", s.writes, len(s.lines()))
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseWritesWhatIsPendingAndNothingAfter(t *testing.T) {
	t.Parallel()
	s := &sink{}
	l := New(s, Options{})
	if err := l.Write(record(1)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Write(record(2)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if got := s.lines(); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestCloseDoesNotWaitForASinkThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l := New(&sink{write: func(p []byte) (int, error) { <-release; return len(p), nil }}, Options{Deadline: time.Second})
		errs := make(chan error, 1)
		go func() { errs <- l.Write(record(1)) }()
		synctest.Wait()
		if err := l.Close(); !errors.Is(err, ErrStalled) {
			t.Errorf("got %v", err)
		}
		if err := <-errs; !errors.Is(err, ErrStalled) {
			t.Errorf("got %v", err)
		}
		close(release)
		synctest.Wait()
	})
}

func TestAFileIsAppendedToAndPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l := New(f, Options{})
	write := func(i int) {
		t.Helper()
		if err := l.Write(record(i)); err != nil {
			t.Fatal(err)
		}
	}
	write(1)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(2)
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(3)
	if err := errors.Join(l.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]int{path + ".1": 2, path: 1} {
		b, err := os.ReadFile(file)
		if err != nil || bytes.Count(b, []byte{'\n'}) != want {
			t.Errorf("%s: %q, %v; want %d lines", filepath.Base(file), b, err, want)
		}
	}
	if _, err := OpenFile(filepath.Join(path, "under-a-file")); err == nil {
		t.Error("opened a file under a file")
	}
}

func TestReopenKeepsTheOldFileWhenThereIsNoNewOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "audit.jsonl")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	moved := filepath.Join(dir, "moved")
	if err := os.Rename(filepath.Dir(path), moved); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err == nil {
		t.Error("reopened a file in a directory that is gone")
	}
	if _, err := f.Write([]byte("still here\n")); err != nil {
		t.Error(err)
	}
}

func BenchmarkWrite(b *testing.B) {
	f, err := OpenFile(filepath.Join(b.TempDir(), "audit.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	l := New(f, Options{})
	b.Cleanup(func() { _ = errors.Join(l.Close(), f.Close()) })
	r := full()
	b.ReportAllocs()
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Write(r); err != nil {
				b.Error(err)
			}
		}
	})
}

// A regular file is written to by whoever brings a record; the promises are the
// same, under any number of callers, until the last record before Close.
func TestCallersThatWriteThemselvesLoseNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !f.Regular() {
		t.Fatal("a file that is not regular")
	}
	l := New(f, Options{})
	const callers, each = 16, 200
	var written atomic.Int64
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for n := range each {
				if err := l.Write(&Record{CorrelationID: fmt.Sprintf("%d-%d", c, n)}); err == nil {
					written.Add(1)
				} else if !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
				if c == 0 && n == each/2 {
					if err := l.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Count(string(text), "\n")
	if int64(lines) != written.Load() || lines < each/2 {
		t.Errorf("%d lines for %d records", lines, written.Load())
	}
	for line := range strings.Lines(string(text)) {
		if _, err := Parse([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
}
