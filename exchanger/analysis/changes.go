// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Effect says which way a change can move access.
type Effect string

// The effects.
const (
	// Widens can only let more through.
	Widens Effect = "widens"
	// Narrows can only let less through.
	Narrows Effect = "narrows"
	// Either depends on the tokens: an expression that is another one, a key that
	// was replaced.
	Either Effect = "may widen or narrow"
	// Neither changes words for people only.
	Neither Effect = "changes no access"
)

// What happened to an object.
const (
	ObjectAdded   = "added"
	ObjectRemoved = "removed"
	ObjectChanged = "changed"
)

// Change is one difference in the content of one object of the Spec.
type Change struct {
	// Object is "Kind/namespace/name", as manifests have it.
	Object string `json:"object"`
	// What is added, removed or changed: of the object itself, or of Field.
	What  string `json:"what"`
	Field string `json:"field,omitempty"`
	// Before and After are the values, or of a list the entries that only one of
	// the two has. What is secret, or too long to read, is told by its digest.
	Before []string `json:"before,omitempty"`
	After  []string `json:"after,omitempty"`
	Effect Effect   `json:"effect"`
}

func (c Change) compare(o Change) int {
	return cmp.Or(strings.Compare(c.Object, o.Object), strings.Compare(c.Field, o.Field), strings.Compare(c.What, o.What))
}

// Changes lists every difference between two Specs, sorted by object and field.
// It is empty only when they are the same.
func Changes(before, after *policy.Spec) []Change {
	a, b := objects(before), objects(after)
	out := []Change{}
	for _, name := range slices.Sorted(maps.Keys(merged(a, b))) {
		was, had := a[name]
		is, has := b[name]
		switch {
		case !had:
			out = append(out, Change{Object: name, What: ObjectAdded, Effect: presence(name)})
		case !has:
			out = append(out, Change{Object: name, What: ObjectRemoved, Effect: opposite(presence(name))})
		default:
			fields(name, "", was, is, &out)
		}
	}
	slices.SortFunc(out, Change.compare)
	return out
}

// presence is what the appearance of an object does: objects allow, and removing
// one never widens, save where its name was in somebody else's way.
func presence(object string) Effect {
	switch kind, _, _ := strings.Cut(object, "/"); kind {
	case kindPolicy, kindClient, kindIssuer, kindGrant, kindTarget:
		return Widens
	case kindRevocation:
		return Narrows
	}
	// A scope can make what was one target's into two targets' (every one of them
	// must grant it), a token service can make a request ambiguous.
	return Either
}

func opposite(e Effect) Effect {
	switch e {
	case Widens:
		return Narrows
	case Narrows:
		return Widens
	case Neither:
		return Neither
	case Either:
	}
	return Either
}

func merged(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

const (
	kindService = "TokenService"
	kindIssuer  = "TrustedIssuer"
	kindClient  = "ExchangeClient"
	kindScope   = "ClientScope"
	kindPolicy  = "ExchangePolicy"
	kindGrant   = "ImpersonationGrant"
	kindTarget  = "ExternalTarget"

	kindRevocation = "TokenRevocation"
)

// objects are the parts of a Spec by name, as JSON would have them.
func objects(spec *policy.Spec) map[string]any {
	out := make(map[string]any, len(spec.Clients)+len(spec.Policies)+len(spec.Scopes)+len(spec.Issuers)+len(spec.Services)+1)
	out["Spec"] = map[string]any{"format": json.Number(strconv.Itoa(spec.Format))}
	for i := range spec.Services {
		out[kindService+"/"+spec.Services[i].Name] = plain(&spec.Services[i])
	}
	for i := range spec.Issuers {
		out[kindIssuer+"/"+spec.Issuers[i].Name] = plain(&spec.Issuers[i])
	}
	for i := range spec.Clients {
		c := &spec.Clients[i]
		out[kindClient+"/"+c.Namespace+"/"+c.Name] = plain(c)
	}
	for i := range spec.Scopes {
		s := &spec.Scopes[i]
		out[kindScope+"/"+s.Namespace+"/"+s.Name] = plain(s)
	}
	for i := range spec.Policies {
		p := &spec.Policies[i]
		out[kindPolicy+"/"+p.Namespace+"/"+p.Name] = plain(p)
	}
	for i := range spec.Grants {
		out[kindGrant+"/"+spec.Grants[i].Name] = plain(&spec.Grants[i])
	}
	for i := range spec.Externals {
		out[kindTarget+"/"+spec.Externals[i].Name] = plain(&spec.Externals[i])
	}
	for i := range spec.Revocations {
		out[kindRevocation+"/"+spec.Revocations[i].Name] = plain(&spec.Revocations[i])
	}
	return out
}

// plain is a part of a Spec as JSON decoding would give it.
func plain(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error() // The Spec's types cannot fail to marshal.
	}
	var out any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return err.Error()
	}
	return out
}

// fields appends what differs between two values, one line for each field. A list
// is one field: its entries have no names.
func fields(object, path string, before, after any, out *[]Change) {
	a, isMap := before.(map[string]any)
	b, isMapToo := after.(map[string]any)
	if isMap && isMapToo {
		for _, name := range slices.Sorted(maps.Keys(merged(a, b))) {
			at := name
			if path != "" {
				at = path + "." + name
			}
			fields(object, at, a[name], b[name], out)
		}
		return
	}
	was, is := entries(before), entries(after)
	if slices.Equal(was, is) {
		return
	}
	c := Change{Object: object, What: ObjectChanged, Field: path}
	c.Before, c.After = less(was, is), less(is, was)
	c.Effect = effect(object, path, before, after, &c)
	if len(c.Before)+len(c.After) == 0 {
		c.Before, c.After = was, is // only their order differs
	}
	present(&c)
	*out = append(*out, c)
}

// entries are a list's entries, or one value, as JSON; nothing for what is absent.
func entries(v any) []string {
	switch x := v.(type) {
	case nil:
		return nil
	case []any:
		out := make([]string, 0, len(x))
		for _, e := range x {
			out = append(out, compact(e))
		}
		return out
	}
	return []string{compact(v)}
}

// compact writes a string as it is and everything else as JSON.
func compact(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "?"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// less are the entries of list that other has fewer of.
func less(list, other []string) []string {
	left := map[string]int{}
	for _, e := range other {
		left[e]++
	}
	var out []string
	for _, e := range list {
		if left[e] > 0 {
			left[e]--
			continue
		}
		out = append(out, e)
	}
	return out
}
