// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/analysis"
)

func TestWhoCanAndGraphKnowActorsAndGrants(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(delegation), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("an actor that a policy requires is a condition", func(t *testing.T) {
		t.Parallel()
		r := exchequer(t, "", "who-can", dir, "--audience", "shop/ledger").must(t, exitOK)
		says(t, r.out, "an actor of corp; actor: support only")
	})
	t.Run("who may be somebody else is listed", func(t *testing.T) {
		t.Parallel()
		got := decode[struct{ Impersonations []analysis.Impersonation }](t, exchequer(t, "", "who-can", dir, "--audience", "shop/api", "-o", "json").must(t, exitOK).out)
		if len(got.Impersonations) != 1 {
			t.Fatalf("%+v", got)
		}
		if m := got.Impersonations[0]; m.Grant != "support-as-customer" || m.Client != "helpdesk/console" || m.Policies[0] != "shop/as-a-customer" || m.By[0] != "corp:support" || m.Who[0] != "corp:customers" {
			t.Errorf("%+v", m)
		}
		says(t, exchequer(t, "", "who-can", dir, "--audience", "shop/api").must(t, exitOK).out, "as somebody else")
	})
	t.Run("a grant stands in the picture, and whose tokens act", func(t *testing.T) {
		t.Parallel()
		r := exchequer(t, "", "graph", dir, "-o", "mermaid").must(t, exitOK)
		says(t, r.out, "support-as-customer")
		says(t, r.out, "who acts")
	})
	t.Run("a grant that goes narrows", func(t *testing.T) {
		t.Parallel()
		less := t.TempDir()
		without, _, found := strings.Cut(delegation, "---\napiVersion: exchequer.dev/v1alpha1\nkind: ImpersonationGrant")
		if !found {
			t.Fatal("the manifests have no grant")
		}
		if err := os.WriteFile(filepath.Join(less, "all.yaml"), []byte(without), 0o600); err != nil {
			t.Fatal(err)
		}
		r := exchequer(t, "", "diff", dir, less)
		says(t, r.out, "ImpersonationGrant/support-as-customer")
	})
}
