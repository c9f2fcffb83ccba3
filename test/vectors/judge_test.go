// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestJudgingAnAnswer(t *testing.T) {
	t.Parallel()
	refused := errors.New("BadAlgorithm: no")
	listed := deviation{Refused: "BadAlgorithm"}
	for name, tc := range map[string]struct {
		result  string
		listed  deviation
		refusal error
		want    string
	}{
		"an invalid vector is refused":                         {"invalid", deviation{}, refused, ""},
		"an invalid vector is accepted":                        {"invalid", deviation{}, nil, "was accepted"},
		"an invalid vector is accepted, though listed":         {"invalid", listed, nil, "was accepted"},
		"an invalid vector is listed":                          {"invalid", listed, refused, "take it off"},
		"a valid vector is accepted":                           {"valid", deviation{}, nil, ""},
		"a valid vector is refused, and that is listed":        {"valid", listed, refused, ""},
		"a valid vector is refused, and that is not listed":    {"valid", deviation{}, refused, "list it"},
		"a valid vector is refused for another reason":         {"valid", deviation{Refused: "BadBase64"}, refused, "deviations.yaml says"},
		"a listed vector is accepted":                          {"valid", listed, nil, "take it off"},
		"a vector that may be either is accepted":              {"acceptable", deviation{}, nil, ""},
		"a vector that may be either is refused, and unlisted": {"acceptable", deviation{}, refused, "list it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := judge(vector{ID: 1, Result: tc.result}, tc.listed, tc.refusal)
			if got == "" && tc.want != "" || got != "" && tc.want == "" || !strings.Contains(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestFindingADeviation(t *testing.T) {
	t.Parallel()
	list := []deviation{
		{File: "a", IDs: "1, 3, 7-9", Refused: "first"},
		{File: "b", IDs: "valid", Refused: "second"},
		{File: "c", IDs: "1", Refused: "third"},
		{File: "c", IDs: "1-2", Refused: "fourth"},
		{File: "d", IDs: "one", Refused: "fifth"},
	}
	for name, tc := range map[string]struct {
		file   string
		id     int
		result string
		want   string
		fails  bool
	}{
		"a number":                 {"a", 3, "valid", "first", false},
		"the end of a range":       {"a", 9, "valid", "first", false},
		"between the ranges":       {"a", 5, "valid", "", false},
		"another file":             {"x", 3, "valid", "", false},
		"valid covers a valid one": {"b", 5, "valid", "second", false},
		"valid covers no invalid":  {"b", 5, "invalid", "", false},
		"listed twice":             {"c", 1, "valid", "", true},
		"no number":                {"d", 1, "valid", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := find(list, tc.file, vector{ID: tc.id, Result: tc.result})
			if (err != nil) != tc.fails || !tc.fails && d.Refused != tc.want {
				t.Errorf("%q %v", d.Refused, err)
			}
		})
	}
}

func TestTheVectorsAreNotCopiedIntoTheProject(t *testing.T) {
	t.Parallel()
	copies, err := filepath.Glob("*_test.json")
	if err != nil || len(copies) != 0 {
		t.Errorf("%v %v", copies, err)
	}
}

func TestTheListOfDeviationsIsReadable(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("deviations.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var listed map[string][]deviation
	if err := yaml.UnmarshalStrict(b, &listed); err != nil || len(listed) == 0 {
		t.Errorf("%v", err)
	}
}
