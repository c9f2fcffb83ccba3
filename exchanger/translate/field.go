// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

const day = 24 * time.Hour

// duration reads a field; an absent one is the fallback.
func (o *object) duration(field string, d v1alpha1.Duration, fallback, least, most time.Duration) time.Duration {
	if d == "" {
		return fallback
	}
	v, err := d.Parse()
	if err != nil {
		o.invalid(field, "%s", err)
		return fallback
	}
	if v < least || v > most {
		o.invalid(field, "expected %s to %s, found %s", short(least), short(most), d)
		return fallback
	}
	return v
}

// short writes a duration as the API does: 24h, not 24h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// moment reads a field; an absent one is the zero time.
func (o *object) moment(field string, t v1alpha1.Time) time.Time {
	if t == "" {
		return time.Time{}
	}
	v, err := t.Parse()
	if err != nil {
		o.invalid(field, "%s", err)
		return time.Time{}
	}
	return v.UTC()
}

// revocation reads revokeIssuedBefore. One that has yet to come refuses tokens
// that are not issued yet, which is seldom what somebody meant.
func (w *world) revocation(o *object, t v1alpha1.Time) time.Time {
	at := o.moment("spec.revokeIssuedBefore", t)
	if at.After(w.in.Now) {
		o.warn("spec.revokeIssuedBefore lies ahead: every token is refused until then")
	}
	return at
}

// oneOf reads an enumeration; an absent one is the first of the allowed values.
func oneOf[T ~string](o *object, field string, v T, allowed ...T) T {
	if v == "" {
		return allowed[0]
	}
	if !slices.Contains(allowed, v) {
		o.invalid(field, "expected one of %s", join(allowed))
		return allowed[0]
	}
	return v
}

// manyOf reads a set of enumerated values: those that are served; the others of
// the API are NotSupported. An absent list is all that is served.
func manyOf[T ~string](o *object, field string, list, fallback, served, known []T) []T {
	if list == nil {
		return sortedValues(fallback)
	}
	if len(list) == 0 {
		o.invalid(field, "expected at least one of %s, or no such field, which means %s", join(served), join(fallback))
	}
	for i, v := range list {
		switch at := fmt.Sprintf("%s[%d]", field, i); {
		case slices.Contains(served, v):
		case slices.Contains(known, v):
			o.notSupported(at, "%s is not served; served: %s", v, join(served))
		default:
			o.invalid(at, "expected one of %s", join(known))
		}
	}
	return sortedValues(list)
}

func sortedValues[T cmp.Ordered](list []T) []T {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

func join[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return strings.Join(out, ", ")
}

// members names those members of a union that are set.
type members []string

func (m *members) add(name string, set bool) {
	if set {
		*m = append(*m, name)
	}
}

// exactlyOne refuses a union with none or several members.
func (o *object) exactlyOne(field string, set members, of string) bool {
	if len(set) == 1 {
		return true
	}
	found := "none"
	if len(set) > 0 {
		found = strings.Join(set, " and ")
	}
	o.invalid(field, "expected exactly one of %s, found %s", of, found)
	return false
}

// atMost refuses lists that are longer than their schema allows.
func (o *object) atMost(field string, n, most int) {
	if n > most {
		o.invalid(field, "expected at most %d entries, found %d", most, n)
	}
}

func (o *object) text(field, s string, least, most int) bool {
	if len(s) >= least && len(s) <= most {
		return true
	}
	o.invalid(field, "expected %d to %d bytes, found %d", least, most, len(s))
	return false
}

// names reads a set of names that are compared exactly: printable ASCII without
// spaces, and without *, which would look as if it meant something (F198).
func (o *object) names(field string, list []string, most int) []string {
	o.atMost(field, len(list), most)
	var out []string
	for i, s := range list {
		if o.exactName(fmt.Sprintf("%s[%d]", field, i), s) {
			out = append(out, s)
		}
	}
	return sortedSet(out)
}

// named refuses what cannot be the name of an object, or of its namespace where
// that is given: a list of names is no place for patterns.
func (o *object) named(field, namespace, name string) {
	if !isSubdomain(name) || len(name) > v1alpha1.MaxNameLength {
		o.invalid(field+".name", "expected the name of an object")
	}
	if namespace != "" && (!isLabel(namespace) || len(namespace) > 63) {
		o.invalid(field+".namespace", "expected the name of a namespace")
	}
}

const maxNameBytes = 512

func (o *object) exactName(field, s string) bool {
	if !o.text(field, s, 1, maxNameBytes) {
		return false
	}
	if strings.Contains(s, "*") {
		o.invalid(field, "* has no meaning here: names are compared exactly")
		return false
	}
	if !isVisible(s, "") {
		o.invalid(field, "expected printable ASCII without spaces")
		return false
	}
	return true
}

// isVisible says whether s is printable ASCII without space and without any of
// the bytes in except.
func isVisible(s, except string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(except, s[i]) >= 0 {
			return false
		}
	}
	return true
}

// isScope says whether s is a scope-token (RFC 6749, section 3.3) without *.
func isScope(s string) bool {
	return s != "" && len(s) <= 256 && isVisible(s, `"\*`)
}
