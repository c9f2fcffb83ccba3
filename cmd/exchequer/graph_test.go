// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/analysis"
)

func TestGraphInEveryFormat(t *testing.T) {
	t.Parallel()
	for format, name := range map[string]string{"svg": "graph.svg", "dot": "graph.dot", "mermaid": "graph.mmd", "json": "graph.json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := exchequer(t, "", "graph", "testdata/chain", "-o", format).must(t, exitOK)
			golden(t, name, r.out)
			if again := exchequer(t, "", "graph", "testdata/chain", "-o", format).must(t, exitOK); again.out != r.out {
				t.Error("the same manifests gave another picture")
			}
		})
	}
}

func TestGraphOfOneNamespaceHasNoPoliciesOfOthers(t *testing.T) {
	t.Parallel()
	g := decode[analysis.Graph](t, exchequer(t, "", "graph", "testdata/chain", "--only", "hr", "-o", "json").must(t, exitOK).out)
	ids := []string{}
	for _, n := range g.Nodes {
		ids = append(ids, n.ID)
	}
	if got := strings.Join(ids, " "); got != "ClientScope/hr/read ExchangeClient/hr/files ExchangeClient/media/images ExchangePolicy/hr/images-gets-files TrustedIssuer/corp" {
		t.Errorf("got %s", got)
	}
}

func TestGraphShowsWhatDoesNotCountAsSuch(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "graph", "testdata/good").must(t, exitOK)
	says(t, r.out, `class="faint"`, "suspended")
}

func TestGraphKeepsToItsBound(t *testing.T) {
	t.Parallel()
	g := &analysis.Graph{}
	for i := range mostDrawn + 1 {
		g.Nodes = append(g.Nodes, analysis.Node{ID: strings.Repeat("x", i+1), Kind: "ExchangePolicy"})
	}
	var b strings.Builder
	if err := drawGraph(&b, svgFormat, g); err == nil || !strings.Contains(err.Error(), "--only NAMESPACE") {
		t.Errorf("got %v", err)
	}
	if err := drawGraph(&b, dotFormat, g); err != nil {
		t.Error(err)
	}
}
