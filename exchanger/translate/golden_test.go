// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is what a golden file holds: conditions in short, and the Spec.
type golden struct {
	Objects []goldenObject `json:"objects"`
	Spec    *policy.Spec   `json:"spec"`
}

type goldenObject struct {
	Object     string   `json:"object"`
	Conditions []string `json:"conditions"`
	Unmatched  []string `json:"unmatched,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`
	ClientID   string   `json:"clientID,omitempty"`
}

func goldenOf(r translate.Result) []byte {
	g := golden{Spec: r.Spec}
	for i := range r.Statuses {
		s := &r.Statuses[i]
		o := goldenObject{Object: s.Kind + " " + strings.TrimPrefix(s.Namespace+"/"+s.Name, "/"), Unmatched: s.Unmatched, Warnings: s.Warnings, ClientID: s.ClientID}
		for _, c := range s.Conditions {
			o.Conditions = append(o.Conditions, strings.Join([]string{c.Type, string(c.Status), c.Reason, c.Message}, " | "))
		}
		g.Objects = append(g.Objects, o)
	}
	out, err := yaml.Marshal(g)
	if err != nil {
		panic(err)
	}
	return out
}

func TestEveryManifestGivesItsGoldenStatusesAndSpec(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden inputs: %d files, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".in.yaml"), func(t *testing.T) {
			t.Parallel()
			got := translate.Translate(readInput(t, file))
			if _, err := policy.Compile(got.Spec, 1, expr.New()); err != nil {
				t.Errorf("the Spec does not compile: %v", err)
			}
			text := goldenOf(got)
			out := strings.TrimSuffix(file, ".in.yaml") + ".out.yaml"
			if *update {
				if err := os.WriteFile(out, text, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			var strict golden
			if err := yaml.UnmarshalStrict(want, &strict); err != nil {
				t.Errorf("%s: %v", out, err)
			}
			if !bytes.Equal(text, want) {
				t.Errorf("%s differs; look at it with -update and git diff. Got:\n%s", out, text)
			}
		})
	}
}
