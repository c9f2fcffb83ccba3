// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// FuzzAdmit throws documents at Admit. Whatever is admitted is admitted again
// unchanged, decodes into its Go type, and every duration and time in it can
// be parsed: no stored object may break a list.
func FuzzAdmit(f *testing.F) {
	seeds, err := os.ReadFile("testdata/contract.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range bytes.Split(seeds, []byte("\n---\n")) {
		f.Add(seed)
	}
	f.Add([]byte("kind: TokenService\napiVersion: exchequer.dev/v1alpha1\nmetadata: {name: a}\nspec: {issuer: https://a, limits: {tokenBytes: 1e300}}"))
	f.Add([]byte("kind: ExchangePolicy\napiVersion: exchequer.dev/v1alpha1\nmetadata: null\nspec: {clients: [null], subject: [], target: 1}"))
	validator := newValidator(f)
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var object map[string]any
		if yaml.Unmarshal(data, &object) != nil {
			return
		}
		admitted, problems := validator.Admit(object, nil)
		for _, problem := range problems {
			if strings.Contains(problem.Message, "this is a bug") {
				t.Fatalf("Admit panicked")
			}
		}
		if admitted == nil {
			return
		}
		again, problems := validator.Admit(admitted, admitted)
		if len(problems) > 0 || !reflect.DeepEqual(admitted, again) {
			t.Fatalf("expected the same object, found %v and %v", again, problems)
		}
		typed, err := scheme.New(v1alpha1.GroupVersion.WithKind(admitted["kind"].(string)))
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(admitted)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, typed); err != nil {
			t.Fatalf("an admitted object would break a list: %v", err)
		}
		if err := parseAll(reflect.ValueOf(typed)); err != nil {
			t.Fatal(err)
		}
	})
}

// parseAll parses every duration and time that is somewhere in a value.
func parseAll(value reflect.Value) error {
	if value.CanInterface() {
		switch typed := value.Interface().(type) {
		case v1alpha1.Duration:
			if _, err := typed.Parse(); typed != "" && err != nil {
				return fmt.Errorf("%q was admitted: %w", typed, err)
			}
			return nil
		case v1alpha1.Time:
			if _, err := typed.Parse(); typed != "" && err != nil {
				return fmt.Errorf("%q was admitted: %w", typed, err)
			}
			return nil
		}
	}
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			return nil
		}
		return parseAll(value.Elem())
	case reflect.Struct:
		for i := range value.NumField() {
			if err := parseAll(value.Field(i)); err != nil {
				return err
			}
		}
	case reflect.Slice:
		for i := range value.Len() {
			if err := parseAll(value.Index(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// FuzzDurationAndTime asks the schema about one string as a duration and as a
// time. What it admits, Parse takes.
func FuzzDurationAndTime(f *testing.F) {
	for _, seed := range []string{
		"5m", "1h30m", "500ms", "99999h99999h99999h99999h", "60s", "0s", "1ms1ms", "5ms5m", "-5m", "5", "5.5h", "",
		"2027-01-31T00:00:00Z", "2028-02-29T23:59:59.999999999+23:59", "2027-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
		"2000-02-29T00:00:00Z", "1972-02-29T00:00:00Z", "2027-04-31T00:00:00Z", "2027-01-31t00:00:00z", "2027-01-31T24:00:00Z",
		"2027-01-31T00:00:60Z", "2999-12-31T23:59:59-23:59", "0000-01-01T00:00:00Z",
	} {
		f.Add(seed)
	}
	validator := newValidator(f)
	f.Fuzz(func(t *testing.T, text string) {
		issuer := object(t, "{kind: TrustedIssuer, metadata: {name: corp}, spec: {jwt: {issuer: {url: https://login.corp.example}}}}")
		issuer["spec"].(map[string]any)["maxTokenAge"] = text
		if _, problems := validator.Admit(issuer, nil); len(problems) == 0 {
			if _, err := v1alpha1.Duration(text).Parse(); err != nil {
				t.Errorf("%q was admitted as a duration: %v", text, err)
			}
		}
		revocation := object(t, "{kind: TokenRevocation, metadata: {name: r}, spec: {tokenID: a}}")
		revocation["spec"].(map[string]any)["expiresAt"] = text
		if _, problems := validator.Admit(revocation, nil); len(problems) == 0 {
			if _, err := v1alpha1.Time(text).Parse(); err != nil {
				t.Errorf("%q was admitted as a time: %v", text, err)
			}
		}
	})
}

func BenchmarkStart(b *testing.B) {
	b.Run("read the CRDs", func(b *testing.B) {
		for b.Loop() {
			newValidator(b)
		}
	})
	for _, kind := range newValidator(b).Kinds() {
		b.Run("compile "+kind, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				k := newValidator(b).kinds[kind]
				b.StartTimer()
				if err := k.compile(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAdmit(b *testing.B) {
	validator, good := newValidator(b), contract(b)
	for _, name := range []string{"ExchangePolicy frontend-gets-images", "ExchangeClient frontend", "TrustedIssuer corp"} {
		b.Run(strings.Fields(name)[0], func(b *testing.B) {
			for b.Loop() {
				if _, problems := validator.Admit(good[name], nil); len(problems) > 0 {
					b.Fatal(problems)
				}
			}
		})
	}
}
