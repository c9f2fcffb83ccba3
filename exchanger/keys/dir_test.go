// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func openDir(t *testing.T, dir string) *Ring {
	t.Helper()
	r, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKeysInADirectoryOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	r := openDir(t, dir)
	first := ensure(t, r, "main", plan(), start)
	other := ensure(t, r, "team.one", plan(), start)
	if first.Signing.KeyID() == other.Signing.KeyID() {
		t.Fatal("two TokenServices share a key")
	}
	sealed, err := first.Seal.Seal([]byte("facts"))
	if err != nil {
		t.Fatal(err)
	}

	restarted := openDir(t, dir)
	if _, ok := restarted.Current("main"); ok {
		t.Error("keys are served before the plan was looked at")
	}
	c := ensure(t, restarted, "main", plan(), start.Add(time.Hour))
	if c.Signing.KeyID() != first.Signing.KeyID() || !verifies(t, c, first.Public) || c.Generation != first.Generation {
		t.Error("the key did not outlive the process")
	}
	if got, err := c.Seals.Open(sealed); err != nil || string(got) != "facts" {
		t.Error("the sealing key did not outlive the process")
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "main.json"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v (%v)", filepath.Base(path), info.Mode().Perm(), want, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the directory has %d entries, want 2: %v", len(entries), err)
	}

	if err := restarted.Revoke("main", c.Signing.KeyID(), start.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	after := ensure(t, openDir(t, dir), "main", plan(), start.Add(3*time.Hour))
	if after.Signing.KeyID() == c.Signing.KeyID() || verifies(t, c, after.Public) {
		t.Error("a revoked key came back with the restart")
	}
}

func TestTwoProcessesDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	a, b := openDir(t, dir), openDir(t, dir)
	first := ensure(t, a, "main", plan(), start)
	second := ensure(t, b, "main", plan(), start)
	if first.Signing.KeyID() != second.Signing.KeyID() {
		t.Error("the second process made its own key instead of taking over the first's")
	}
}

func TestAKeyFileThatVanishedIsWrittenAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	r := openDir(t, dir)
	first := ensure(t, r, "main", plan(), start)
	if err := os.Remove(filepath.Join(dir, "main.json")); err != nil {
		t.Fatal(err)
	}
	ensure(t, r, "main", plan(), start.Add(719*time.Hour))
	if c := ensure(t, openDir(t, dir), "main", plan(), start.Add(719*time.Hour)); c.Signing.KeyID() != first.Signing.KeyID() {
		t.Error("the key in use was replaced")
	}
}

func TestKeyFilesThatCannotBeUsedStopTheStart(t *testing.T) {
	t.Parallel()
	edit := func(change func(doc map[string]any)) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var doc map[string]any
			if err := json.Unmarshal(b, &doc); err != nil {
				t.Fatal(err)
			}
			change(doc)
			if b, err = json.Marshal(doc); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	slot := func(doc map[string]any) map[string]any { return doc["slots"].([]any)[0].(map[string]any) }
	write := func(content string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	mode := func(of func(path string) string, m os.FileMode) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			if err := os.Chmod(of(path), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	itself := func(path string) string { return path }
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, path string)
		want  string
	}{
		"garbage":                  {write("garbage"), "not a key document"},
		"an empty file":            {write(""), "not a key document"},
		"half a file":              {write(`{"version": 1, "tokenService": "main"`), "not a key document"},
		"a file of a megabyte":     {write(strings.Repeat(" ", 1<<20)), "larger than"},
		"a member twice":           {write(`{"version": 1, "version": 1}`), "not a key document"},
		"an unknown member":        {edit(func(d map[string]any) { d["extra"] = 1 }), "unknown"},
		"a newer version":          {edit(func(d map[string]any) { d["version"] = 2 }), "version 2"},
		"another service's file":   {edit(func(d map[string]any) { d["tokenService"] = "other" }), "another TokenService"},
		"no generation":            {edit(func(d map[string]any) { delete(d, "generation") }), "out of range"},
		"an unknown state":         {edit(func(d map[string]any) { slot(d)["state"] = "Dormant" }), "state"},
		"an active slot untimed":   {edit(func(d map[string]any) { delete(slot(d), "activatedAt") }), "times"},
		"another algorithm":        {edit(func(d map[string]any) { slot(d)["algorithm"] = "ES384" }), "alg does not fit"},
		"no private key":           {edit(func(d map[string]any) { slot(d)["privateKey"] = "" }), "has privateKey"},
		"a short sealing key":      {edit(func(d map[string]any) { slot(d)["sealKey"] = "AAAA" }), "32 bytes"},
		"F310: a kid of one's own": {edit(func(d map[string]any) { slot(d)["keyID"] = "main-key" }), "thumbprint"},
		"F318: one private key in two slots": {edit(func(d map[string]any) {
			second := map[string]any{}
			for k, v := range slot(d) {
				second[k] = v
			}
			second["state"] = "Retired"
			second["retiredAt"] = second["activatedAt"]
			d["slots"] = append(d["slots"].([]any), second)
		}), "same private key"},
		"a file that the group may read":       {mode(itself, 0o640), "chmod 600"},
		"a file that the world may write":      {mode(itself, 0o602), "chmod 600"},
		"a directory that the group may write": {mode(filepath.Dir, 0o770), "chmod 700"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "keys")
			path := filepath.Join(dir, "main.json")
			good := ensure(t, openDir(t, dir), "main", plan(), start)
			tc.spoil(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = OpenDir(dir)
			if err == nil {
				t.Fatal("the directory was accepted")
			}
			for _, want := range []string{tc.want, dir} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			secret, pemErr := good.Signing.MarshalPEM()
			if pemErr != nil || strings.Contains(err.Error(), string(secret[30:60])) {
				t.Errorf("the error quotes the key file: %v", pemErr)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
	t.Run("F318: one private key under two TokenServices", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "keys")
		ensure(t, openDir(t, dir), "main", plan(), start)
		b, err := os.ReadFile(filepath.Join(dir, "main.json"))
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.Replace(b, []byte(`"tokenService": "main"`), []byte(`"tokenService": "copy"`), 1)
		if err := os.WriteFile(filepath.Join(dir, "copy.json"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), "same private key") {
			t.Errorf("two TokenServices share a key: %v", err)
		}
	})
	t.Run("two active slots", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "keys")
		path := filepath.Join(dir, "main.json")
		r := openDir(t, dir)
		ensure(t, r, "main", plan(), start)
		ensure(t, r, "main", plan(), start.Add(719*time.Hour))
		edit(func(d map[string]any) {
			second := d["slots"].([]any)[1].(map[string]any)
			second["state"], second["activatedAt"] = "Active", second["publishedAt"]
		})(t, path)
		if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), "more than one slot is Active") {
			t.Errorf("two keys would sign: %v", err)
		}
	})
	t.Run("a file that leads out of the directory", func(t *testing.T) {
		t.Parallel()
		outside, dir := filepath.Join(t.TempDir(), "x.json"), filepath.Join(t.TempDir(), "keys")
		openDir(t, dir)
		if err := errors.Join(os.WriteFile(outside, nil, 0o600), os.Symlink(outside, filepath.Join(dir, "main.json"))); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDir(dir); err == nil {
			t.Error("the symlink was followed")
		}
	})
}

func TestNamesThatAreNoFileNamesAreRefused(t *testing.T) {
	t.Parallel()
	r := openDir(t, filepath.Join(t.TempDir(), "keys"))
	for _, name := range []string{"", ".", "..", "../main", "a/b", "A", "a\x00", ".hidden", "a..b", "-a", strings.Repeat("a", 201)} {
		if err := r.Ensure(name, plan(), start); err == nil {
			t.Errorf("%q was accepted", name)
		}
		if _, ok := r.Active(name); ok {
			t.Errorf("%q has a key", name)
		}
	}
}

func TestABackupOfAKeyFileDoesNotReviveKeys(t *testing.T) {
	t.Parallel()
	t.Run("F305: an older generation is overwritten", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "keys")
		path := filepath.Join(dir, "main.json")
		r := openDir(t, dir)
		first := ensure(t, r, "main", plan(), start)
		backup, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		ensure(t, r, "main", plan(), start.Add(719*time.Hour))
		second := ensure(t, r, "main", plan(), start.Add(720*time.Hour))
		if err := os.WriteFile(path, backup, 0o600); err != nil {
			t.Fatal(err)
		}
		third := ensure(t, r, "main", plan(), start.Add(745*time.Hour)) // the first key is dropped: a write
		if third.Signing != second.Signing || third.Generation <= second.Generation {
			t.Error("the backup's key signs again")
		}
		if c := ensure(t, openDir(t, dir), "main", plan(), start.Add(745*time.Hour)); c.Signing.KeyID() == first.Signing.KeyID() {
			t.Error("the backup is still there")
		}
	})
}

func TestARestartAtAnyMomentConverges(t *testing.T) {
	t.Parallel()
	t.Run("F301: no third key, whether the process stops before or after publishing and activating", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "keys")
		seen := map[string]bool{}
		for after := time.Duration(0); after < 750*time.Hour; after += 15 * time.Minute {
			// A new process every quarter of an hour.
			c := ensure(t, openDir(t, dir), "main", plan(), start.Add(after))
			for _, kid := range c.Public.KeyIDs() {
				seen[kid] = true
			}
		}
		if len(seen) != 2 {
			t.Errorf("%d keys were made for one rotation, want 2", len(seen))
		}
	})
}
