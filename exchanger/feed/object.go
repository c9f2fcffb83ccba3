// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is something about a manifest that a person must act on.
type Problem struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Object is "Kind/namespace/name", or what of it is known.
	Object string `json:"object,omitempty"`
	// Field is the path within the object, when one is to blame.
	Field   string `json:"field,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message"`
}

// String gives the problem the shape that editors and CI jump to: file:line.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		fmt.Fprintf(&b, "%s:%d: ", p.File, max(p.Line, 1))
	}
	if p.Object != "" {
		b.WriteString(p.Object + ": ")
	}
	if p.Field != "" && !strings.HasPrefix(p.Message, p.Field) {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Object is one manifest as it stands in a file.
type Object struct {
	File string
	Line int
	// Content is the object as JSON decoding would give it.
	Content map[string]any

	node *yaml.Node
}

// Kind is the kind; empty when absent.
func (o *Object) Kind() string { return text(o.Content["kind"]) }

// APIVersion is the group and version; empty when absent.
func (o *Object) APIVersion() string { return text(o.Content["apiVersion"]) }

// Namespace is metadata.namespace; empty when absent.
func (o *Object) Namespace() string { return o.meta("namespace") }

// Name is metadata.name; empty when absent.
func (o *Object) Name() string { return o.meta("name") }

func (o *Object) meta(key string) string {
	m, _ := o.Content["metadata"].(map[string]any)
	return text(m[key])
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// Ref is "Kind/namespace/name", or "Kind/name" without namespace.
func (o *Object) Ref() string {
	if ns := o.Namespace(); ns != "" {
		return o.Kind() + "/" + ns + "/" + o.Name()
	}
	return o.Kind() + "/" + o.Name()
}

// LineOf returns the line of a field path such as spec.clients[0].name, or of the
// nearest parent that is there.
func (o *Object) LineOf(path string) int {
	line, n := o.Line, o.node
	for _, step := range splitPath(path) {
		n = follow(n, step)
		if n == nil {
			break
		}
		line = n.Line
	}
	return line
}

// splitPath cuts spec.a[0].b into spec, a, 0, b; a key in brackets, as in
// labels[example.com/x], is one step.
func splitPath(path string) []string {
	var out []string
	for path != "" {
		switch path[0] {
		case '.':
			path = path[1:]
		case '[':
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return out
			}
			out = append(out, path[1:end])
			path = path[end+1:]
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			out = append(out, path[:end])
			path = path[end:]
		}
	}
	return out
}

func follow(n *yaml.Node, step string) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
	}
	return nil
}
