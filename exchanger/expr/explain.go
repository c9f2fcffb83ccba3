// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
)

// maxIssues is how many problems of one text are reported: the first ones are
// what the others follow from.
const maxIssues = 3

// explain puts what the parser and the type checker found into words.
func explain(k key, issues *cel.Issues) error {
	var all []string
	for i, e := range issues.Errors() {
		if i == maxIssues {
			break
		}
		all = append(all, explainOne(k, e))
	}
	return errors.New(strings.Join(all, "; "))
}

func explainOne(k key, e *common.Error) string {
	return where(k.text, e.Location) + message(k, e)
}

func where(text string, at common.Location) string {
	if at == nil || at.Line() < 1 {
		return ""
	}
	if strings.Contains(text, "\n") {
		return fmt.Sprintf("line %d, column %d: ", at.Line(), at.Column()+1)
	}
	return fmt.Sprintf("column %d: ", at.Column()+1)
}

func message(k key, e *common.Error) string {
	m := e.Message
	if name, ok := between(m, "undeclared reference to '", "'"); ok {
		return fmt.Sprintf("%q is unknown; the names here are %s", name, names(k.env))
	}
	if name, ok := between(m, "undefined field '", "'"); ok {
		return fmt.Sprintf("there is no field %q%s", name, fieldsBefore(k, e.Location))
	}
	if name, ok := between(m, "found no matching overload for '", "'"); ok {
		_, types, _ := strings.Cut(m, "applied to '")
		return fmt.Sprintf("%s does not take %s", strings.Trim(name, "_@"), friendly(strings.TrimSuffix(types, "'")))
	}
	// The parser lists all that could follow.
	if head, _, ok := strings.Cut(m, " expecting {"); ok {
		return head
	}
	return friendly(m)
}

// friendly gives types the names that people use.
func friendly(s string) string {
	return strings.NewReplacer("google.protobuf.Timestamp", "timestamp", "google.protobuf.Duration", "duration").Replace(s)
}

func between(s, before, after string) (string, bool) {
	_, rest, ok := strings.Cut(s, before)
	if !ok {
		return "", false
	}
	found, _, ok := strings.Cut(rest, after)
	return found, ok
}

// fieldsBefore lists the fields of the variable that stands before a dot.
func fieldsBefore(k key, at common.Location) string {
	lines := strings.Split(k.text, "\n")
	if at.Line() < 1 || at.Line() > len(lines) {
		return ""
	}
	line := []rune(lines[at.Line()-1])
	before := string(line[:min(max(at.Column(), 0), len(line))])
	for _, v := range variables(k.env) {
		if v.kind != nil && strings.HasSuffix(before, v.name) {
			return fmt.Sprintf("; %s has %s", v.name, strings.Join(v.kind.names, ", "))
		}
	}
	return ""
}

// explainPlan says where planning failed.
func explainPlan(k key, checked *cel.Ast, err error) error {
	var p *problem
	if errors.As(err, &p) {
		return errors.New(where(k.text, checked.NativeRep().SourceInfo().GetStartLocation(p.id)) + p.text)
	}
	return errors.New("a constant in it cannot be evaluated: " + err.Error())
}
