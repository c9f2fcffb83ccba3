// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package draw

import (
	"fmt"
	"io"
	"strings"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
)

// numbered gives every box a name that no language takes for anything else.
func (p *Picture) numbered() map[string]string {
	out := map[string]string{}
	for _, c := range p.Columns {
		for _, b := range c.Boxes {
			out[b.ID] = fmt.Sprintf("n%d", len(out))
		}
	}
	return out
}

// Dot writes the picture in Graphviz' language.
func (p *Picture) Dot(out io.Writer) error {
	names := p.numbered()
	var b strings.Builder
	b.WriteString("digraph exchequer {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n")
	for i, c := range p.Columns {
		fmt.Fprintf(&b, "  subgraph column%d {\n    rank=same;\n", i)
		for _, box := range c.Boxes {
			text := quoted(strings.Join(append([]string{box.Name}, box.Notes...), "\n"))
			look := ""
			if box.Faint {
				look = `, style="rounded,dashed"`
			}
			fmt.Fprintf(&b, "    %s [label=%s%s];\n", names[box.ID], text, look)
		}
		b.WriteString("  }\n")
	}
	for _, l := range p.Lines {
		from, ok := names[l.From]
		to, ok2 := names[l.To]
		if !ok || !ok2 {
			continue
		}
		look := ""
		if l.Kind == "origin" {
			look = ", style=dashed"
		}
		fmt.Fprintf(&b, "  %s -> %s [label=%s%s];\n", from, to, quoted(l.Label), look)
	}
	b.WriteString("}\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// quoted is a string of Graphviz' language: a backslash begins an escape there, and
// a string in quotes is never HTML.
func quoted(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(ui.Safe(l))
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}

// Mermaid writes the picture as a flowchart of Mermaid, which GitHub draws.
func (p *Picture) Mermaid(out io.Writer) error {
	names := p.numbered()
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for _, c := range p.Columns {
		for _, box := range c.Boxes {
			lines := make([]string, 0, 1+len(box.Notes))
			for _, l := range append([]string{box.Name}, box.Notes...) {
				lines = append(lines, entities(l))
			}
			fmt.Fprintf(&b, "  %s[\"%s\"]\n", names[box.ID], strings.Join(lines, "<br/>"))
		}
	}
	for _, l := range p.Lines {
		from, ok := names[l.From]
		to, ok2 := names[l.To]
		if !ok || !ok2 {
			continue
		}
		arrow := "-->"
		if l.Kind == "origin" {
			arrow = "-.->"
		}
		if l.Label != "" {
			arrow += `|"` + entities(l.Label) + `"|`
		}
		fmt.Fprintf(&b, "  %s %s %s\n", from, arrow, to)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// entities writes every character that could mean something as Mermaid's #number;.
func entities(text string) string {
	var b strings.Builder
	for _, r := range ui.Safe(text) {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == ' ', r == '/', r == '-', r == '.', r == ',', r > 0x7f:
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}
