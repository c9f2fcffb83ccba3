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
	"time"
)

const (
	program  = "package main\n\nimport \"path\"\n\nfunc main() { println(path.Clean(\"/a/..\")) }\n"
	entry    = `{"schema_version":"1.3.1","id":"GO-2026-0001","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z","database_specific":{"url":"https://pkg.go.dev/vuln/GO-2026-0001"},"summary":"Cleaning is dirty","details":"It is.","affected":[{"package":{"name":"stdlib","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],"ecosystem_specific":{"imports":[{"path":"path","symbols":["SYMBOL"]}]}}]}`
	affected = `[{"path":"stdlib","vulns":[{"id":"GO-2026-0001","modified":"2026-01-01T00:00:00Z"}]}]`
)

// files writes a module or a database.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func database(t *testing.T, modules, symbol string) string {
	t.Helper()
	return "file://" + files(t, map[string]string{
		"index/db.json":        `{"modified":"2026-01-01T00:00:00Z"}`,
		"index/modules.json":   modules,
		"index/vulns.json":     `[]`,
		"ID/GO-2026-0001.json": strings.ReplaceAll(entry, "SYMBOL", symbol),
	})
}

func TestF363AVulnerabilityThatIsReachedFailsTheCheck(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	soon := time.Date(2026, 1, 9, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		db   string
		now  time.Time
		code int
		says string
	}{
		"one that the program calls":              {db: database(t, affected, "Clean"), now: soon, code: 1, says: "GO-2026-0001"},
		"one that it imports and does not call":   {db: database(t, affected, "Glob"), now: soon, says: "No vulnerabilities found"},
		"none":                                    {db: database(t, "[]", "Clean"), now: soon, says: "is of 2026-01-01"},
		"no network is not none":                  {db: closed.URL, now: soon, code: 2, says: "COULD NOT LOOK"},
		"another server is not none":              {db: other.URL, now: soon, code: 2, says: "COULD NOT LOOK"},
		"an old copy of the database is not none": {db: database(t, "[]", "Clean"), now: soon.AddDate(0, 2, 0), code: 2, says: "nobody refreshes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, map[string]string{"go.mod": "module example.com/m\n\ngo 1.26.0\n", "main.go": program})
			var out bytes.Buffer
			if code := check(t.Context(), &out, tc.db, dir, tc.now, "./..."); code != tc.code || !strings.Contains(out.String(), tc.says) {
				t.Errorf("exit %d, want %d, and %q in:\n%s", code, tc.code, tc.says, out.String())
			}
		})
	}
	t.Run("sources that cannot be read are not none", func(t *testing.T) {
		t.Parallel()
		dir := files(t, map[string]string{"go.mod": "module example.com/m\n\ngo 1.26.0\n", "main.go": "package main\n\nfunc"})
		var out bytes.Buffer
		if code := check(t.Context(), &out, database(t, "[]", "Clean"), dir, soon, "./..."); code != 2 {
			t.Errorf("exit %d, want 2:\n%s", code, out.String())
		}
	})
}
