// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/exchanger/schema"
)

const group = "exchequer.dev/"

// wrongManifests checks the ```yaml blocks of a page that hold objects of ours
// as the API server would: fields, types, bounds and rules. A page whose example
// is refused costs a reader an evening.
func wrongManifests(p page, judge *schema.Validator) []string {
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
			for _, wrong := range checkManifest([]byte(doc), judge) {
				mistakes = append(mistakes, fmt.Sprintf("%s:%d: manifest: %s", p.path, first, wrong))
			}
			at += strings.Count(doc, "\n") + 1
		}
	}
	return mistakes
}

func checkManifest(doc []byte, judge *schema.Validator) []string {
	if len(bytes.TrimSpace(doc)) == 0 {
		return nil
	}
	var object map[string]any
	if err := yaml.UnmarshalStrict(doc, &object); err != nil {
		return []string{err.Error()}
	}
	version, _ := object["apiVersion"].(string)
	if !strings.HasPrefix(version, group) || object["kind"] == "PolicyTest" {
		return nil // PolicyTest is a file format, not a kind
	}
	_, problems := judge.Admit(object, nil)
	wrong := make([]string, 0, len(problems))
	for _, problem := range problems {
		wrong = append(wrong, problem.String())
	}
	return wrong
}
