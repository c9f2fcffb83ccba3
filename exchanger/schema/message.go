// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// repeated is said of an item of a list that has it already.
const repeated = "occurs more than once in a list that must not repeat it"

// maxShown is how much of a found value a message repeats.
const maxShown = 64

// problems turns the API server's errors into ours: the same places and the
// same facts, without values that may be secrets, and without the words that
// only make sense in an HTTP answer.
func (k *kind) problems(errs field.ErrorList) []Problem {
	problems := make([]Problem, 0, len(errs))
	for _, err := range withoutEchoes(errs) {
		path := err.Field
		if path == "<nil>" {
			path = ""
		}
		problems = append(problems, Problem{Path: path, Message: message(err)})
	}
	return problems
}

func message(err *field.Error) string {
	detail := plain(err)
	switch err.Type {
	case field.ErrorTypeRequired:
		return withDetail("is required", detail)
	case field.ErrorTypeNotSupported:
		return "unsupported value" + found(err.BadValue) + "; " + detail
	case field.ErrorTypeDuplicate:
		return repeated
	case field.ErrorTypeForbidden:
		return withDetail("is forbidden", detail)
	}
	if match := wrongType.FindStringSubmatch(detail); match != nil {
		return "expected " + typeWords(match[1]) + ", found " + typeWords(match[2])
	}
	return detail
}

// wrongType is how the schema validator says that a value has the wrong type.
var wrongType = regexp.MustCompile(`must be of type ([a-z0-9]+): "([a-z0-9]+)"`)

// typeWords says in words what the schema validator calls a type.
func typeWords(name string) string {
	switch name {
	case "object":
		return "an object"
	case "array":
		return "a list"
	case "integer", "int32", "int64":
		return "an integer"
	case "number", "float", "float64", "double":
		return "a number"
	case "string":
		return "text"
	case "boolean":
		return "true or false"
	case "null":
		return "nothing"
	}
	return name
}

// Two sorts of errors say again, in worse words, what another one has said: of
// a number's format, without a path, and of a rule that could not read a value
// whose own pattern does not hold.
const (
	formatPrefix = "Checked value "
	ruleFailed   = " evaluating rule: "
)

// withoutEchoes drops the errors that only repeat others.
func withoutEchoes(errs field.ErrorList) field.ErrorList {
	malformed := map[string]bool{}
	for _, err := range errs {
		if strings.Contains(err.Detail, "should match '") {
			malformed[err.Field] = true
		}
	}
	kept := make(field.ErrorList, 0, len(errs))
	for _, err := range errs {
		echo := strings.HasPrefix(err.Detail, formatPrefix) ||
			malformed[err.Field] && !strings.Contains(err.Detail, "should match '") ||
			len(malformed) > 0 && strings.Contains(err.Detail, ruleFailed)
		if !echo {
			kept = append(kept, err)
		}
	}
	if len(kept) == 0 {
		return errs
	}
	return kept
}

func withDetail(text, detail string) string {
	if detail == "" {
		return text
	}
	return text + ": " + detail
}

// bodyPrefix is how the schema validator begins its messages: with the path,
// which the problem has already, and "in body".
var bodyPrefix = regexp.MustCompile(`^\S* in body `)

// patterns says in words what the patterns of the CRDs ask for.
var patterns = []struct{ pattern, words string }{
	{`^([0-9]{1,5}(h|m|s|ms)){1,4}$`, "must be a duration such as 5m, 1h30m or 500ms"},
	{`^$|^((19[7-9]`, "must be an RFC 3339 time such as 2027-01-31T00:00:00Z"},
	{`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`, "must be the name of an object: lower-case letters, digits, hyphens and dots"},
	{`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`, "must be the name of an object: lower-case letters, digits, hyphens and dots"},
	{`^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`, "must be the name of a namespace: lower-case letters, digits and hyphens"},
	{`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, "must be the name of a namespace: lower-case letters, digits and hyphens"},
}

func plain(err *field.Error) string {
	detail := bodyPrefix.ReplaceAllString(err.Detail, "")
	if asked, ok := strings.CutPrefix(detail, "should match '"); ok {
		for _, known := range patterns {
			if strings.HasPrefix(asked, known.pattern) {
				return known.words
			}
		}
	}
	return detail
}

// found repeats a found value, if it is short and simple.
func found(value any) string {
	switch typed := value.(type) {
	case nil:
		return ", found nothing"
	case string:
		if len(typed) > maxShown {
			return ""
		}
		return fmt.Sprintf(", found %q", typed)
	case bool, int64, float64:
		return fmt.Sprintf(", found %v", typed)
	}
	return ""
}

// suggest names the known field that an unknown one may have been meant to be.
func (k *kind) suggest(path string) string {
	parts := strings.Split(path, ".")
	node := k.structural
	for _, part := range parts[:len(parts)-1] {
		name, _, isItem := strings.Cut(part, "[")
		next, ok := node.Properties[name]
		if !ok {
			return ""
		}
		node = &next
		for range strings.Count(part, "[") {
			if !isItem || node.Items == nil {
				return ""
			}
			node = node.Items
		}
	}
	return didYouMean(parts[len(parts)-1], propertyNames(node))
}

func propertyNames(node *structuralschema.Structural) []string {
	names := make([]string, 0, len(node.Properties))
	for name := range node.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// didYouMean names the candidate that is nearest to a word, if one is near:
// written in other case, or at most two letters away.
func didYouMean(word string, candidates []string) string {
	if word == "" || len(word) > maxShown {
		return ""
	}
	best, bestDistance := "", 3
	for _, candidate := range candidates {
		distance := editDistance(strings.ToLower(word), strings.ToLower(candidate))
		if distance < bestDistance && distance < len(candidate) {
			best, bestDistance = candidate, distance
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// editDistance counts the letters to insert, delete or replace to make one
// word of the other. Both are at most a few dozen letters long.
func editDistance(from, to string) int {
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(from) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(to) {
			cost := diagonal
			if from[i] != to[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(to)]
}
