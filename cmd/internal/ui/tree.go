// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package ui

// Node is a line with others below it.
type Node struct {
	Label    []Cell
	Children []*Node
}

// Add puts a child below n and returns it.
func (n *Node) Add(label ...Cell) *Node {
	child := &Node{Label: label}
	n.Children = append(n.Children, child)
	return child
}

// Tree writes n and everything below it.
func (s *Screen) Tree(n *Node) {
	s.Line(s.label(n))
	s.branches("", n.Children)
}

func (s *Screen) branches(indent string, children []*Node) {
	for i, c := range children {
		branch, below := "├─ ", "│  "
		if i == len(children)-1 {
			branch, below = "└─ ", "   "
		}
		s.Line(s.paint(Dim, indent+branch), s.label(c))
		s.branches(indent+below, c.Children)
	}
}

func (s *Screen) label(n *Node) string {
	out := ""
	for i, c := range n.Label {
		if i > 0 && c.Text != "" {
			out += " "
		}
		out += s.Paint(c.Style, c.Text)
	}
	return out
}
