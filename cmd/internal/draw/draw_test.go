// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package draw

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// hostile is a name as nobody should have one.
const hostile = "a\"]--><script>alert(1)</script> \\\"; x [URL=\"javascript:1\"] </svg> & \x1b[2J \u202e \x00 #quot; `|` ]]>"

func hostilePicture() *Picture {
	box := func(id, kind string) Box { return Box{ID: id, Kind: kind, Name: hostile, Notes: []string{hostile}} }
	return &Picture{
		Title: hostile, Legend: hostile,
		Columns: []Column{{Title: hostile, Boxes: []Box{box("a", hostile)}}, {Title: "b", Boxes: []Box{box("b", "policy"), box("c", "policy")}}},
		Lines:   []Line{{From: "a", To: "b", Kind: hostile, Label: hostile}, {From: "a", To: "gone", Kind: "asks"}},
	}
}

func TestNoNameIsMarkupInSVG(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := hostilePicture().SVG(&b); err != nil {
		t.Fatal(err)
	}
	allowed := []string{"svg", "title", "style", "path", "text", "rect", "g"}
	d := xml.NewDecoder(&b)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok {
			if !slices.Contains(allowed, e.Name.Local) {
				t.Errorf("element %s", e.Name.Local)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" || strings.ContainsAny(a.Value, `<>"`) {
					t.Errorf("attribute %s=%q", a.Name.Local, a.Value)
				}
			}
		}
	}
}

func TestNoNameIsAStatementInDotOrMermaid(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := hostilePicture().Dot(&b); err != nil {
		t.Fatal(err)
	}
	outside := regexp.MustCompile(`"(\\.|[^"\\])*"`).ReplaceAllString(b.String(), "Q")
	if !regexp.MustCompile(`\A[a-zA-Z0-9_{}=,;\[\]> \n-]*\z`).MatchString(outside) || strings.Contains(outside, "URL") {
		t.Errorf("outside of quotes:\n%s", outside)
	}
	b.Reset()
	if err := hostilePicture().Mermaid(&b); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`\A(flowchart LR|  n\d+\["[^"<>]*(<br/>[^"<>]*)*"\]|  n\d+ --> ?(\|"[^"<>]*"\|)? ?n\d+)\z`)
	for l := range strings.Lines(b.String()) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("a line that is none of ours: %s", l)
		}
	}
}

func TestBoxesStandWhereTheirLinesAre(t *testing.T) {
	t.Parallel()
	p := &Picture{
		Columns: []Column{{Boxes: []Box{{ID: "a"}, {ID: "b"}, {ID: "c"}}}, {Boxes: []Box{{ID: "x"}, {ID: "y"}, {ID: "z"}}}},
		Lines:   []Line{{From: "a", To: "z"}, {From: "b", To: "y"}, {From: "c", To: "x"}},
	}
	p.settle()
	crossings := 0
	at := map[string]int{}
	for _, c := range p.Columns {
		for i, b := range c.Boxes {
			at[b.ID] = i
		}
	}
	for i, l := range p.Lines {
		for _, o := range p.Lines[i+1:] {
			if (at[l.From]-at[o.From])*(at[l.To]-at[o.To]) < 0 {
				crossings++
			}
		}
	}
	if crossings > 0 {
		t.Errorf("%d lines cross, and none has to: %v", crossings, at)
	}
}

func TestAPictureOfNothingIsAPicture(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := (&Picture{Columns: []Column{{}, {}}}).SVG(&b); err != nil || !strings.HasPrefix(b.String(), "<svg ") {
		t.Errorf("%v: %s", err, b.String())
	}
}
