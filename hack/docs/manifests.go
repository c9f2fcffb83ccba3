// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const group = "exchequer.dev/"

// wrongManifests checks the ```yaml blocks of a page that hold objects of ours:
// every document must be of a kind and have only fields that the CRDs know. A
// page whose example is refused by the API server costs a reader an evening.
func wrongManifests(p page, kinds map[string]kind) []string {
	if len(kinds) == 0 {
		return nil
	}
	var mistakes []string
	for _, m := range fence.FindAllStringSubmatchIndex(p.text, -1) {
		if p.text[m[4]:m[5]] != "yaml" {
			continue
		}
		at, block := lineOf(p.text, m[6]), p.text[m[6]:m[7]]
		if !strings.Contains(block, "apiVersion: "+group) {
			continue
		}
		for _, doc := range strings.Split(block, "\n---") {
			first := at + len(doc) - len(strings.TrimLeft(doc, "\n"))
			for _, wrong := range checkManifest([]byte(doc), kinds) {
				mistakes = append(mistakes, fmt.Sprintf("%s:%d: manifest: %s", p.path, first, wrong))
			}
			at += strings.Count(doc, "\n") + 1
		}
	}
	return mistakes
}

func checkManifest(doc []byte, kinds map[string]kind) []string {
	if len(bytes.TrimSpace(doc)) == 0 {
		return nil
	}
	var object map[string]any
	if err := yaml.UnmarshalStrict(doc, &object); err != nil {
		return []string{err.Error()}
	}
	version, _ := object["apiVersion"].(string)
	name, _ := object["kind"].(string)
	if !strings.HasPrefix(version, group) || name == "PolicyTest" {
		return nil
	}
	k, ok := kinds[name]
	if !ok {
		return []string{fmt.Sprintf("no kind is called %q", name)}
	}
	return unknownFields("", object, k.schema)
}

// unknownFields walks the value along the schema.
func unknownFields(at string, value any, schema *apiextensionsv1.JSONSchemaProps) []string {
	if schema.XPreserveUnknownFields != nil && *schema.XPreserveUnknownFields {
		return nil
	}
	var mistakes []string
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			field, ok := schema.Properties[name]
			switch {
			case at == "" && name == "metadata":
			case ok:
				mistakes = append(mistakes, unknownFields(at+"."+name, inner, &field)...)
			case schema.AdditionalProperties == nil:
				mistakes = append(mistakes, fmt.Sprintf("%s.%s is no field", at, name))
			}
		}
		for _, name := range schema.Required {
			if _, ok := v[name]; !ok {
				mistakes = append(mistakes, fmt.Sprintf("%s.%s is required", at, name))
			}
		}
	case []any:
		if schema.Items == nil || schema.Items.Schema == nil {
			return []string{at + " is no list"}
		}
		for i, inner := range v {
			mistakes = append(mistakes, unknownFields(fmt.Sprintf("%s[%d]", at, i), inner, schema.Items.Schema)...)
		}
	}
	return mistakes
}
