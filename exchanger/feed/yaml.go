// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds on what is read from one file. The API server takes objects of at most 3
// MiB of JSON; a file may hold many, and a million values are about 100 MiB of
// memory while they are read. Aliases are followed, and count each time, so that
// a few lines of them cannot become a billion values.
const (
	maxFileBytes = 16 << 20
	maxNodes     = 1 << 20
	maxDepth     = 64
)

// ParseManifests reads the YAML or JSON documents of one file. A document that
// cannot be read is a problem, and the file counts as unparsable then: nobody can
// say what the rest of it means. Empty documents are skipped; a v1 List is taken
// apart.
func ParseManifests(file string, data []byte) ([]*Object, []Problem) {
	if len(data) > maxFileBytes {
		return nil, []Problem{{File: file, Line: 1, Message: fmt.Sprintf("the file has more than the %d bytes that are read: split it", maxFileBytes)}}
	}
	if at := notText(data); at >= 0 {
		line := 1 + bytes.Count(data[:at], []byte{'\n'})
		return nil, []Problem{{File: file, Line: line, Message: "not YAML: the file is not text in UTF-8"}}
	}
	if filepath.Ext(file) == ".json" {
		data = plainEscapes(data)
	}
	r := &reader{file: file}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return r.objects, nil
		}
		if err != nil {
			return nil, []Problem{{File: file, Line: yamlErrorLine(err), Message: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}}
		}
		if problem := r.document(&doc); problem != nil {
			return nil, []Problem{*problem}
		}
	}
}

// notText returns where the data stops being text, or -1. The YAML library says
// that it does, and not where.
func notText(data []byte) int {
	for i := 0; i < len(data); {
		c := data[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// plainEscapes writes characters as themselves that JSON can spell as YAML cannot:
// as two escapes, a surrogate pair, and the escaped slash.
func plainEscapes(data []byte) []byte {
	var out []byte
	rest := data
	for {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 || i+1 >= len(rest) {
			return append(out, rest...)
		}
		out = append(out, rest[:i]...)
		rest = rest[i:]
		high, first := unit(rest)
		low, second := unit(rest[min(6, len(rest)):])
		switch {
		case first && second && high>>10 == 0xd800>>10 && low>>10 == 0xdc00>>10:
			out = utf8.AppendRune(out, (high-0xd800)<<10|(low-0xdc00)+0x10000)
			rest = rest[12:]
		case rest[1] == '/':
			out = append(out, '/')
			rest = rest[2:]
		default: // a backslash and what it escapes
			out = append(out, rest[:2]...)
			rest = rest[2:]
		}
	}
}

// unit reads \uXXXX at the start of b.
func unit(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b[2:6]), 16, 32)
	return rune(n), err == nil && n >= 0
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

// reader turns the YAML trees of one file into what JSON decoding would give, as
// kubectl does.
type reader struct {
	file    string
	nodes   int
	objects []*Object
}

func (r *reader) problem(n *yaml.Node, message string) *Problem {
	return &Problem{File: r.file, Line: n.Line, Message: message}
}

func (r *reader) document(doc *yaml.Node) *Problem {
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil
	}
	v, problem := r.convert(root, 0)
	if problem != nil {
		return problem
	}
	return r.object(v, root)
}

// object takes one object in, or those of a List.
func (r *reader) object(v any, n *yaml.Node) *Problem {
	m, ok := v.(map[string]any)
	if !ok {
		return r.problem(n, "expected an object with apiVersion and kind, found something else")
	}
	o := &Object{File: r.file, Line: n.Line, Content: m, node: n}
	if o.Kind() == "" || o.APIVersion() == "" {
		return r.problem(n, "expected an object with apiVersion and kind, which are strings, found none")
	}
	if o.Kind() != "List" || o.APIVersion() != "v1" {
		r.objects = append(r.objects, o)
		return nil
	}
	items, ok := m["items"].([]any)
	if !ok {
		return r.problem(n, "expected items of the List, and that they are a list")
	}
	nodes := follow(n, "items")
	for i, item := range items {
		at := follow(nodes, strconv.Itoa(i))
		if at == nil {
			at = n
		}
		if problem := r.object(item, at); problem != nil {
			return problem
		}
	}
	return nil
}

func (r *reader) convert(n *yaml.Node, depth int) (any, *Problem) {
	r.nodes++
	if r.nodes > maxNodes || depth > maxDepth {
		return nil, r.problem(n, "the file is too large, or nests too deep")
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.convert(n.Alias, depth+1)
	case yaml.MappingNode:
		return r.mapping(n, depth)
	case yaml.SequenceNode:
		if n.Tag != "!!seq" {
			return nil, r.unknownTag(n)
		}
		out := make([]any, len(n.Content))
		for i, e := range n.Content {
			v, problem := r.convert(e, depth+1)
			if problem != nil {
				return nil, problem
			}
			out[i] = v
		}
		return out, nil
	case yaml.ScalarNode:
		return r.scalar(n)
	case yaml.DocumentNode:
	}
	return nil, r.problem(n, "not a YAML value")
}

func (r *reader) unknownTag(n *yaml.Node) *Problem {
	return r.problem(n, fmt.Sprintf("a value of type %s means nothing here", n.Tag))
}

func (r *reader) mapping(n *yaml.Node, depth int) (any, *Problem) {
	if n.Tag != "!!map" {
		return nil, r.unknownTag(n)
	}
	out := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return nil, r.problem(key, "a key must be a string")
		}
		if key.Tag == "!!merge" {
			return nil, r.problem(key, "merge keys (<<) are not read: write the fields out")
		}
		if _, dup := out[key.Value]; dup {
			return nil, r.problem(key, fmt.Sprintf("field %q stands here twice", key.Value))
		}
		v, problem := r.convert(n.Content[i+1], depth+1)
		if problem != nil {
			return nil, problem
		}
		out[key.Value] = v
	}
	return out, nil
}

// scalar resolves a scalar as kubectl's YAML 1.1 reader does: unquoted yes, no, on
// and off are booleans, times are strings.
func (r *reader) scalar(n *yaml.Node) (any, *Problem) {
	if n.Style == 0 && n.Tag == "!!str" {
		// Neither quoted nor tagged.
		switch n.Value {
		case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON":
			return true, nil
		case "n", "N", "no", "No", "NO", "off", "Off", "OFF":
			return false, nil
		}
	}
	switch n.Tag {
	case "!!str", "!!timestamp", "!!binary":
		return n.Value, nil
	case "!!null":
		return nil, nil
	case "!!bool", "!!int", "!!float":
		return r.plain(n)
	}
	return nil, r.unknownTag(n)
}

func (r *reader) plain(n *yaml.Node) (any, *Problem) {
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, r.problem(n, "not a value: "+err.Error())
	}
	switch x := v.(type) {
	case int:
		return int64(x), nil
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, r.problem(n, "JSON has no such number")
		}
		return x, nil
	case bool, int64:
		return x, nil
	}
	return nil, r.problem(n, "a number is too large")
}
