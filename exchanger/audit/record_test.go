// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func full() *Record {
	return &Record{
		Time: time.Date(2030, 1, 1, 12, 0, 0, 123456789, time.FixedZone("CET", 3600)), CorrelationID: "ABCDEFGH",
		Outcome: policy.Allowed, TokenService: "default", Client: "shop/frontend",
		Subject: Identity{"corp", "corp:alice"}, Actor: Identity{"self", "shop/api"},
		Impersonator: &Impersonator{"https://corp.example", "bob", "helpdesk/console", "shop/support"}, RequestedSubject: "corp:boss", StatedReason: "ticket 7",
		Proof:     policy.Proof{JKT: "key-1", X5T: "cert-1", SubjectJKT: "key-2", HandoverJKT: "key-3"},
		Targets:   []policy.TargetPolicy{{Target: "media/images-resource", Policy: "media/frontend-gets-images"}},
		Grant:     "urn:ietf:params:oauth:grant-type:token-exchange",
		Audiences: []string{"media/images-resource"}, Resources: []string{"https://images.media.example"},
		ScopeAsked: []string{"images", "contacts"}, ScopeGranted: []string{"images"}, TokenType: policy.TypeAccessToken,
		Revision: 812, KeyID: "k1", TokenID: "j1", Transaction: "t1",
		TokensIn: [][sha256.Size]byte{sha256.Sum256([]byte("token"))}, Duration: 181 * time.Microsecond,
	}
}

func TestARecordHasTheKeysOfTheContractInOrder(t *testing.T) {
	t.Parallel()
	const want = `{"time":"2030-01-01T11:00:00.123456789Z","correlationID":"ABCDEFGH","outcome":"allowed","reason":"","tokenService":"default",` +
		`"client":"shop/frontend","subject":{"issuer":"corp","sub":"corp:alice"},"actor":{"issuer":"self","sub":"shop/api"},` +
		`"impersonator":{"iss":"https://corp.example","sub":"bob","client_id":"helpdesk/console","grant":"shop/support"},` +
		`"targets":[{"target":"media/images-resource","policy":"media/frontend-gets-images"}],"grant":"urn:ietf:params:oauth:grant-type:token-exchange",` +
		`"audience":["media/images-resource","https://images.media.example"],"scopeAsked":["images","contacts"],"scopeGranted":["images"],` +
		`"tokenType":"AccessToken","revision":812,"kid":"k1","jti":"j1","txn":"t1",` +
		`"tokensIn":["3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0"],"durationMicros":181,"requestedSubject":"corp:boss","statedReason":"ticket 7",` +
		`"proof":{"jkt":"key-1","x5t#S256":"cert-1","received":"key-2","handover":"key-3"}}`
	if got := string(full().AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	const empty = `{"time":"0001-01-01T00:00:00Z","correlationID":"","outcome":"denied","reason":"","tokenService":"","client":"",` +
		`"subject":null,"actor":null,"impersonator":null,"targets":[],"grant":"","audience":[],"scopeAsked":[],"scopeGranted":[],` +
		`"tokenType":"","revision":0,"kid":"","jti":"","txn":"","tokensIn":[],"durationMicros":0,"check":"","detail":"","trace":[]}`
	if got := string(new(Record).AppendJSON(nil)); got != empty {
		t.Errorf("got  %s\nwant %s", got, empty)
	}
}

func TestARefusalKeepsCheckAndTrace(t *testing.T) {
	t.Parallel()
	r := full()
	r.Outcome, r.Reason, r.Check, r.Detail = policy.Denied, policy.SubjectRule, "subjectRules", "staff only"
	r.Trace = []policy.TargetTrace{
		{Target: "media/a", Chosen: "media/p", Policies: []policy.PolicyTrace{{Policy: "media/p", Outcome: "allowed"}}},
		{Target: "media/b", Omitted: 3, Policies: []policy.PolicyTrace{
			{Policy: "media/q", Audit: true, Outcome: "denied", Reason: policy.SubjectRule, Check: "subjectRules", Detail: "staff only"},
		}},
	}
	line := r.AppendJSON(nil)
	const want = `"check":"subjectRules","detail":"staff only","trace":[{"target":"media/a","chosen":"media/p","policies":[{"policy":"media/p","outcome":"allowed"}]},` +
		`{"target":"media/b","policies":[{"policy":"media/q","audit":true,"outcome":"denied","reason":"SubjectRule","check":"subjectRules","detail":"staff only"}],"omitted":3}]}`
	if !bytes.HasSuffix(line, []byte(want)) {
		t.Errorf("got %s", line)
	}
	got, err := Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	back := r
	back.Audiences, back.Resources, back.Time = append(r.Audiences, r.Resources...), nil, r.Time.UTC()
	if !reflect.DeepEqual(got, back) {
		t.Errorf("got  %+v\nwant %+v", got, back)
	}
}

func TestParseRefusesWhatIsNoRecord(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"nothing":            "",
		"no JSON":            "level=info",
		"another outcome":    `{"outcome":"maybe"}`,
		"a digest in base64": `{"outcome":"denied","tokensIn":["YWJj"]}`,
		"a short digest":     `{"outcome":"denied","tokensIn":["abcd"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r, err := Parse([]byte(line)); err == nil {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestNothingBreaksOutOfALine(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"F354: a line break":                  "alice\n{\"outcome\":\"allowed\"}",
		"F354: a carriage return":             "alice\rroot",
		"F354: a quote and JSON after it":     `alice","outcome":"allowed`,
		"F354: a backslash at the end":        `alice\`,
		"F354: an ANSI escape":                "\x1b[2Jalice\x1b[0m",
		"F354: an 8-bit control sequence":     "\u009b31malice",
		"F354: a next-line character":         "alice\u0085root",
		"F354: line and paragraph separators": "a\u2028b\u2029c",
		"F354: a text direction override":     "alice\u202egnp.exe",
		"F354: a zero-width joiner":           "al\u200dice",
		"F354: NUL, DEL and the bell":         "a\x00b\x7fc\ad",
		"F354: invalid UTF-8":                 "a\xff\xc3(b\xed\xa0\x80",
		"F354: letters of the world":          "Żółć 漢字 🙂 \U000e0001",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &Record{Client: value, KeyID: value, Audiences: []string{value}, Subject: Identity{value, value}, Detail: value, Transaction: value}
			line := r.AppendJSON(nil)
			harmless(t, line)
			var got map[string]any
			if err := json.Unmarshal(line, &got); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			want := strings.ToValidUTF8(value, "\ufffd")
			if name == "F354: invalid UTF-8" {
				want = "a\ufffd\ufffd(b\ufffd\ufffd\ufffd" // one for each byte, as encoding/json has it
			}
			for _, key := range []string{"client", "kid", "detail", "txn"} {
				if got[key] != want {
					t.Errorf("%s = %q, want %q", key, got[key], want)
				}
			}
		})
	}
}

// harmless fails when a line holds what a terminal, or a reader of lines, obeys.
func harmless(t *testing.T, line []byte) {
	t.Helper()
	for _, ch := range string(line) {
		if !unicode.IsPrint(ch) {
			t.Errorf("%U stands raw in %q", ch, line)
		}
	}
}

func TestLongValuesAreCut(t *testing.T) {
	t.Parallel()
	r := &Record{Audiences: []string{strings.Repeat("a", maxValue), strings.Repeat("b", maxValue+7)}}
	got, err := Parse(r.AppendJSON(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got.Audiences[0] != r.Audiences[0] || got.Audiences[1] != strings.Repeat("b", maxValue)+"…+7" {
		t.Errorf("got %d and %d bytes", len(got.Audiences[0]), len(got.Audiences[1]))
	}
}

// F354: whatever stands in a record, it is one line, and encoding/json reads
// from it what was put in.
func FuzzRecord(f *testing.F) {
	f.Add("sub\r\n", "kid\x1b[0m", `client","outcome":"allowed`, "\u2028\x00\xff", uint64(1))
	f.Add("", strings.Repeat("é", 2000), "\U0010ffff", "\\", uint64(1<<63))
	f.Fuzz(func(t *testing.T, sub, kid, client, scope string, revision uint64) {
		r := &Record{
			Client: client, KeyID: kid, Subject: Identity{"corp", sub}, ScopeAsked: []string{scope, sub}, Revision: revision,
			Trace: []policy.TargetTrace{{Target: sub, Policies: []policy.PolicyTrace{{Policy: client, Outcome: "denied", Reason: "X", Detail: scope}}}},
		}
		line := r.AppendJSON(nil)
		harmless(t, line)
		got, err := Parse(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for _, pair := range [][2]string{{got.Client, client}, {got.KeyID, kid}, {got.Subject.Subject, sub}, {got.ScopeAsked[0], scope}, {got.Trace[0].Policies[0].Detail, scope}} {
			if len(pair[1]) <= maxValue && pair[0] != string([]rune(pair[1])) {
				t.Fatalf("read %q, wrote %q", pair[0], pair[1])
			}
		}
		if got.Revision != revision || got.Outcome != policy.Denied {
			t.Fatalf("read %+v", got)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	r := full()
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendJSON(buf[:0])
	}
}
