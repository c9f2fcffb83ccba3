// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asked makes n requests, of which every third is refused, and ends the server.
func (s *server) asked(n int, with syscall.Signal) {
	s.t.Helper()
	for i := range n {
		a := images(s)
		if i%3 == 2 {
			a = a.with("audience", contactsAPI)
		}
		a.send()
	}
	s.signal(with)
	s.ended()
}

func TestTheAuditTrailCanBeVerified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	keys, trail := filepath.Join(dir, "keys"), filepath.Join(dir, "audit.jsonl")
	s := w.serve("--keys", keys, "--audit", trail)
	jwks := filepath.Join(dir, "jwks.json")
	if err := os.WriteFile(jwks, []byte(s.get("/jwks").body), 0o600); err != nil {
		t.Fatal(err)
	}
	s.asked(7, syscall.SIGTERM)
	w.serve("--keys", keys, "--audit", trail).asked(4, syscall.SIGKILL)
	w.serve("--keys", keys, "--audit", trail).asked(2, syscall.SIGTERM)
	b, err := os.ReadFile(trail)
	if err != nil {
		t.Fatal(err)
	}
	good := strings.Split(strings.TrimSpace(string(b)), "\n")
	// 7 records and an end, 4 records, 2 records and an end.
	if len(good) != 15 {
		t.Fatalf("%d lines", len(good))
	}
	write := func(t *testing.T, lines []string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	edit := func(change func(l []string) []string) []string { return change(append([]string(nil), good...)) }
	for name, c := range map[string]struct {
		lines []string
		args  []string
		code  int
		want  []string
	}{
		"F352, F353: as it was written, over a restart and a kill": {good, nil, 0, []string{"as it was written: 13 records in 3 chains", "signed up to 7", "closed in order", "killed or cut off"}},
		"F352: a record that was changed": {
			edit(func(l []string) []string { l[2] = strings.Replace(l[2], `"denied"`, `"allowed"`, 1); return l }), nil, 1, []string{":3: changed"},
		},
		"F352: a record that was removed": {edit(func(l []string) []string { return append(l[:4], l[5:]...) }), nil, 1, []string{":5: removed"}},
		"F352: two records that changed places": {
			edit(func(l []string) []string { l[3], l[4] = l[4], l[3]; return l }), nil, 1, []string{":5: reordered"},
		},
		"F352: a tail that was cut off": {good[:13], []string{"--closed"}, 1, []string{":13: truncated"}},
		"F353: a tail that was cut off before a restart": {
			edit(func(l []string) []string { return append(l[:11], l[12:]...) }), nil, 1, []string{":11: truncated"},
		},
		"F352: a checkpoint that nobody signed": {
			edit(func(l []string) []string {
				l[14] = strings.Replace(l[14], `"checkpoint":"eyJ`, `"checkpoint":"eyK`, 1)
				return l
			}), nil, 1, []string{":15: forged"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, code := invoke(t, append([]string{"audit", "verify", "--jwks", jwks, write(t, c.lines)}, c.args...)...)
			if code != c.code {
				t.Errorf("exit code %d, want %d:\n%s", code, c.code, out)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
	t.Run("F352: with other keys no checkpoint is believed", func(t *testing.T) {
		t.Parallel()
		other := filepath.Join(t.TempDir(), "jwks.json")
		if err := os.WriteFile(other, []byte(`{"keys": []}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := invoke(t, "audit", "verify", "--jwks", other, write(t, good)); code == 0 || !strings.Contains(out, "kid") && !strings.Contains(out, "key") {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	})
}

func TestF359PersonalDataCanBeLeftOutOfTheTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := w.serve("--audit-redact", "--audit-redact-key", key)
	images(s).send().allowed()
	subject, ok := s.records()[0]["subject"].(map[string]any)
	if !ok || subject["issuer"] != "corp" || subject["sub"] == "" || !strings.HasPrefix(subject["sub"].(string), "~") {
		t.Errorf("subject %v", s.records()[0]["subject"])
	}
	if b, err := os.ReadFile(s.audit); err != nil || strings.Contains(string(b), "alice") {
		t.Errorf("alice is in it: %v", err)
	}
	again := w.serve("--audit-redact", "--audit-redact-key", key)
	images(again).send().allowed()
	if other := again.records()[0]["subject"].(map[string]any); other["sub"] != subject["sub"] {
		t.Errorf("the pseudonym was %v and is %v", subject["sub"], other["sub"])
	}
}
