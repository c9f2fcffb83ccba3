// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

type object = map[string]any

// compareCRD returns what a user of the old definition notices of the new one,
// a line each.
func compareCRD(before, after object) []string {
	name, _ := dig(before, "metadata", "name").(string)
	if after == nil {
		return []string{name + ": gone: the whole kind"}
	}
	var c comparison
	for _, part := range []string{"group", "scope", "names"} {
		c.equal(name+" "+part, dig(before, "spec", part), dig(after, "spec", part))
	}
	versions := map[string]object{}
	for _, v := range list(dig(after, "spec", "versions")) {
		versions[fmt.Sprint(v["name"])] = v
	}
	for _, was := range list(dig(before, "spec", "versions")) {
		version := fmt.Sprint(was["name"])
		is, there := versions[version]
		if !there {
			c.add(name+" "+version, "gone", "the whole version")
			continue
		}
		for _, part := range []string{"served", "storage", "subresources"} {
			c.equal(name+" "+version+" "+part, was[part], is[part])
		}
		old, _ := dig(was, "schema", "openAPIV3Schema").(object)
		now, _ := dig(is, "schema", "openAPIV3Schema").(object)
		c.schema(name+" "+version+" ", old, now)
	}
	return c.found
}

type comparison struct{ found []string }

func (c *comparison) add(at, kind, what string) {
	c.found = append(c.found, fmt.Sprintf("%s: %s: %s", at, kind, what))
}

func (c *comparison) equal(at string, was, is any) {
	if !reflect.DeepEqual(was, is) {
		c.add(at, "changed", fmt.Sprintf("from %s to %s", text(was), text(is)))
	}
}

// schema walks both schemas by what the old one knows. A keyword that is not
// known here is flagged when it changes: unknown is never compatible.
func (c *comparison) schema(at string, was, is object) {
	keywords := map[string]bool{}
	for k := range was {
		keywords[k] = true
	}
	for k := range is {
		keywords[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keywords)) {
		old, now := was[k], is[k]
		switch {
		case k == "description" || k == "title" || reflect.DeepEqual(old, now):
		case k == "properties":
			c.properties(at, was, is)
		case k == "items" || k == "additionalProperties":
			c.inner(at, k, old, now)
		case k == "required" || k == "x-kubernetes-validations":
			c.members(at, k, rules(old), rules(now), "tighter", "looser")
		case k == "enum":
			c.enum(at, old, now)
		case strings.HasPrefix(k, "max"):
			c.bound(at, k, old, now, func(a, b float64) bool { return b < a })
		case strings.HasPrefix(k, "min"):
			c.bound(at, k, old, now, func(a, b float64) bool { return b > a })
		case old == nil && k == "pattern":
			c.add(at, "tighter", "pattern "+text(now))
		case now == nil && k == "pattern":
			c.add(at, "looser", "no pattern, was "+text(old))
		default:
			c.add(at, "changed", fmt.Sprintf("%s from %s to %s", k, text(old), text(now)))
		}
	}
}

func (c *comparison) properties(at string, was, is object) {
	old, _ := was["properties"].(object)
	now, _ := is["properties"].(object)
	for _, name := range slices.Sorted(maps.Keys(old)) {
		before, _ := old[name].(object)
		after, there := now[name].(object)
		if !there {
			c.add(at+"."+name, "gone", "the field")
			continue
		}
		c.schema(at+"."+name, before, after)
	}
}

func (c *comparison) inner(at, keyword string, old, now any) {
	before, one := old.(object)
	after, two := now.(object)
	if !one || !two {
		c.add(at, "changed", fmt.Sprintf("%s from %s to %s", keyword, text(old), text(now)))
		return
	}
	c.schema(at+map[string]string{"items": "[]", "additionalProperties": "{}"}[keyword], before, after)
}

// enum treats no enum as every value.
func (c *comparison) enum(at string, old, now any) {
	switch {
	case old == nil:
		c.add(at, "tighter", "enum "+text(now))
	case now == nil:
		c.add(at, "looser", "no enum, was "+text(old))
	default:
		c.members(at, "enum", rules(old), rules(now), "looser", "tighter")
	}
}

func (c *comparison) members(at, keyword string, old, now []string, more, less string) {
	for _, member := range now {
		if !slices.Contains(old, member) {
			c.add(at, more, keyword+" has now "+member)
		}
	}
	for _, member := range old {
		if !slices.Contains(now, member) {
			c.add(at, less, keyword+" has no longer "+member)
		}
	}
}

func (c *comparison) bound(at, keyword string, old, now any, tighter func(a, b float64) bool) {
	a, had := old.(float64)
	b, has := now.(float64)
	kind := "looser"
	if !had || has && tighter(a, b) {
		kind = "tighter"
	}
	c.add(at, kind, fmt.Sprintf("%s from %s to %s", keyword, text(old), text(now)))
}

// rules spells each element; of a validation rule, what it says to a person
// does not count.
func rules(elements any) []string {
	in, _ := elements.([]any)
	out := make([]string, 0, len(in))
	for _, e := range in {
		if rule, ok := e.(object); ok {
			rule = maps.Clone(rule)
			for _, words := range []string{"message", "messageExpression", "reason"} {
				delete(rule, words)
			}
			e = rule
		}
		out = append(out, text(e))
	}
	return out
}

func text(v any) string {
	if v == nil {
		return "nothing"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func dig(o object, path ...string) any {
	var at any = o
	for _, p := range path {
		m, _ := at.(object)
		at = m[p]
	}
	return at
}

func list(v any) []object {
	in, _ := v.([]any)
	out := make([]object, 0, len(in))
	for _, e := range in {
		if o, ok := e.(object); ok {
			out = append(out, o)
		}
	}
	return out
}
