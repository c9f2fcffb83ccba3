// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package draw

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
)

// The measures of the picture, in pixels. Text is 13 px; a character of a
// sans-serif face is 6.9 px wide on the average, and boxes leave room for wider
// ones.
const (
	margin    = 24
	between   = 150 // columns: room for the lines to bend
	above     = 14  // boxes
	lineHigh  = 17
	pad       = 10
	perChar   = 7.3
	longest   = 44 // characters shown; the rest is in the tooltip
	titleHigh = 34
	leastWide = 120
)

// style holds everything that the picture looks like. Both schemes have a contrast
// of at least 4.5 to 1 for text.
const style = `
svg{font:13px ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;background:#fff}
text{fill:#1c2430}.note{fill:#556070;font-size:12px}.head{fill:#556070;font-weight:600;font-size:12px;letter-spacing:.06em}
rect{stroke-width:1.2;rx:6px}.issuer{fill:#fff4dd;stroke:#c98a1b}.client{fill:#e8f1fd;stroke:#3d7cc9}
.policy{fill:#f1ecfb;stroke:#7d5fc2}.target{fill:#e6f6ec;stroke:#2f9158}.faint rect{stroke-dasharray:4 3;opacity:.55}.faint text{opacity:.7}
path{fill:none;stroke-width:1.4;opacity:.75}.subject{stroke:#c98a1b}.origin{stroke:#c98a1b;stroke-dasharray:5 4}.asks{stroke:#3d7cc9}.grants{stroke:#2f9158}
@media (prefers-color-scheme:dark){svg{background:#14181f}text{fill:#e6e9ee}.note,.head{fill:#a3adba}
.issuer{fill:#3a2d10}.client{fill:#15293f}.policy{fill:#2b2142}.target{fill:#12301f}}
`

type point struct{ x, y float64 }

// place is where a box stands.
type place struct {
	point
	wide, high float64
}

// SVG writes the picture as one SVG document.
func (p *Picture) SVG(out io.Writer) error {
	p.settle()
	places, width, height := p.layout()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img">`, width, height, width, height)
	b.WriteString("\n<title>" + escaped(p.Title) + "</title>\n<style>" + style + "</style>\n")
	for _, l := range p.Lines {
		from, ok := places[l.From]
		to, ok2 := places[l.To]
		if !ok || !ok2 {
			continue
		}
		bend(&b, l, point{from.x + from.wide, from.y + from.high/2}, point{to.x, to.y + to.high/2})
	}
	for _, c := range p.Columns {
		if len(c.Boxes) > 0 {
			fmt.Fprintf(&b, `<text class="head" x="%.1f" y="%d">%s</text>`+"\n", places[c.Boxes[0].ID].x, margin+10, escaped(strings.ToUpper(c.Title)))
		}
		for i := range c.Boxes {
			c.Boxes[i].write(&b, places[c.Boxes[i].ID])
		}
	}
	if p.Legend != "" {
		fmt.Fprintf(&b, `<text class="note" x="%d" y="%.1f">%s</text>`+"\n", margin, height-margin/2, escaped(p.Legend))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// layout gives every box its place: columns as wide as their widest box, each in
// the middle of the picture's height.
func (p *Picture) layout() (places map[string]place, width, height float64) {
	places = map[string]place{}
	highs := make([]float64, len(p.Columns))
	for c, col := range p.Columns {
		for i := range col.Boxes {
			highs[c] += col.Boxes[i].high() + above
		}
		height = max(height, highs[c])
	}
	x := float64(margin)
	for c, col := range p.Columns {
		if len(col.Boxes) == 0 {
			continue
		}
		wide := float64(leastWide)
		for i := range col.Boxes {
			wide = max(wide, col.Boxes[i].wide())
		}
		y := margin + titleHigh + (height-highs[c])/2
		for i := range col.Boxes {
			high := col.Boxes[i].high()
			places[col.Boxes[i].ID] = place{point{x, y}, wide, high}
			y += high + above
		}
		x += wide + between
	}
	return places, max(x-between+margin, 2*margin+leastWide), height + 2*margin + titleHigh
}

func (b *Box) high() float64 { return float64(lineHigh*(1+len(b.Notes)) + pad) }

func (b *Box) wide() float64 {
	most := len([]rune(clipped(b.Name)))
	for _, n := range b.Notes {
		most = max(most, len([]rune(clipped(n))))
	}
	return float64(most)*perChar + 2*pad
}

// bend is a line from one box to another, flat at both ends.
func bend(b *strings.Builder, l Line, from, to point) {
	half := (to.x - from.x) / 2
	fmt.Fprintf(b, `<path class="%s" d="M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f">`, class(l.Kind), from.x, from.y, from.x+half, from.y, to.x-half, to.y, to.x, to.y)
	if l.Label != "" {
		b.WriteString("<title>" + escaped(l.Label) + "</title>")
	}
	b.WriteString("</path>\n")
}

func (b *Box) write(out *strings.Builder, at place) {
	faint := ""
	if b.Faint {
		faint = ` class="faint"`
	}
	fmt.Fprintf(out, `<g%s><title>%s</title><rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`,
		faint, escaped(strings.Join(append([]string{b.Name}, b.Notes...), "; ")), class(b.Kind), at.x, at.y, at.wide, at.high)
	y := at.y + lineHigh
	fmt.Fprintf(out, `<text x="%.1f" y="%.1f">%s</text>`, at.x+pad, y, escaped(clipped(b.Name)))
	for _, n := range b.Notes {
		y += lineHigh
		fmt.Fprintf(out, `<text class="note" x="%.1f" y="%.1f">%s</text>`, at.x+pad, y, escaped(clipped(n)))
	}
	out.WriteString("</g>\n")
}

// class is one of those that the style knows.
func class(kind string) string {
	switch kind {
	case "issuer", "client", "policy", "target", "subject", "origin", "asks", "grants":
		return kind
	}
	return "client"
}

func clipped(text string) string {
	r := []rune(ui.Safe(text))
	if len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return string(r)
}

// escaped is text of an XML document: no markup, and no character that XML
// forbids.
func escaped(text string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(ui.Safe(text))); err != nil {
		return "" // A strings.Builder does not fail.
	}
	return b.String()
}
