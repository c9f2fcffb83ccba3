// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/cmd/internal/draw"
	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/analysis"
)

const (
	svgFormat     = "svg"
	dotFormat     = "dot"
	mermaidFormat = "mermaid"
)

// mostDrawn bounds a picture in boxes: at some 50 px each it is 25,000 px high,
// and nobody finds anything in it.
const mostDrawn = 500

func newGraphCommand(now func() time.Time) *cobra.Command {
	format := ui.NewFormat(svgFormat, dotFormat, mermaidFormat, ui.JSONFormat)
	var from source
	var only string
	c := &cobra.Command{
		Use:   "graph [DIR|FILE]",
		Short: "Draw who may exchange what for which target",
		Long: `Draw who may exchange what for which target: issuers and clients on the left,
policies in the middle, targets with their scopes on the right. A target that asks
further stands on both sides. A dashed line from an issuer means tokens of this
service that began with one of that issuer.

The SVG is whole by itself: it loads nothing and runs nothing. dot is for
Graphviz, mermaid for pages that draw it, json for programs.

Exit codes: 0 drawn; 2 wrong usage, or manifests that cannot be read.`,
		Example: `  exchequer graph ./manifests > access.svg
  exchequer graph ./manifests --only media > media.svg
  exchequer graph ./manifests -o dot | dot -Tpng > access.png`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var g *analysis.Graph
			err := ui.Progress(c.ErrOrStderr(), "read the manifests", func() error {
				m, err := from.load(c, args, now)
				if err != nil {
					return err
				}
				for _, n := range from.notes(args, m) {
					fmt.Fprintln(c.ErrOrStderr(), "note: "+ui.Safe(n))
				}
				g = analysis.GraphOf(m.Spec, only)
				return nil
			})
			if err != nil {
				return err
			}
			return drawGraph(c.OutOrStdout(), format.String(), g)
		},
	}
	from.register(c)
	c.Flags().VarP(format, "output", "o", "format of the picture")
	c.Flags().StringVar(&only, "only", "", "only the policies of one `NAMESPACE`, and what they name")
	return c
}

func drawGraph(out io.Writer, format string, g *analysis.Graph) error {
	if format == ui.JSONFormat {
		return ui.Encode(out, format, g)
	}
	p := picture(g)
	boxes := 0
	for _, c := range p.Columns {
		boxes += len(c.Boxes)
	}
	switch {
	case format == svgFormat && boxes > mostDrawn:
		return usage("%d boxes are more than anybody can look at: use --only NAMESPACE, or -o dot or json", boxes)
	case format == svgFormat:
		return p.SVG(out)
	case format == dotFormat:
		return p.Dot(out)
	}
	return p.Mermaid(out)
}

// picture puts a graph into columns.
func picture(g *analysis.Graph) *draw.Picture {
	x := &drawing{scopes: map[string][]string{}, used: map[string]map[string]bool{}, right: map[string]bool{}, left: map[string]bool{}}
	p := &draw.Picture{Title: "who may exchange what for which target", Columns: []draw.Column{{Title: "issuers and clients"}, {Title: "policies"}, {Title: "targets"}}}
	nodes := map[string]*analysis.Node{}
	for i := range g.Nodes {
		nodes[g.Nodes[i].ID] = &g.Nodes[i]
	}
	if slices.ContainsFunc(g.Edges, func(e analysis.Edge) bool { return e.Kind == analysis.EdgeOrigin }) {
		p.Legend = "dashed: tokens of this service that began with one of the issuer"
	}
	for i := range g.Edges {
		p.Lines = append(p.Lines, x.line(&g.Edges[i], nodes)...)
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		switch n.Kind {
		case "TrustedIssuer":
			p.Columns[0].Boxes = append(p.Columns[0].Boxes, draw.Box{ID: n.ID, Kind: "issuer", Name: n.Name, Notes: notes("TrustedIssuer", n.Off), Faint: n.Off != ""})
		case "ExchangePolicy", "ImpersonationGrant":
			p.Columns[1].Boxes = append(p.Columns[1].Boxes, x.policy(n))
		case "ExchangeClient":
			if x.left[n.ID] || !x.right[n.ID] {
				p.Columns[0].Boxes = append(p.Columns[0].Boxes, draw.Box{ID: n.ID, Kind: "client", Name: n.Name, Notes: notes(n.Off), Faint: n.Off != ""})
			}
			if x.right[n.ID] {
				p.Columns[2].Boxes = append(p.Columns[2].Boxes, x.target(n))
			}
		}
	}
	if x.everyone {
		p.Columns[0].Boxes = append(p.Columns[0].Boxes, draw.Box{ID: everyClient, Kind: "client", Name: "every client"})
		for i := range g.Nodes {
			if g.Nodes[i].EveryClient {
				p.Lines = append(p.Lines, draw.Line{From: everyClient, To: g.Nodes[i].ID, Kind: analysis.EdgeAsks})
			}
		}
	}
	return p
}

// drawing is a picture in the making.
type drawing struct {
	// scopes by policy, and by target those that some policy grants.
	scopes map[string][]string
	used   map[string]map[string]bool
	// left and right say where a client stands.
	left, right map[string]bool
	everyone    bool
}

// everyClient is the box of policies that name all clients; no object has an ID
// without a slash.
const everyClient = "*"

// asTarget is the ID of a client's box on the right.
func asTarget(id string) string { return id + "#target" }

func (x *drawing) line(e *analysis.Edge, nodes map[string]*analysis.Node) []draw.Line {
	switch e.Kind {
	case analysis.EdgeScope:
		x.right[e.To] = true
		x.use(e.To, nodes[e.From].Name)
		return nil
	case analysis.EdgeGrants:
		x.right[e.To] = true
		for _, s := range e.Scopes {
			x.use(e.To, s)
			if !slices.Contains(x.scopes[e.From], s) {
				x.scopes[e.From] = append(x.scopes[e.From], s)
			}
		}
		return []draw.Line{{From: e.From, To: asTarget(e.To), Kind: e.Kind, Label: strings.Join(e.Scopes, " ")}}
	case analysis.EdgeAsks:
		x.left[e.From] = true
	}
	label := ""
	switch e.Kind {
	case analysis.EdgeOrigin:
		label = "by tokens of this service"
	case analysis.EdgeActor:
		label = "who acts"
	}
	return []draw.Line{{From: e.From, To: e.To, Kind: e.Kind, Label: label}}
}

func (x *drawing) use(target, scope string) {
	if x.used[target] == nil {
		x.used[target] = map[string]bool{}
	}
	x.used[target][scope] = true
}

func (x *drawing) policy(n *analysis.Node) draw.Box {
	x.everyone = x.everyone || n.EveryClient
	scopes := "without scope"
	if list := x.scopes[n.ID]; len(list) > 0 {
		scopes = "scope " + strings.Join(list, " ")
	}
	b := draw.Box{ID: n.ID, Kind: "policy", Name: n.Name, Notes: notes(n.Off, scopes), Faint: n.Off != ""}
	if n.Kind == "ImpersonationGrant" {
		b.Notes = append([]string{n.Kind}, append(b.Notes, n.Conditions...)...)
		return b
	}
	if len(n.Conditions) > 0 {
		b.Notes = append(b.Notes, "if "+strings.Join(n.Conditions, "; "))
	}
	return b
}

func (x *drawing) target(n *analysis.Node) draw.Box {
	b := draw.Box{ID: asTarget(n.ID), Kind: "target", Name: n.Name, Notes: notes(n.Off), Faint: n.Off != ""}
	if names := sortedKeys(x.used[n.ID]); len(names) > 0 {
		b.Notes = append(b.Notes, "scope "+strings.Join(names, " "))
	}
	if x.left[n.ID] {
		b.Notes = append(b.Notes, "asks further itself")
	}
	return b
}

func notes(texts ...string) []string {
	return slices.DeleteFunc(texts, func(t string) bool { return t == "" })
}
