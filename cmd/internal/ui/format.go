// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// The formats that a report can have.
const (
	TableFormat = "table"
	JSONFormat  = "json"
	YAMLFormat  = "yaml"
)

// Format is the value of a flag -o: one of a closed list, the first by default.
type Format struct {
	value   string
	allowed []string
}

// NewFormat returns a format that can be one of allowed.
func NewFormat(allowed ...string) *Format {
	return &Format{value: allowed[0], allowed: allowed}
}

// String is the format chosen.
func (f *Format) String() string { return f.value }

// Type is what usage lines show for the value.
func (f *Format) Type() string { return strings.Join(f.allowed, "|") }

// Set chooses a format.
func (f *Format) Set(v string) error {
	if !slices.Contains(f.allowed, v) {
		return fmt.Errorf("expected %s", strings.Join(f.allowed, ", "))
	}
	f.value = v
	return nil
}

// Encode writes v as JSON or YAML. Keys have the order of the struct in JSON, and
// of the alphabet in YAML.
func Encode(out io.Writer, format string, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	text := b.Bytes()
	if format == YAMLFormat {
		var err error
		if text, err = yaml.JSONToYAML(text); err != nil {
			return fmt.Errorf("encode the report: %w", err)
		}
	}
	_, err := out.Write(text)
	return err
}
