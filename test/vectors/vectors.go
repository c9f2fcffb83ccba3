// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// FolderVariable names the environment variable with the vectors' folder.
const FolderVariable = "EXCHEQUER_VECTORS"

// Entry hands a token to one way into the product, together with the only keys
// that it may be verified with: a JWK Set, as an issuer would publish it. Most
// sets hold one key. It returns nil when the token is accepted.
type Entry func(keySet []byte, token string) error

// files are the vectors' files, without "_test.json".
func files() []string {
	return []string{"json_web_signature", "json_web_key", "json_web_encryption", "json_web_crypto"}
}

type vectorFile struct {
	NumberOfTests int     `json:"numberOfTests"`
	TestGroups    []group `json:"testGroups"`
}

type group struct {
	Comment string          `json:"comment"`
	Public  json.RawMessage `json:"public"`
	Private json.RawMessage `json:"private"`
	Tests   []vector        `json:"tests"`
}

type vector struct {
	ID      int             `json:"tcId"`
	Comment string          `json:"comment"`
	JWS     json.RawMessage `json:"jws"`
	JWE     json.RawMessage `json:"jwe"`
	Result  string          `json:"result"`
}

// token is the vector's token as it would be sent. The JSON serialisation stands
// in some files as an object.
func (v vector) token() string {
	raw := v.JWS
	if raw == nil {
		raw = v.JWE
	}
	var s string
	if err := json.Unmarshal(raw, &s); err == nil {
		return s
	}
	return string(raw)
}

// keySet is what the group's issuer would publish: its public key or keys, or
// the secret where it has no other.
func (g group) keySet() []byte {
	key := g.Public
	if key == nil {
		key = g.Private
	}
	var set struct {
		Keys json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(key, &set); err == nil && set.Keys != nil {
		return key
	}
	return slices.Concat([]byte(`{"keys":[`), key, []byte(`]}`))
}

//go:embed deviations.yaml
var deviationsYAML []byte

// deviation is one reason why an entry refuses valid vectors.
type deviation struct {
	File string `json:"file"`
	// IDs are numbers and ranges ("1, 3, 7-9"), or "valid" for every vector of
	// the file that is called valid.
	IDs string `json:"ids"`
	// Refused is part of the refusal's text, such as its code.
	Refused string `json:"refused"`
	Reason  string `json:"reason"`
}

// Run tries every published vector at an entry. The name finds the entry's
// deviations.
func Run(t *testing.T, name string, entry Entry) {
	t.Helper()
	folder := os.Getenv(FolderVariable)
	if folder == "" {
		t.Skipf("the published JOSE vectors are not here: set %s to the folder that holds json_web_signature_test.json and its neighbours", FolderVariable)
	}
	var listed map[string][]deviation
	if err := yaml.UnmarshalStrict(deviationsYAML, &listed); err != nil {
		t.Fatalf("deviations.yaml: %v", err)
	}
	if _, ok := listed[name]; !ok {
		t.Errorf("deviations.yaml does not know the entry %q; it knows %v", name, slices.Sorted(maps.Keys(listed)))
	}
	for _, d := range listed[name] {
		if !slices.Contains(files(), d.File) || d.Refused == "" || d.Reason == "" {
			t.Errorf("deviations.yaml, %s: each entry needs a file of %v, refused and reason: %+v", name, files(), d)
		}
	}
	for _, file := range files() {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			runFile(t, filepath.Join(folder, file+"_test.json"), entry, func(v vector) (deviation, error) {
				return find(listed[name], file, v)
			})
		})
	}
}

func runFile(t *testing.T, path string, entry Entry, expected func(vector) (deviation, error)) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	tried := 0
	for _, g := range f.TestGroups {
		for _, v := range g.Tests {
			tried++
			want, err := expected(v)
			if err != nil {
				t.Fatal(err)
			}
			if problem := judge(v, want, entry(g.keySet(), v.token())); problem != "" {
				t.Errorf("vector %d (%s, %s): %s", v.ID, g.Comment, v.Comment, problem)
			}
		}
	}
	if tried == 0 || tried != f.NumberOfTests {
		t.Errorf("%d vectors tried, the file promises %d", tried, f.NumberOfTests)
	}
}

// judge compares an entry's answer with the vector and the list.
func judge(v vector, want deviation, refusal error) string {
	isListed := want.Refused != ""
	switch {
	case v.Result == "invalid" && refusal == nil:
		return "is invalid and was accepted"
	case v.Result == "invalid" && isListed:
		return "is invalid, so refusing it is no deviation: take it off deviations.yaml"
	case v.Result == "invalid":
		return ""
	case refusal == nil && isListed:
		return "is listed in deviations.yaml and was accepted: take it off"
	case refusal == nil:
		return ""
	case !isListed:
		return fmt.Sprintf("is %s and was refused: %v; list it in deviations.yaml if that is meant", v.Result, refusal)
	case !strings.Contains(refusal.Error(), want.Refused):
		return fmt.Sprintf("was refused with %v, deviations.yaml says %s", refusal, want.Refused)
	}
	return ""
}

func find(list []deviation, file string, v vector) (deviation, error) {
	var found deviation
	for _, d := range list {
		if d.File != file {
			continue
		}
		match, err := d.covers(v)
		if err != nil {
			return found, fmt.Errorf("deviations.yaml: ids of %s: %w", d.File, err)
		}
		if match && found.Refused != "" {
			return found, fmt.Errorf("deviations.yaml: %s %d is listed twice", file, v.ID)
		}
		if match {
			found = d
		}
	}
	return found, nil
}

func (d deviation) covers(v vector) (bool, error) {
	if d.IDs == "valid" {
		return v.Result != "invalid", nil
	}
	match := false
	for part := range strings.SplitSeq(d.IDs, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		low, err := strconv.Atoi(from)
		if err != nil {
			return false, err
		}
		high, err := strconv.Atoi(to)
		if err != nil {
			return false, err
		}
		match = match || low <= v.ID && v.ID <= high
	}
	return match, nil
}
