// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package law

import (
	"strconv"
	"strings"
	"testing"
)

func TestEveryPackageObeysTheImportLaw(t *testing.T) {
	t.Parallel()
	g := importGraph(t)
	for _, b := range bans {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			for _, v := range b.violations(g) {
				t.Errorf("forbidden import: %s", v)
			}
		})
	}
}

// A law that cannot be broken proves nothing: each ban is shown a made-up
// import that it must refuse, directly and, where it says so, through a helper.
func TestEveryBanRefusesTheImportItIsAbout(t *testing.T) {
	t.Parallel()
	for _, b := range bans {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			from, to := absolute(b.breaks[0]), absolute(b.breaks[1])
			if len(strings.Fields(b.why)) < 5 {
				t.Errorf("ban %q does not say why", b.name)
			}
			v := b.violations(graph{from: {"fmt", to}})
			if len(v) != 1 || !strings.Contains(v[0], to) || !strings.Contains(v[0], b.why) {
				t.Errorf("%s → %s: got %q, want one violation that names the import and says why", from, to, v)
			}
			if v := b.violations(graph{from: {"fmt"}}); len(v) != 0 {
				t.Errorf("%s → fmt: got %q, want none", from, v)
			}
			helper := module + "/internal/helper"
			v = b.violations(graph{from: {helper}, helper: {to}})
			reached := strings.Contains(strings.Join(v, "\n"), from+" → "+helper+" → "+to)
			if reached != b.through {
				t.Errorf("%s → %s → %s: followed = %v, want %v", from, helper, to, reached, b.through)
			}
		})
	}
}

func TestExceptionsAreExceptions(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]graph{
		"exchange mints":                    {"./exchanger/exchange": {"./exchanger/mint"}},
		"server answers HTTP":               {"./exchanger/server": {"net/http"}},
		"issuer dials":                      {"./exchanger/issuer": {"net/http"}},
		"jose parses":                       {"./exchanger/jose": {"github.com/go-jose/go-jose/v4"}},
		"API types use apimachinery":        {"./api/v1alpha1": {"k8s.io/apimachinery/pkg/apis/meta/v1"}},
		"a program wires the server":        {"./cmd/exchequer": {"./exchanger/server", "net/http"}},
		"policy may have packages below it": {"./exchanger/policy": {"./exchanger/policy/match", "slices"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full := graph{}
			for from, imports := range g {
				for _, to := range imports {
					full[absolute(from)] = append(full[absolute(from)], absolute(to))
				}
			}
			for _, b := range bans {
				if v := b.violations(full); len(v) != 0 {
					t.Errorf("%s: %q", b.name, v)
				}
			}
		})
	}
}

// importGraph reads the imports of every package of the module, whatever the
// platform a file is for. Tests are left out: they may look from outside.
func importGraph(t *testing.T) graph {
	t.Helper()
	g := graph{}
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		imports := g[f.importPath()]
		for _, spec := range f.syntax.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatalf("%s: import path %s: %v", f.path, spec.Path.Value, err)
			}
			imports = append(imports, p)
		}
		g[f.importPath()] = imports
	}
	return g
}
