// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package usecases

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// anything is what nobody can know beforehand.
const anything = "…"

// differs says how what a block printed differs from what its page says; empty
// when it does not.
func differs(kind, want, got string) string {
	if kind == "text" {
		return textDiffers(want, got)
	}
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		return "the page's JSON: " + err.Error()
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		return "not JSON: " + err.Error()
	}
	return jsonDiffers("", w, g)
}

// jsonDiffers compares member by member: none missing, none besides.
func jsonDiffers(at string, want, got any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s: expected an object, found %v", at, got)
		}
		for name, v := range w {
			if what := jsonDiffers(at+"."+name, v, g[name]); what != "" {
				return what
			}
		}
		for name := range g {
			if _, expected := w[name]; !expected {
				return at + "." + name + ": the page does not say so"
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s: expected %v, found %v", at, want, got)
		}
		for i := range w {
			if what := jsonDiffers(fmt.Sprintf("%s[%d]", at, i), w[i], g[i]); what != "" {
				return what
			}
		}
		return ""
	case string:
		if strings.Contains(w, anything) && got != nil && matches(w, fmt.Sprint(got)) {
			return ""
		}
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Sprintf("%s: expected %v, found %v", at, want, got)
	}
	return ""
}

// textDiffers wants every line of the page among the printed ones, in order.
func textDiffers(want, got string) string {
	lines := strings.Split(got, "\n")
	for _, w := range strings.Split(strings.TrimSuffix(want, "\n"), "\n") {
		for {
			if len(lines) == 0 {
				return fmt.Sprintf("no line %q", w)
			}
			line := lines[0]
			lines = lines[1:]
			if matches(strings.TrimSpace(w), strings.TrimSpace(line)) {
				break
			}
		}
	}
	return ""
}

func matches(pattern, text string) bool {
	parts := strings.Split(pattern, anything)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	ok, err := regexp.MatchString("^(?s)"+strings.Join(parts, ".*")+"$", text)
	return err == nil && ok
}

func TestWhatAPagePromisesIsHeldAgainstWhatCame(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind, want, got string
		same            bool
	}{
		"equal JSON":                      {"json", `{"a":1,"b":["x"]}`, `{"b":["x"],"a":1}`, true},
		"another value":                   {"json", `{"a":1}`, `{"a":2}`, false},
		"a member too few":                {"json", `{"a":1,"b":1}`, `{"a":1}`, false},
		"a member too many":               {"json", `{"a":1}`, `{"a":1,"b":1}`, false},
		"anything at the end":             {"json", `{"t":"ey…"}`, `{"t":"eyJ.x.y"}`, true},
		"anything, but the wrong start":   {"json", `{"t":"ey…"}`, `{"t":"abc"}`, false},
		"anything is not nothing":         {"json", `{"t":"…"}`, `{}`, false},
		"a number that nobody knows":      {"json", `{"t":"…"}`, `{"t":12}`, true},
		"a list that is longer":           {"json", `["x"]`, `["x","y"]`, false},
		"no JSON":                         {"json", `{}`, `<html>`, false},
		"lines in order, others between":  {"text", "one\nthree…\n", "one\ntwo\nthree and more\n", true},
		"lines in the wrong order":        {"text", "two\none\n", "one\ntwo\n", false},
		"a line that is not there at all": {"text", "four\n", "one\ntwo\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if what := differs(tc.kind, tc.want, tc.got); (what == "") != tc.same {
				t.Errorf("got %q", what)
			}
		})
	}
}
