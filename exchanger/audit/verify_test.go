// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stamp signs with a MAC: what a signature is, is not this package's business.
type stamp struct {
	key string
	err error
}

func (s stamp) SignCheckpoint(_ context.Context, payload []byte) (service, jws string, err error) {
	text := base64.RawURLEncoding.EncodeToString(payload)
	return "default", text + "." + s.mac(text), s.err
}

func (s stamp) mac(text string) string {
	m := hmac.New(sha256.New, []byte(s.key))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

func (s stamp) verify(jws string) ([]byte, error) {
	text, mac, _ := strings.Cut(jws, ".")
	if s.mac(text) != mac {
		return nil, errors.New("the signature does not verify")
	}
	return base64.RawURLEncoding.DecodeString(text)
}

var theStamp = stamp{key: "theirs"} //nolint:gochecknoglobals // a constant of the tests

// trail writes n records with a checkpoint after every third and an end, and returns
// the lines.
func trail(t *testing.T, n int) []string {
	t.Helper()
	var lines []string
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		l := New(s, Options{Replica: "exchanger-0", Signer: theStamp, Every: time.Second})
		for i := range n {
			if err := l.Write(record(i)); err != nil {
				t.Fatal(err)
			}
			if i%3 == 2 {
				time.Sleep(time.Second)
				synctest.Wait()
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		lines = s.lines()
	})
	return lines
}

func judge(t *testing.T, v Verification, files ...[]string) *Report {
	t.Helper()
	if v.Signature == nil {
		v.Signature = theStamp.verify
	}
	inputs := make([]Input, 0, len(files))
	for i, lines := range files {
		inputs = append(inputs, Input{fmt.Sprintf("f%d", i+1), strings.NewReader(strings.Join(lines, "\n") + "\n")})
	}
	r, err := Verify(v, nil, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestATrailAsItWasWrittenIsGood(t *testing.T) {
	t.Parallel()
	lines := trail(t, 10)
	r := judge(t, Verification{Closed: true}, lines)
	if !r.Good() || r.Records != 10 || r.Lines != 14 || r.Foreign != 0 {
		t.Fatalf("%+v", r)
	}
	c := r.Chains[0]
	if len(r.Chains) != 1 || !strings.HasPrefix(c.Chain, "exchanger-0/") || c.First != 1 || c.Last != 14 || c.Signed != 13 || !c.Closed {
		t.Errorf("%+v", c)
	}
	for i, line := range lines {
		if want := fmt.Sprintf(`"seq":%d,`, i+1); !strings.Contains(line, want) {
			t.Errorf("line %d has not %s: %s", i+1, want, line)
		}
	}
}

// The lines of the trail: records 1-3, checkpoint 4, records 5-7, checkpoint 8,
// records 9-11, checkpoint 12, record 13, end 14.
func TestF352AChangedTrailIsNoticedAndThePlaceIsTold(t *testing.T) {
	t.Parallel()
	good := trail(t, 10)
	tampered := func(i int) func([]string) []string {
		return func(l []string) []string {
			l[i-1] = strings.Replace(l[i-1], `"outcome":"allowed"`, `"outcome":"denied"`, 1)
			return l
		}
	}
	for name, c := range map[string]struct {
		change func([]string) []string
		want   []string
	}{
		"F352: a record that was changed":     {tampered(6), []string{"f1:6 changed"}},
		"F352: the first record":              {tampered(1), []string{"f1:1 changed"}},
		"F352: the last before the end":       {tampered(13), []string{"f1:13 changed", "f1:14 rewritten"}},
		"F352: a record that was removed":     {func(l []string) []string { return slices.Delete(l, 5, 6) }, []string{"f1:6 removed"}},
		"F352: three that were removed":       {func(l []string) []string { return slices.Delete(l, 4, 7) }, []string{"f1:5 removed"}},
		"F352: the first that was removed":    {func(l []string) []string { return l[1:] }, []string{"f1:1 beginning"}},
		"F352: two that changed places":       {func(l []string) []string { l[4], l[5] = l[5], l[4]; return l }, []string{"f1:6 reordered"}},
		"F352: one that stands there twice":   {func(l []string) []string { return slices.Insert(l, 6, l[5]) }, []string{"f1:7 repeated"}},
		"F352: a checkpoint that was removed": {func(l []string) []string { return slices.Delete(l, 7, 8) }, []string{"f1:8 removed"}},
		"F352: a checkpoint that nobody signed": {func(l []string) []string {
			l[7] = strings.Replace(l[7], `"checkpoint":"e`, `"checkpoint":"f`, 1)
			return l
		}, []string{"f1:8 forged", "f1:8 changed"}},
		"F352: a tail that was cut off":    {func(l []string) []string { return l[:10] }, []string{"f1:10 truncated"}},
		"F352: the end alone":              {func(l []string) []string { return l[:13] }, []string{"f1:13 truncated"}},
		"F352: a record that nobody wrote": {func(l []string) []string { return slices.Insert(l, 6, string(record(7).AppendJSON(nil))) }, []string{"f1:7 inserted"}},
		"F352: a checkpoint that poses as the end": {
			func(l []string) []string {
				l[11] = strings.Replace(l[11], `"event":"checkpoint"`, `"event":"end"`, 1)
				return l[:12]
			}, []string{"f1:12 forged"},
		},
		"F352: a record after the end":                       {func(l []string) []string { return append(l, chainedTo(l[13], record(99), 15)) }, []string{"f1:15 inserted"}},
		"F352: a second line of a number":                    {func(l []string) []string { return slices.Insert(l, 6, chainedTo(l[4], record(99), 6)) }, []string{"f1:7 inserted"}},
		"F352: a tail that was written anew, hashes and all": {func(l []string) []string { return rewrite(l, 6) }, []string{"f1:8 rewritten", "f1:12 rewritten", "f1:14 rewritten"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := judge(t, Verification{Closed: true}, c.change(slices.Clone(good)))
			var got []string
			for _, p := range r.Problems {
				got = append(got, fmt.Sprintf("%s:%d %s", p.File, p.Line, p.Kind))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q\n%+v", got, c.want, r.Problems)
			}
		})
	}
}

// chainedTo is a record with the members that would follow line.
func chainedTo(line string, r *Record, seq uint64) string {
	body := r.AppendJSON(nil)
	chain, _, _ := strings.Cut(line[strings.Index(line, `"chain":"`)+9:], `"`)
	out, _ := appendSealed(nil, body[:len(body)-1], chain, head{seq: seq - 1, sum: sha256.Sum256([]byte(line)), linked: true})
	return strings.TrimSuffix(string(out), "\n")
}

// rewrite is what somebody does who knows the hashes and has no key: line i is changed
// and all behind it is chained anew.
func rewrite(l []string, i int) []string {
	l[i-1] = strings.Replace(l[i-1], `"outcome":"allowed"`, `"outcome":"denied"`, 1)
	for n := i; n < len(l); n++ {
		sum := sha256.Sum256([]byte(l[n-1]))
		l[n] = l[n][:strings.LastIndex(l[n], `"prev":"`)] + `"prev":"` + hex.EncodeToString(sum[:]) + `"}`
	}
	return l
}

func TestF352WithoutKeysTheHashesAreStillCompared(t *testing.T) {
	t.Parallel()
	good := trail(t, 4)
	for name, c := range map[string]struct {
		lines []string
		good  bool
	}{"F352: as it was": {good, true}, "F352: one removed": {slices.Delete(slices.Clone(good), 1, 2), false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Verify(Verification{Closed: true}, nil, []Input{{"f", strings.NewReader(strings.Join(c.lines, "\n"))}})
			if err != nil || r.Good() != c.good || r.Chains[0].Signed != 0 {
				t.Errorf("%+v %v", r, err)
			}
		})
	}
}

func TestF352ACheckpointKeptElsewhereProvesATailThatWasCutOff(t *testing.T) {
	t.Parallel()
	lines := trail(t, 10)
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"F352: all is there":           {lines, "[]"},
		"F352: the tail is gone":       {lines[:9], "f:9 truncated"},
		"F352: the whole chain is":     {nil, "kept:1 removed"},
		"F352: what is there is other": {rewrite(slices.Clone(lines), 6), "f:7 rewritten"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Verify(Verification{Signature: theStamp.verify}, []Input{{"kept", strings.NewReader(lines[7] + "\n" + lines[11] + "\n")}}, []Input{{"f", strings.NewReader(strings.Join(c.lines, "\n"))}})
			if err != nil {
				t.Fatal(err)
			}
			got := "[]"
			if len(r.Problems) > 0 {
				got = fmt.Sprintf("%s:%d %s", r.Problems[0].File, r.Problems[0].Line, r.Problems[0].Kind)
			}
			if got != c.want {
				t.Errorf("got %s, want %s: %+v", got, c.want, r.Problems)
			}
		})
	}
}

func TestF353ARestartBeginsAChainThatIsLinkedToTheLastLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	run := func(n int, end bool) {
		t.Helper()
		f, err := OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		l := New(f, Options{Signer: theStamp})
		for i := range n {
			if err := l.Write(record(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(l.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		if !end { // what a process that is killed leaves: no end but half a line
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b[:len(b)-40], 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(3, true)
	run(2, false)
	run(2, true)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	t.Run("F353: as it was written", func(t *testing.T) {
		r := judge(t, Verification{}, lines)
		if !r.Good() || len(r.Chains) != 3 || r.Foreign != 1 || r.Records != 7 {
			t.Fatalf("%+v", r)
		}
		if !r.Chains[0].Closed || r.Chains[1].Closed || !r.Chains[2].Closed {
			t.Errorf("%+v", r.Chains)
		}
	})
	t.Run("F353: two files, the first moved away between the runs", func(t *testing.T) {
		r := judge(t, Verification{}, lines[:4], lines[4:])
		if !r.Good() {
			t.Errorf("%+v", r.Problems)
		}
	})
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"F353: the end of the first run is gone": {slices.Delete(slices.Clone(lines), 3, 4), "f1:3 truncated"},
		"F353: the first run is gone":            {lines[4:], "f1:1 beginning"},
		"F353: a whole run in the middle is":     {slices.Delete(slices.Clone(lines), 4, 7), "f1:4 truncated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := judge(t, Verification{}, c.lines)
			if len(r.Problems) != 1 || fmt.Sprintf("%s:%d %s", r.Problems[0].File, r.Problems[0].Line, r.Problems[0].Kind) != c.want {
				t.Errorf("want %s: %+v", c.want, r.Problems)
			}
		})
	}
	t.Run("F353: the second file alone, by whoever says so", func(t *testing.T) {
		t.Parallel()
		if r := judge(t, Verification{Partial: true}, lines[4:]); !r.Good() {
			t.Errorf("%+v", r.Problems)
		}
	})
}

func TestF353AFileThatWasMovedAwayGoesOnInTheNext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l := New(f, Options{Signer: theStamp})
	for i := range 4 {
		if i == 2 {
			if err := errors.Join(os.Rename(path, path+".1"), f.Reopen()); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Write(record(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	read := func(path string) []string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
	old, fresh := read(path+".1"), read(path)
	if r := judge(t, Verification{Closed: true}, old, fresh); !r.Good() || r.Records != 4 {
		t.Errorf("both: %+v", r)
	}
	if r := judge(t, Verification{}, fresh); len(r.Problems) != 1 || r.Problems[0].Kind != KindBeginning {
		t.Errorf("the second alone: %+v", r.Problems)
	}
	if r := judge(t, Verification{Closed: true, Partial: true}, fresh); !r.Good() {
		t.Errorf("the second alone, as a part: %+v", r.Problems)
	}
}

func TestTheChainGoesOnAfterASinkThatFailed(t *testing.T) {
	t.Parallel()
	broken := errors.New("no space left on device")
	for name, write := range map[string]func([]byte) (int, error){
		"F351: nothing came through":     func([]byte) (int, error) { return 0, broken },
		"F351: half a line did":          func(p []byte) (int, error) { return len(p) / 2, broken },
		"F351: all but the line's end":   func(p []byte) (int, error) { return len(p) - 1, nil },
		"F351: everything, and an error": func(p []byte) (int, error) { return len(p), broken },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sink{}
			l := New(s, Options{Signer: theStamp})
			for i := range 6 {
				if i == 2 || i == 3 {
					s.set(write)
				} else {
					s.set(nil)
				}
				if err := l.Write(record(i)); (err != nil) != (i == 2 || i == 3) {
					t.Fatalf("record %d: %v", i, err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if r := judge(t, Verification{Closed: true}, s.lines()); !r.Good() {
				t.Errorf("%+v\n%s", r.Problems, strings.Join(s.lines(), "\n"))
			}
		})
	}
}

func TestChainsOfSeveralReplicasMayBeMixed(t *testing.T) {
	t.Parallel()
	a, b := trail(t, 5), trail(t, 5)
	var both []string
	for i := range a {
		both = append(both, a[i], "level=info msg=something", b[i])
	}
	r := judge(t, Verification{Closed: true}, both)
	if !r.Good() || len(r.Chains) != 2 || r.Foreign != len(a) {
		t.Errorf("%+v", r)
	}
}

func TestManyRecordsAreSignedBeforeTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		l := New(s, Options{Signer: theStamp, Every: time.Hour})
		for i := range mostUnsigned {
			if err := l.Write(record(i)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := len(s.lines()); n != mostUnsigned+1 {
			t.Errorf("%d lines", n)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestASignerThatFailsIsToldOfAndTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		away := errors.New("the signer is away")
		failed := make(chan error, 8)
		s := &sink{}
		l := New(s, Options{Signer: stamp{err: away}, Every: time.Second, Failed: func(err error) { failed <- err }})
		if err := l.Write(record(1)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-failed; !errors.Is(err, away) {
				t.Errorf("got %v", err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if r := judge(t, Verification{}, s.lines()); !r.Good() || r.Chains[0].Signed != 0 || r.Chains[0].Closed {
			t.Errorf("%+v", r)
		}
	})
}

func TestAQuietLogIsNotSignedOverAndOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		l := New(s, Options{Signer: theStamp, Every: time.Second})
		if err := l.Write(record(1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(s.lines()); n != 2 {
			t.Errorf("%d lines for a record and its checkpoint", n)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Whatever a file holds, a report comes of it, with at most a hundred problems.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"chain":"a","seq":1,"prev":""}`+"\n"+`{"chain":"a","seq":18446744073709551615,"prev":"00"}`), true)
	f.Add([]byte(`{"chain":"a","seq":9,"prev":"x","event":"checkpoint","checkpoint":"e30."}`), false)
	f.Fuzz(func(t *testing.T, b []byte, partial bool) {
		v := Verification{Partial: partial, Closed: true, Signature: func(string) ([]byte, error) { return b, nil }}
		r, err := Verify(v, []Input{{"a", bytes.NewReader(b)}}, []Input{{"b", bytes.NewReader(b)}})
		if err == nil && len(r.Problems) > mostProblems {
			t.Errorf("%d problems", len(r.Problems))
		}
	})
}
