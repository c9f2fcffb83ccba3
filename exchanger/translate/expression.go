// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"strings"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// maxExpression is what the schema allows. The checks of an expression are
// bounded by its length, so this is looked at before anything is parsed.
const maxExpression = 4096

// expression checks one CEL expression and returns it.
func (w *world) expression(o *object, field string, env policy.Environment, want policy.ResultType, e v1alpha1.Expression) string {
	text := string(e)
	if len(text) > maxExpression {
		o.invalid(field, "expected at most %d bytes, found %d", maxExpression, len(text))
		return text
	}
	if strings.TrimSpace(text) == "" {
		o.invalid(field, "expected a CEL expression")
		return text
	}
	if !w.compiles(o, field, text) {
		return text
	}
	checked := w.check(checkKey{env, want, text})
	for _, warning := range checked.warnings {
		o.warn("%s: %s", field, warning)
	}
	if checked.err != nil {
		o.problem(v1alpha1.ReasonInvalidExpression, field, "%s", checked.err)
	}
	return text
}

type checkKey struct {
	env  policy.Environment
	want policy.ResultType
	text string
}

type checkResult struct {
	warnings []string
	err      error
}

// check checks equal expressions once: many policies say the same thing.
func (w *world) check(key checkKey) checkResult {
	if r, ok := w.checked[key]; ok {
		return r
	}
	var r checkResult
	r.warnings, r.err = w.in.Check(key.env, key.want, key.text)
	w.checked[key] = r
	return r
}

func (w *world) rules(o *object, field string, env policy.Environment, list []v1alpha1.Rule, most int) []policy.Rule {
	o.atMost(field, len(list), most)
	var out []policy.Rule
	for i, r := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		o.text(at+".message", r.Message, 0, 512)
		out = append(out, policy.Rule{Expression: w.expression(o, at+".expression", env, policy.WantBool, r.Expression), Message: r.Message})
	}
	return out
}

// claims reads what is put into tokens. Names that belong to the protocol, and
// those that some readers take for something else, cannot be set (F146).
func (w *world) claims(o *object, field string, env policy.Environment, list []v1alpha1.TokenClaim) []policy.Claim {
	o.atMost(field, len(list), 32)
	var out []policy.Claim
	seen := map[string]bool{}
	for i, c := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case !o.text(at+".name", c.Name, 1, 128):
		case policy.IsReservedClaim(c.Name):
			o.invalid(at+".name", "%s is reserved: the token service sets it, or nobody does", c.Name)
		case c.Name == "__proto__" || c.Name == "constructor" || c.Name == "prototype":
			o.invalid(at+".name", "%s means something else to programs that read the token", c.Name)
		case !isVisible(c.Name, ""):
			o.invalid(at+".name", "expected printable ASCII without spaces")
		case seen[c.Name]:
			o.invalid(at+".name", "the claim %s is there twice", c.Name)
		}
		seen[c.Name] = true
		out = append(out, policy.Claim{Name: c.Name, Expression: w.expression(o, at+".expression", env, policy.WantAny, c.Expression)})
	}
	return out
}
