// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"strings"
	"testing"
)

func TestF359PersonalDataIsDeclaredAndCanBeReplaced(t *testing.T) {
	t.Parallel()
	d, err := NewRedactor([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	r := full()
	before := string(r.AppendJSON(nil))
	s := &sink{}
	l := New(s, Options{Redactor: d})
	if err := l.Write(r); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := before[:len(before)-1]
	for value, pseudonym := range map[string]string{
		`"sub":"corp:alice"`: `"sub":"~A3AODIE5SJP3BJ7TJBNQNGPN22"`,
		`"sub":"shop/api"`:   `"sub":"~WLNKL4MNXYZHUCCQN4O5NSQ6JY"`,
		`"sub":"bob"`:        `"sub":"~MQ6N7SBTMS3SYUSI5QWULZ6NLD"`,

		`"requestedSubject":"corp:boss"`: `"requestedSubject":"` + d.pseudonym("corp:boss") + `"`,
		`"statedReason":"ticket 7"`:      `"statedReason":"` + d.pseudonym("ticket 7") + `"`,
		`"jkt":"key-1"`:                  `"jkt":"` + d.pseudonym("key-1") + `"`,
		`"x5t#S256":"cert-1"`:            `"x5t#S256":"` + d.pseudonym("cert-1") + `"`,
		`"received":"key-2"`:             `"received":"` + d.pseudonym("key-2") + `"`,
		`"handover":"key-3"`:             `"handover":"` + d.pseudonym("key-3") + `"`,
	} {
		if !strings.Contains(want, value) {
			t.Fatalf("the record lacks %s", value)
		}
		want = strings.Replace(want, value, pseudonym, 1)
	}
	if got := s.lines()[0]; !strings.HasPrefix(got, want) {
		t.Errorf("F359: got  %s\nwant %s", got, want)
	}
	if string(r.AppendJSON(nil)) != before {
		t.Error("the caller's record was changed")
	}
	t.Run("F359: every key that is declared is a key of the record, and is replaced", func(t *testing.T) {
		t.Parallel()
		for _, key := range PersonalKeys() {
			parent, name, inner := strings.Cut(key, ".")
			if !inner {
				if !strings.Contains(before, `,"`+key+`":"`) {
					t.Errorf("%s is no key of a record", key)
				}
				continue
			}
			if !strings.Contains(before, `"`+parent+`":{`) || !strings.Contains(before, `"`+name+`":"`) {
				t.Errorf("%s is no key of a record", key)
			}
		}
		line := d.Redact(full()).AppendJSON(nil)
		for _, person := range []string{"alice", "shop/api", "bob", "corp:boss", "ticket 7"} {
			if bytes.Contains(line, []byte(`"`+person+`"`)) || bytes.Contains(line, []byte(":"+person)) {
				t.Errorf("%s is still there: %s", person, line)
			}
		}
	})
	t.Run("F359: one person has one pseudonym under one key, another under another", func(t *testing.T) {
		t.Parallel()
		other, err := NewRedactor(nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := NewRedactor([]byte("0123456789abcdef0123456789abcdef"))
		if err != nil {
			t.Fatal(err)
		}
		if d.pseudonym("alice") != again.pseudonym("alice") || d.pseudonym("alice") == d.pseudonym("bob") || d.pseudonym("alice") == other.pseudonym("alice") {
			t.Error("pseudonyms are mixed up")
		}
		if d.pseudonym("") != "" {
			t.Error("nobody has a pseudonym")
		}
	})
	t.Run("F359: a key that can be guessed is refused", func(t *testing.T) {
		t.Parallel()
		if _, err := NewRedactor([]byte("short")); err == nil {
			t.Error("accepted")
		}
	})
}
