// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// kind is what a CustomResourceDefinition says about one kind.
type kind struct {
	name   string
	schema *apiextensionsv1.JSONSchemaProps
}

func readKinds(root string) (map[string]kind, error) {
	files, err := filepath.Glob(filepath.Join(root, "config", "crd", group[:len(group)-1]+"_*.yaml"))
	if err != nil {
		return nil, err
	}
	kinds := map[string]kind{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			return nil, fmt.Errorf("read %s: %w", f, err)
		}
		if len(crd.Spec.Versions) == 0 || crd.Spec.Versions[0].Schema == nil {
			return nil, fmt.Errorf("read %s: it has no schema", f)
		}
		name := crd.Spec.Names.Kind
		kinds[name] = kind{name: name, schema: crd.Spec.Versions[0].Schema.OpenAPIV3Schema}
	}
	return kinds, nil
}

func missingKinds(pages []page, kinds map[string]kind) []string {
	var mistakes []string
	for name := range kinds {
		want := "docs/kinds/" + strings.ToLower(name) + ".md"
		if !slices.ContainsFunc(pages, func(p page) bool { return p.path == want }) {
			mistakes = append(mistakes, fmt.Sprintf("%s: the kind %s has no page", want, name))
		}
	}
	return mistakes
}

var tableMark = regexp.MustCompile(`(?s)<!-- fields of ([A-Za-z]+): written by make docs -->\n.*?<!-- end of fields -->`)

// fillTables returns the page with every field table as the CRDs have it.
func fillTables(p page, kinds map[string]kind) (string, []string) {
	var mistakes []string
	text := tableMark.ReplaceAllStringFunc(p.text, func(old string) string {
		name := tableMark.FindStringSubmatch(old)[1]
		k, ok := kinds[name]
		if !ok {
			mistakes = append(mistakes, fmt.Sprintf("%s: a field table for %s, which has no CRD", p.path, name))
			return old
		}
		return fmt.Sprintf("<!-- fields of %s: written by make docs -->\n%s<!-- end of fields -->", name, k.table())
	})
	return text, mistakes
}

func (k kind) table() string {
	var b strings.Builder
	b.WriteString("\n| field | type | default | bounds | meaning |\n|---|---|---|---|---|\n")
	spec, ok := k.schema.Properties["spec"]
	if !ok {
		return "\n"
	}
	w := tableWriter{b: &b}
	w.object("", spec)
	b.WriteString("\n")
	if len(w.rules) > 0 {
		b.WriteString("Rules that the schema checks:\n\n")
		for _, r := range w.rules {
			b.WriteString("- " + r + "\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}

type tableWriter struct {
	b     *strings.Builder
	rules []string
}

func (w *tableWriter) object(prefix string, schema apiextensionsv1.JSONSchemaProps) {
	w.addRules(prefix, schema)
	names := make([]string, 0, len(schema.Properties))
	for name := range schema.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		field := schema.Properties[name]
		p := prefix + name
		w.row(p, field, slices.Contains(schema.Required, name))
		w.below(p, field)
	}
}

// below goes into the objects and lists of objects under a field.
func (w *tableWriter) below(p string, field apiextensionsv1.JSONSchemaProps) {
	switch {
	case shapeOf(field) != "":
	case len(field.Properties) > 0:
		w.object(p+".", field)
	case field.Items != nil && field.Items.Schema != nil:
		w.addRules(p, field)
		if item := *field.Items.Schema; shapeOf(item) == "" && len(item.Properties) > 0 {
			w.object(p+"[].", item)
		}
	default:
		w.addRules(p, field)
	}
}

func (w *tableWriter) addRules(p string, schema apiextensionsv1.JSONSchemaProps) {
	for _, v := range schema.XValidations {
		message := v.Message
		if message == "" {
			message = "`" + v.Rule + "`"
		}
		if where := strings.TrimSuffix(p, "."); where != "" {
			message = "`" + where + "`: " + message
		}
		if !slices.Contains(w.rules, message) {
			w.rules = append(w.rules, message)
		}
	}
}

func (w *tableWriter) row(p string, field apiextensionsv1.JSONSchemaProps, required bool) {
	value := ""
	if required {
		value = "**required**"
	}
	if field.Default != nil {
		value = "`" + string(field.Default.Raw) + "`"
	}
	fmt.Fprintf(w.b, "| `%s` | %s | %s | %s | %s |\n", p, typeOf(field), value, cell(boundsOf(field)), cell(meaning(field.Description)))
}

// shapes are small objects that occur in many places. Their members are told
// once, in docs/kinds/README.md, under a heading of this name.
var shapes = map[string][]string{
	"rule":                {"expression", "message"},
	"claim or expression": {"claim", "expression"},
	"selector":            {"matchExpressions", "matchLabels"},
	"object and key":      {"key", "name"},
	"JWK":                 {"alg", "crv", "d", "kty"},
	"client credentials":  {"clientID", "privateKeyJWT", "secretRef"},
}

// shapeOf returns the shape that the object has, or "". An object with many
// members is recognised by those that tell it, a small one by all of them.
func shapeOf(s apiextensionsv1.JSONSchemaProps) string {
	for name, members := range shapes {
		has := func(m string) bool { _, ok := s.Properties[m]; return ok }
		all := !slices.ContainsFunc(members, func(m string) bool { return !has(m) })
		if all && (len(members) > 2 || len(s.Properties) == len(members)) {
			return name
		}
	}
	return ""
}

func typeOf(s apiextensionsv1.JSONSchemaProps) string {
	if shape := shapeOf(s); shape != "" {
		return fmt.Sprintf("[%s](README.md#%s)", shape, slug(shape))
	}
	switch {
	case s.Items != nil && s.Items.Schema != nil:
		return "list of " + typeOf(*s.Items.Schema)
	case s.AdditionalProperties != nil:
		return "map"
	case s.XPreserveUnknownFields != nil && *s.XPreserveUnknownFields:
		return "any JSON"
	}
	return s.Type
}

func boundsOf(s apiextensionsv1.JSONSchemaProps) string {
	var parts []string
	if len(s.Enum) > 0 {
		values := make([]string, 0, len(s.Enum))
		for _, e := range s.Enum {
			values = append(values, strings.Trim(string(e.Raw), `"`))
		}
		parts = append(parts, strings.Join(values, ", "))
	}
	parts = append(parts,
		between(s.MinItems, s.MaxItems, "items"),
		between(s.MinProperties, s.MaxProperties, "members"),
		between(s.MinLength, s.MaxLength, "characters"),
		numbers(s.Minimum, s.Maximum))
	if s.Items != nil && s.Items.Schema != nil && len(s.Items.Schema.Properties) == 0 {
		if each := boundsOf(*s.Items.Schema); each != "" {
			parts = append(parts, "each "+each)
		}
	}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}

func between(low, high *int64, unit string) string {
	switch {
	case low != nil && high != nil && *low == *high:
		return fmt.Sprintf("%d %s", *low, unit)
	case low != nil && *low > 0 && high != nil:
		return fmt.Sprintf("%d–%d %s", *low, *high, unit)
	case high != nil:
		return fmt.Sprintf("≤ %d %s", *high, unit)
	case low != nil && *low > 0:
		return fmt.Sprintf("≥ %d %s", *low, unit)
	}
	return ""
}

func numbers(low, high *float64) string {
	text := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	switch {
	case low != nil && high != nil:
		return text(*low) + "–" + text(*high)
	case low != nil:
		return "≥ " + text(*low)
	case high != nil:
		return "≤ " + text(*high)
	}
	return ""
}

// meaning is the first paragraph of a description, in one line.
func meaning(description string) string {
	first, _, _ := strings.Cut(description, "\n\n")
	return strings.Join(strings.Fields(first), " ")
}

// cell escapes what would end a table cell or start a tag.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}
