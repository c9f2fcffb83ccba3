// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds on what is read from files. The API server takes objects of at most 3 MiB
// of JSON; a file may hold many, and a tree of a million nodes is about 100 MiB of
// memory while it is read. Aliases are followed, and count each time.
const (
	maxFileBytes = 16 << 20
	maxNodes     = 1 << 20
	maxDepth     = 64
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

// ParseManifests reads the YAML or JSON documents of one file. A document that
// cannot be read is a problem, and the file counts as unparsable then: nobody can
// say what the rest of it means. Empty documents are skipped; a v1 List is taken
// apart.
func ParseManifests(file string, data []byte) ([]*Object, []Problem) {
	if len(data) > maxFileBytes {
		return nil, []Problem{{File: file, Line: 1, Message: fmt.Sprintf("the file has %d bytes, more than the %d that are read: split it", len(data), maxFileBytes)}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var out []*Object
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, []Problem{{File: file, Line: yamlErrorLine(err), Message: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}}
		}
		objects, problem := document(file, &doc)
		if problem != nil {
			return nil, []Problem{*problem}
		}
		out = append(out, objects...)
	}
}

func yamlErrorLine(err error) int {
	_, rest, found := strings.Cut(err.Error(), "line ")
	if !found {
		return 1
	}
	digits, _, _ := strings.Cut(rest, ":")
	n, convErr := strconv.Atoi(digits)
	if convErr != nil {
		return 1
	}
	return n
}

func document(file string, doc *yaml.Node) ([]*Object, *Problem) {
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	c := &converter{file: file}
	v, problem := c.convert(root, 0)
	if problem != nil {
		return nil, problem
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, &Problem{File: file, Line: root.Line, Message: "expected an object with apiVersion and kind, found something else"}
	}
	o := &Object{File: file, Line: root.Line, Content: m, node: root}
	if o.Kind() == "List" && o.APIVersion() == "v1" {
		return listItems(o, root)
	}
	if o.Kind() == "" || o.APIVersion() == "" {
		return nil, &Problem{File: file, Line: root.Line, Message: "expected an object with apiVersion and kind, found none"}
	}
	return []*Object{o}, nil
}

func listItems(list *Object, root *yaml.Node) ([]*Object, *Problem) {
	items, _ := list.Content["items"].([]any)
	nodes := follow(root, "items")
	out := make([]*Object, 0, len(items))
	for i, item := range items {
		m, ok := item.(map[string]any)
		n := follow(nodes, strconv.Itoa(i))
		if !ok || n == nil {
			return nil, &Problem{File: list.File, Line: list.Line, Message: fmt.Sprintf("items[%d] of the List is not an object", i)}
		}
		out = append(out, &Object{File: list.File, Line: n.Line, Content: m, node: n})
	}
	return out, nil
}

// converter turns a YAML tree into what JSON decoding would give, as kubectl does.
type converter struct {
	file  string
	nodes int
}

func (c *converter) problem(n *yaml.Node, message string) *Problem {
	return &Problem{File: c.file, Line: n.Line, Message: message}
}

func (c *converter) convert(n *yaml.Node, depth int) (any, *Problem) {
	c.nodes++
	if c.nodes > maxNodes || depth > maxDepth {
		return nil, c.problem(n, "the document is too large or too deep")
	}
	switch n.Kind {
	case yaml.AliasNode:
		return c.convert(n.Alias, depth+1)
	case yaml.MappingNode:
		return c.mapping(n, depth)
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, e := range n.Content {
			v, problem := c.convert(e, depth+1)
			if problem != nil {
				return nil, problem
			}
			out[i] = v
		}
		return out, nil
	case yaml.ScalarNode:
		return c.scalar(n)
	case yaml.DocumentNode:
	}
	return nil, c.problem(n, "not a YAML value")
}

func (c *converter) mapping(n *yaml.Node, depth int) (any, *Problem) {
	out := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return nil, c.problem(key, "a key must be a string")
		}
		if key.Tag == "!!merge" {
			return nil, c.problem(key, "merge keys (<<) are not read: write the fields out")
		}
		if _, dup := out[key.Value]; dup {
			return nil, c.problem(key, fmt.Sprintf("field %q stands here twice", key.Value))
		}
		v, problem := c.convert(n.Content[i+1], depth+1)
		if problem != nil {
			return nil, problem
		}
		out[key.Value] = v
	}
	return out, nil
}

// scalar resolves a scalar as kubectl's YAML 1.1 reader does: unquoted yes, no, on
// and off are booleans, times are strings.
func (c *converter) scalar(n *yaml.Node) (any, *Problem) {
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 && n.Tag == "!!str" {
		switch strings.ToLower(n.Value) {
		case "y", "yes", "on":
			return true, nil
		case "n", "no", "off":
			return false, nil
		}
	}
	switch n.Tag {
	case "!!str", "!!timestamp":
		return n.Value, nil
	case "!!null":
		return nil, nil
	case "!!bool", "!!int", "!!float":
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, c.problem(n, "not a value: "+err.Error())
		}
		switch x := v.(type) {
		case int:
			return int64(x), nil
		case bool, int64, float64:
			return x, nil
		}
		return nil, c.problem(n, "a number is too large")
	case "!!binary":
		return n.Value, nil
	}
	return nil, c.problem(n, fmt.Sprintf("a value of type %s means nothing here", n.Tag))
}
