// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// fieldsWithoutMeaning are those that may be set without any effect, each with
// the reason. Everything else changes the Spec, a condition or a warning: no
// field is ignored.
func fieldsWithoutMeaning() map[string]string {
	return map[string]string{
		"ClientScope.spec.description":         "it is for people, who read it in the object",
		"TrustedIssuer.spec.directory.timeout": "without a url there is no directory, and with one it is NotSupported",
	}
}

// leaves walks the members of a type, down to those without members.
func leaves(t reflect.Type, path []any, visit func(path []any)) {
	if len(path) > 12 {
		return
	}
	switch {
	case t == reflect.TypeFor[v1alpha1.JSON]():
		visit(path)
	case t.Kind() == reflect.Pointer:
		leaves(t.Elem(), path, visit)
	case t.Kind() == reflect.Slice:
		leaves(t.Elem(), append(slices.Clone(path), "[]"), visit)
	case t.Kind() == reflect.Struct && t.NumField() > 0:
		for i := range t.NumField() {
			leaves(t.Field(i).Type, append(slices.Clone(path), i), visit)
		}
	case t.Kind() == reflect.Struct:
		// {} says all that it can by being there, which its union's tests see.
	default:
		visit(path)
	}
}

// reach makes everything on the way to a leaf, and returns it with its name.
func reach(v reflect.Value, path []any, name string) (reflect.Value, string) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	if len(path) == 0 {
		return v, name
	}
	if path[0] == "[]" {
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		return reach(v.Index(0), path[1:], name+"[]")
	}
	f := v.Type().Field(path[0].(int))
	if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag != "" {
		name += "." + tag
	}
	return reach(v.Field(path[0].(int)), path[1:], name)
}

// change gives a leaf another value.
func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("x"), reflect.ValueOf("x").Convert(v.Type().Elem()))
	case reflect.Struct:
		v.Set(reflect.ValueOf(v1alpha1.JSON{Raw: []byte(`{"sub":"somebody else"}`)}))
	}
}

func TestEveryFieldMeansSomething(t *testing.T) {
	t.Parallel()
	for kind, tc := range map[string]struct {
		file string
		spec func(*translate.Objects) any
	}{
		"TokenService":   {"the-main-job", func(o *translate.Objects) any { return &o.TokenServices[0].Spec }},
		"TrustedIssuer":  {"the-main-job", func(o *translate.Objects) any { return &o.TrustedIssuers[0].Spec }},
		"ExchangeClient": {"the-main-job", func(o *translate.Objects) any { return &o.ExchangeClients[0].Spec }},
		"ClientScope":    {"the-main-job", func(o *translate.Objects) any { return &o.ClientScopes[0].Spec }},
		"ExchangePolicy": {"the-main-job", func(o *translate.Objects) any { return &o.ExchangePolicies[0].Spec }},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			file := "testdata/" + tc.file + ".in.yaml"
			in := readInput(t, file)
			base := everything(t, translate.Translate(in))
			seen := 0
			leaves(reflect.TypeOf(tc.spec(&in.Objects)).Elem(), nil, func(path []any) {
				after := readInput(t, file)
				leaf, name := reach(reflect.ValueOf(tc.spec(&after.Objects)), path, kind+".spec")
				changed := !bytes.Equal(base, everything(t, translate.Translate(after)))
				change(leaf)
				changed = changed || !bytes.Equal(base, everything(t, translate.Translate(after)))
				why := fieldsWithoutMeaning()[name]
				switch seen++; {
				case !changed && why == "":
					t.Errorf("%s: another value changes neither Spec nor status", name)
				case changed && why != "":
					t.Errorf("%s has a meaning: take it out of the list", name)
				}
			})
			if seen < 10 {
				t.Errorf("only %d fields were tried", seen)
			}
		})
	}
}

func TestNothingSwitchesTheAudienceCheckOff(t *testing.T) {
	t.Parallel()
	t.Run("F133: no field of the API is named for it", func(t *testing.T) {
		t.Parallel()
		for _, typ := range []reflect.Type{
			reflect.TypeFor[v1alpha1.TokenServiceSpec](), reflect.TypeFor[v1alpha1.TrustedIssuerSpec](), reflect.TypeFor[v1alpha1.ExchangeClientSpec](),
			reflect.TypeFor[v1alpha1.ClientScopeSpec](), reflect.TypeFor[v1alpha1.ExchangePolicySpec](), reflect.TypeFor[v1alpha1.ExternalTargetSpec](),
			reflect.TypeFor[v1alpha1.ImpersonationGrantSpec](),
		} {
			leaves(typ, nil, func(path []any) {
				_, name := reach(reflect.New(typ).Elem(), path, "")
				low := strings.ToLower(name)
				for _, word := range []string{"skip", "insecure", "ignore", "disable", "unsafe", "noaud", "anyaud", "bypass", "unverified"} {
					if strings.Contains(low, word) {
						t.Errorf("%s%s sounds as if it switched a check off", typ.Name(), name)
					}
				}
			})
		}
	})
	t.Run("F133: every word that is none of the three rules is refused", func(t *testing.T) {
		t.Parallel()
		for _, match := range []string{"Any", "None", "Off", "Skip", "*", "client", "ANYOF", "Issuer "} {
			in := readInput(t, "testdata/the-main-job.in.yaml")
			in.Objects.ExchangePolicies[0].Spec.Subject.Audience.Match = v1alpha1.AudienceMatch(match)
			r := translate.Translate(in)
			if got := verdict(r, "ExchangePolicy media/frontend-gets-images"); got != v1alpha1.ReasonInvalid || len(r.Spec.Policies) > 0 {
				t.Errorf("match %q: got %s", match, got)
			}
		}
	})
	t.Run("F133: whatever is accepted has one of the three rules", func(t *testing.T) {
		t.Parallel()
		for _, file := range goldenInputs(t) {
			for _, p := range translate.Translate(readInput(t, file)).Spec.Policies {
				switch a := p.SubjectAudience; {
				case a.Match == policy.AudienceClient && len(a.AnyOf) == 0:
				case a.Match != policy.AudienceClient && p.AllClients:
					t.Errorf("%s: %s/%s lets every client use a token that was not for it", file, p.Namespace, p.Name)
				case a.Match != policy.AudienceIssuer && a.Match != policy.AudienceAnyOf:
					t.Errorf("%s: %s/%s has the rule %q", file, p.Namespace, p.Name, a.Match)
				}
			}
		}
	})
}
