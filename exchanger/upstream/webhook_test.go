// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/exchequer-dev/exchequer/exchanger/upstream"
	fake "github.com/exchequer-dev/exchequer/test/fakes/upstream"
)

const docs = "../../docs"

func schemaOf(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(filepath.Join(docs, "schemas", strings.ToLower(kind)+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func example(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(docs, "examples", "webhooks", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t *testing.T, b []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// ask sends the review of a kind whose request is the published example.
func (r *rig) ask(t *testing.T, kind string) (any, error) {
	t.Helper()
	var doc struct{ Request json.RawMessage }
	if err := json.Unmarshal(example(t, strings.ToLower(kind)+"-request"), &doc); err != nil {
		t.Fatal(err)
	}
	into := func(v any) {
		d := json.NewDecoder(bytes.NewReader(doc.Request))
		d.DisallowUnknownFields()
		if err := d.Decode(v); err != nil {
			t.Fatal(err)
		}
	}
	switch kind {
	case upstream.VerifyReview:
		var q upstream.VerifyRequest
		into(&q)
		return r.client.Verify(t.Context(), r.at("/hook", nil), &q)
	case upstream.DirectoryReview:
		var q upstream.DirectoryRequest
		into(&q)
		return r.client.Directory(t.Context(), r.at("/hook", nil), &q)
	}
	var q upstream.TargetRequest
	into(&q)
	return r.client.Target(t.Context(), r.at("/hook", nil), &q)
}

func kinds() []string {
	return []string{upstream.VerifyReview, upstream.DirectoryReview, upstream.TargetReview}
}

func TestThePublishedExamplesAreWhatIsSentAndTaken(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds() {
		name := strings.ToLower(kind)
		for suffix, want := range map[string]string{"-response": "answered", "-refused": "refused"} {
			t.Run(kind+suffix, func(t *testing.T) {
				t.Parallel()
				schema := schemaOf(t, kind)
				r := newRig(t, fake.Options{TLS: true})
				answer := example(t, name+suffix)
				if err := schema.Validate(decode(t, answer)); err != nil {
					t.Fatalf("the example is not of the published schema: %v", err)
				}
				r.Handle("/hook", always(fake.Raw(string(answer))))
				got, err := r.ask(t, kind)
				if v := verdict(err); v != want {
					t.Fatalf("%s (%v), want %s", v, err, want)
				}
				if want == "answered" && reflect.ValueOf(got).IsNil() {
					t.Error("answered with nothing")
				}
				sent := r.Calls("/hook")[0]
				if err := schema.Validate(decode(t, sent.Body)); err != nil {
					t.Errorf("what is sent is not of the published schema: %v", err)
				}
				if sent.Method != http.MethodPost || sent.Header.Get("Content-Type") != "application/json" {
					t.Errorf("sent by %s as %s", sent.Method, sent.Header.Get("Content-Type"))
				}
				var a, b any
				if json.Unmarshal(sent.Body, &a) != nil || json.Unmarshal(example(t, name+"-request"), &b) != nil || !reflect.DeepEqual(a, b) {
					t.Errorf("sent %s, and the example is another one", sent.Body)
				}
			})
		}
	}
}

func TestWhatIsReadOfAReview(t *testing.T) {
	t.Parallel()
	r := newRig(t, fake.Options{})
	serve := func(name string) { r.Handle("/hook", always(fake.Raw(string(example(t, name))))) }
	serve("verifyreview-response")
	v, err := r.ask(t, upstream.VerifyReview)
	if claims := v.(*upstream.Verified).Claims; err != nil || claims["sub"] != "alice" || claims["exp"] != int64(1893499500) {
		t.Errorf("read %v, %v", v, err)
	}
	serve("directoryreview-response")
	d, err := r.ask(t, upstream.DirectoryReview)
	want := &upstream.Entry{Subject: "alice", Username: "alice", Groups: []string{"staff", "press"}, Extra: map[string]any{"department": "press", "sites": []string{"north", "south"}}}
	if err != nil || !reflect.DeepEqual(d, want) {
		t.Errorf("read %v, %v", d, err)
	}
	serve("targetreview-response")
	k, err := r.ask(t, upstream.TargetReview)
	if got := *k.(*upstream.Token); err != nil || got != (upstream.Token{AccessToken: "LtpaToken2-0b1c", TokenType: "N_A", IssuedTokenType: "https://mainframe.corp.example/ltpa", ExpiresIn: 600}) {
		t.Errorf("read %s, %v", show(&got), err)
	}
}

func TestAReviewThatIsNotUnderstoodIsNoAnswer(t *testing.T) {
	t.Parallel()
	const head = `{"apiVersion":"webhook.exchequer.dev/v1alpha1","kind":"`
	for name, c := range map[string]struct{ kind, body, want string }{
		"another apiVersion": {"VerifyReview", `{"apiVersion":"webhook.exchequer.dev/v2","kind":"VerifyReview","response":{"authenticated":true,"claims":{"sub":"a"}}}`, "unavailable"},
		"another kind":       {"VerifyReview", head + `DirectoryReview","response":{"authenticated":true,"claims":{"sub":"a"}}}`, "unavailable"},

		"the request sent back, without response":  {"VerifyReview", head + `VerifyReview","request":{"token":"x"}}`, "unavailable"},
		"a response that is no object":             {"VerifyReview", head + `VerifyReview","response":true}`, "unavailable"},
		"a member that there is not":               {"VerifyReview", head + `VerifyReview","response":{"authenticated":true,"claims":{"sub":"a"},"expires":1}}`, "unavailable"},
		"authenticated as a string":                {"VerifyReview", head + `VerifyReview","response":{"authenticated":"true","claims":{"sub":"a"}}}`, "unavailable"},
		"authenticated is missing":                 {"VerifyReview", head + `VerifyReview","response":{"claims":{"sub":"a"}}}`, "unavailable"},
		"authenticated, with an error":             {"VerifyReview", head + `VerifyReview","response":{"authenticated":true,"claims":{"sub":"a"},"error":"no"}}`, "refused"},
		"authenticated, with an error of no text":  {"VerifyReview", head + `VerifyReview","response":{"authenticated":true,"claims":{"sub":"a"},"error":{}}}`, "refused"},
		"authenticated without claims":             {"VerifyReview", head + `VerifyReview","response":{"authenticated":true}}`, "unavailable"},
		"not authenticated, with claims":           {"VerifyReview", head + `VerifyReview","response":{"authenticated":false,"claims":{"sub":"a"}}}`, "refused"},
		"groups that are no list":                  {"DirectoryReview", head + `DirectoryReview","response":{"groups":"staff"}}`, "unavailable"},
		"groups of numbers":                        {"DirectoryReview", head + `DirectoryReview","response":{"groups":[1]}}`, "unavailable"},
		"a subject that is no string":              {"DirectoryReview", head + `DirectoryReview","response":{"subject":1}}`, "unavailable"},
		"extra that is no object":                  {"DirectoryReview", head + `DirectoryReview","response":{"extra":[]}}`, "unavailable"},
		"extra of numbers":                         {"DirectoryReview", head + `DirectoryReview","response":{"extra":{"a":1}}}`, "unavailable"},
		"extra that is null":                       {"DirectoryReview", head + `DirectoryReview","response":{"extra":{"a":null}}}`, "unavailable"},
		"a directory that has nothing to add":      {"DirectoryReview", head + `DirectoryReview","response":{}}`, "answered"},
		"a target's answer without token":          {"TargetReview", head + `TargetReview","response":{"expiresIn":60}}`, "unavailable"},
		"a target's token of an unknown type":      {"TargetReview", head + `TargetReview","response":{"token":"t","tokenType":"DPoP"}}`, "unavailable"},
		"a target's token beside an error":         {"TargetReview", head + `TargetReview","response":{"token":"t","error":"no"}}`, "refused"},
		"a target's token with a life in a string": {"TargetReview", head + `TargetReview","response":{"token":"t","expiresIn":"60"}}`, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fake.Options{})
			r.Handle("/hook", always(fake.Raw(c.body)))
			_, err := r.ask(t, c.kind)
			if v := verdict(err); v != c.want {
				t.Errorf("%s (%v), want %s", v, err, c.want)
			}
			if strings.Contains(name, "no object") || c.want != "unavailable" || !strings.Contains(name, "a member") {
				return
			}
			if schemaOf(t, c.kind).Validate(decode(t, []byte(c.body))) == nil {
				t.Error("the published schema takes it")
			}
		})
	}
}
