// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const registry = "Address Block,Name\n10.0.0.0/8,Private-Use\n\"2002::/16 [3]\",6to4\n"

// TestF371 is the check that runs every week, and before a release, against
// IANA's own servers.
func TestF371ACopyThatIsNotCurrentIsNoticed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer string
		status int
		write  bool
		code   int
		says   string
		copy   string
	}{
		"the same":                             {answer: registry, says: "is what IANA publishes"},
		"the same with other ends of lines":    {answer: strings.ReplaceAll(registry, "\n", "\r\n"), says: "is what IANA publishes"},
		"the same with a cell wrapped":         {answer: strings.Replace(registry, "2002::/16 [3]", "2002::/16\n      [3]", 1), says: "is what IANA publishes"},
		"a range more":                         {answer: registry + "5f00::/16,SRv6\n", code: 1, says: "+ 5f00::/16,SRv6"},
		"a range less":                         {answer: "Address Block,Name\n10.0.0.0/8,Private-Use\n", code: 1, says: "- 2002::/16 [3],6to4"},
		"a range more, taken over":             {answer: registry + "5f00::/16,SRv6\n", write: true, says: "+ 5f00::/16,SRv6", copy: registry + "5f00::/16,SRv6\n"},
		"an error is not the same":             {answer: registry, status: http.StatusServiceUnavailable, code: 2, says: "COULD NOT LOOK"},
		"a page of a proxy is not the same":    {answer: "<html>Please log in</html>", code: 2, says: "COULD NOT LOOK"},
		"nothing is not the same":              {answer: "", code: 2, says: "COULD NOT LOOK"},
		"a page is not taken over":             {answer: "<html>Please log in</html>", write: true, code: 2, says: "COULD NOT LOOK"},
		"more than a registry is not the same": {answer: registry + strings.Repeat("10.0.0.0/8,x\n", limit/10), code: 2, says: "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tc.status != 0 {
					w.WriteHeader(tc.status)
				}
				_, _ = w.Write([]byte(tc.answer))
			}))
			defer server.Close()
			var out bytes.Buffer
			c := check{from: server.URL, dir: copies(t), write: tc.write, client: server.Client(), out: &out}
			if code := c.run(t.Context()); code != tc.code || !strings.Contains(out.String(), tc.says) {
				t.Errorf("exit %d, want %d, and %q in:\n%s", code, tc.code, tc.says, out.String())
			}
			if tc.copy == "" {
				tc.copy = registry
			}
			if got, err := os.ReadFile(filepath.Join(c.dir, registries()[0][1])); err != nil || string(got) != tc.copy {
				t.Errorf("our copy is now %q (%v)", got, err)
			}
		})
	}
	t.Run("no network is not the same", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		var out bytes.Buffer
		c := check{from: server.URL, dir: copies(t), client: server.Client(), out: &out}
		if code := c.run(t.Context()); code != 2 || !strings.Contains(out.String(), "COULD NOT LOOK") {
			t.Errorf("exit %d\n%s", code, out.String())
		}
	})
}

func copies(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, r := range registries() {
		if err := os.WriteFile(filepath.Join(dir, r[1]), []byte(registry), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
