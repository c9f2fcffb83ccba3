// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// A Spec is its format and lists of objects, each with a name and perhaps a
// namespace. Everything here goes over the lists that the type has, so that one
// that is added to it is carried without a change here, and cannot be forgotten.

// list is one list of the Spec: services, issuers, and so on.
type list struct {
	field int
	name  string
}

// lists are the lists of a Spec, in the order in which they are written.
func lists() []list {
	var out []list
	t := reflect.TypeFor[policy.Spec]()
	for i := range t.NumField() {
		if f := t.Field(i); f.Type.Kind() == reflect.Slice {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			out = append(out, list{field: i, name: name})
		}
	}
	return out
}

func (l list) of(spec *policy.Spec) reflect.Value { return reflect.ValueOf(spec).Elem().Field(l.field) }

// object is one element of a list, as it is written.
type object struct {
	namespace, name string
	json            []byte
}

func identity(v reflect.Value) (namespace, name string) {
	if f := v.FieldByName("Namespace"); f.IsValid() {
		namespace = f.String()
	}
	return namespace, v.FieldByName("Name").String()
}

func byName(a, b object) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name), bytes.Compare(a.json, b.json))
}

// objects writes the elements of a list, sorted.
func (l list) objects(spec *policy.Spec) ([]object, error) {
	all := l.of(spec)
	out := make([]object, all.Len())
	for i := range out {
		element := all.Index(i)
		namespace, name := identity(element)
		b, err := canonical(element)
		if err != nil {
			return nil, fmt.Errorf("write %s %s/%s: %w", l.name, namespace, name, err)
		}
		out[i] = object{namespace: namespace, name: name, json: b}
	}
	slices.SortFunc(out, byName)
	return out, nil
}

// canonical writes one object so that reading and writing it again gives the same
// bytes. Only text that is not UTF-8 would not: encoding/json writes its bytes as
// an escaped U+FFFD, and the one that was read unescaped.
func canonical(element reflect.Value) ([]byte, error) {
	b, err := json.Marshal(element.Addr().Interface())
	if err != nil || !bytes.Contains(b, []byte(`\ufffd`)) {
		return b, err
	}
	again := reflect.New(element.Type()).Interface()
	if err := json.Unmarshal(b, again); err != nil {
		return nil, err
	}
	return json.Marshal(again)
}

// write writes a Spec of these objects as encoding/json would.
func write(format int, all []list, objects func(i int) []object) []byte {
	size := 64
	for i, l := range all {
		size += len(l.name) + 8
		for _, o := range objects(i) {
			size += len(o.json) + 1
		}
	}
	// At once: a Spec of 5 MiB that grows as it is written is copied five times.
	b := strconv.AppendInt(append(make([]byte, 0, size), `{"format":`...), int64(format), 10)
	for i, l := range all {
		elements := objects(i)
		if len(elements) == 0 {
			continue
		}
		b = append(append(append(b, `,"`...), l.name...), `":[`...)
		for j, o := range elements {
			if j > 0 {
				b = append(b, ',')
			}
			b = append(b, o.json...)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// merge appends the objects of another Spec.
func merge(to, from *policy.Spec) {
	for _, l := range lists() {
		dst := l.of(to)
		dst.Set(reflect.AppendSlice(dst, l.of(from)))
	}
}

// sortLists brings a Spec into canonical order.
func sortLists(spec *policy.Spec) {
	for _, l := range lists() {
		all := l.of(spec)
		if all.Len() == 0 {
			continue
		}
		type at struct {
			object
			index int
		}
		order := make([]at, all.Len())
		for i := range order {
			order[i].namespace, order[i].name = identity(all.Index(i))
			order[i].index = i
		}
		slices.SortFunc(order, func(a, b at) int {
			if c := byName(a.object, b.object); c != 0 || a.index == b.index {
				return c
			}
			// Two of one name: their text decides, as it did when they were written.
			return bytes.Compare(text(all.Index(a.index)), text(all.Index(b.index)))
		})
		sorted := reflect.MakeSlice(all.Type(), all.Len(), all.Len())
		for i, o := range order {
			sorted.Index(i).Set(all.Index(o.index))
		}
		all.Set(sorted)
	}
}

func text(v reflect.Value) []byte {
	b, err := json.Marshal(v.Addr().Interface())
	if err != nil {
		return nil // It was read from JSON: it can be written.
	}
	return b
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
