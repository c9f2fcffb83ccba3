// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

func object(kind string, spec any) *unstructured.Unstructured {
	u := New(kind)
	u.SetName("x")
	u.SetNamespace("shop")
	u.SetGeneration(3)
	if spec != nil {
		u.Object["spec"] = spec
	}
	return u
}

func TestF256AnObjectThatCannotBeDecodedIsUndecodableAndHarmsNoOther(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		kind         string
		spec         any
		reason, says string
	}{
		"a spec that is a text":                      {ExchangePolicy, "text", "", "spec: "},
		"a list where an object belongs":             {ExchangeClient, map[string]any{"token": []any{}}, "", "spec: "},
		"a number where a text belongs":              {TokenService, map[string]any{"issuer": int64(7)}, "", "spec: "},
		"F262: a number beyond its type":             {TokenService, map[string]any{"limits": map[string]any{"tokenBytes": int64(1) << 40}}, "", "spec: "},
		"a field that this build does not know":      {ExchangePolicy, map[string]any{"onlyOnSundays": true}, v1alpha1.ReasonNotSupported, "onlyOnSundays"},
		"a field that only looks like one of ours":   {ExchangePolicy, map[string]any{"Suspend": true}, v1alpha1.ReasonNotSupported, "Suspend"},
		"such a field deep inside":                   {ExchangePolicy, map[string]any{"target": map[string]any{"unless": "x"}}, v1alpha1.ReasonNotSupported, "unless"},
		"a value that JSON cannot hold":              {ExchangePolicy, map[string]any{"x": func() {}}, "", "JSON"},
		"F272: a value whose encoding panics":        {ExchangePolicy, map[string]any{"x": panics{}}, "", "report it"},
		"a value of a megabyte is not told in full":  {ExchangePolicy, map[string]any{strings.Repeat("x", 1<<20): true}, v1alpha1.ReasonNotSupported, "spec: "},
		"an issuer, of which the prefix is kept":     {TrustedIssuer, map[string]any{"identityPrefix": "corp:", "jwt": 7}, "", "spec: "},
		"an issuer whose prefix is no text":          {TrustedIssuer, map[string]any{"identityPrefix": int64(7)}, "", "spec: "},
		"an issuer without prefix has the default's": {TrustedIssuer, map[string]any{"jwt": 7}, "", "spec: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := decode(of.kind, object(of.kind, of.spec))
			var all translate.Objects
			d.add(&all)
			if len(all.Undecodable) != 1 {
				t.Fatalf("decoded: %+v", d.object)
			}
			got := all.Undecodable[0]
			if got.Kind != of.kind || got.Namespace != "shop" || got.Name != "x" || got.Generation != 3 || got.Reason != of.reason {
				t.Errorf("%+v", got)
			}
			if !strings.Contains(got.Message, of.says) || len(got.Message) > 1024 {
				t.Errorf("message of %d bytes: %.300s", len(got.Message), got.Message)
			}
		})
	}
}

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("poison") }

func TestF263StatusAndAnnotationsAreNotDecoded(t *testing.T) {
	t.Parallel()
	u := object(ExchangePolicy, map[string]any{})
	u.Object["status"] = map[string]any{"conditions": "not a list"}
	u.SetAnnotations(map[string]string{"exchequer.dev/allow": "true"})
	d := decode(ExchangePolicy, u)
	p, ok := d.object.(*v1alpha1.ExchangePolicy)
	if !ok {
		t.Fatalf("%+v", d.broken)
	}
	if !reflect.DeepEqual(p.Status, v1alpha1.ExchangePolicyStatus{}) || p.Annotations != nil {
		t.Errorf("read: %+v %v", p.Status, p.Annotations)
	}
}

// F247: no reference can be read past the one place that looks for them.
func TestF247EveryReferenceOfEveryKindIsFound(t *testing.T) {
	t.Parallel()
	want := reflect.TypeFor[v1alpha1.KeyReference]()
	for _, kind := range Kinds() {
		_, spec := typed(kind, object(kind, nil))
		total := fill(reflect.ValueOf(spec).Elem(), want, 0)
		if got := len(refsOf(spec)); got != total {
			t.Errorf("%s: found %d of %d references", kind, got, total)
		}
		keys := map[string]int{}
		for _, r := range refsOf(spec) {
			if r.name != "n" {
				t.Errorf("%s: %+v", kind, r)
			}
			keys[r.key]++
		}
		// With each certificate goes its key.
		if pairs := count(reflect.ValueOf(spec), reflect.TypeFor[v1alpha1.MutualTLSAuth]()); keys["k"] != total-pairs || keys[corev1.TLSPrivateKeyKey] != pairs {
			t.Errorf("%s: %d references to keys: %v, and %d of them are certificates", kind, total, keys, pairs)
		}
	}
}

// fill puts one value everywhere, and counts the references that this made.
func fill(v reflect.Value, want reflect.Type, depth int) int {
	if v.Type() == want {
		v.Set(reflect.ValueOf(v1alpha1.KeyReference{Name: "n", Key: "k"}))
		return 1
	}
	n := 0
	if v.Type() == reflect.TypeFor[v1alpha1.MutualTLSAuth]() {
		n = 1 // its certificate's key
	}
	switch v.Kind() {
	case reflect.Pointer:
		if depth < 12 {
			v.Set(reflect.New(v.Type().Elem()))
			n += fill(v.Elem(), want, depth+1)
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); depth < 12 && (k == reflect.Struct || k == reflect.Pointer) {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			n += fill(v.Index(0), want, depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				n += fill(v.Field(i), want, depth+1)
			}
		}
	default:
	}
	return n
}

// count counts the values of a type.
func count(v reflect.Value, want reflect.Type) int {
	if v.Type() == want {
		return 1
	}
	n := 0
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			n = count(v.Elem(), want)
		}
	case reflect.Slice:
		for i := range v.Len() {
			n += count(v.Index(i), want)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				n += count(v.Field(i), want)
			}
		}
	default:
	}
	return n
}
