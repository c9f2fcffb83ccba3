// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/schema"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

func newValidator(t testing.TB) *schema.Validator {
	t.Helper()
	v, err := schema.New()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// documents splits a file, and says of each object what the CRDs make of it; nil
// where they refuse it.
func documents(t testing.TB, v *schema.Validator, text []byte) (plain, defaulted []map[string]any) {
	t.Helper()
	for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var o map[string]any
		if err := yaml.Unmarshal(doc, &o); err != nil {
			t.Fatal(err)
		}
		if len(o) == 0 {
			continue
		}
		plain = append(plain, o)
		if o["apiVersion"] != v1alpha1.GroupVersion.String() {
			defaulted = append(defaulted, o)
			continue
		}
		admitted, _ := v.Admit(o, nil)
		defaulted = append(defaulted, admitted)
	}
	return plain, defaulted
}

func inputOf(t testing.TB, docs []map[string]any) translate.Input {
	t.Helper()
	in := newInput()
	for _, d := range docs {
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		addDocument(t, &in, b)
	}
	return in
}

func TestTheDefaultsOfTheCRDsAreOurs(t *testing.T) {
	t.Parallel()
	v := newValidator(t)
	tried := 0
	for _, file := range goldenInputs(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		plain, defaulted := documents(t, v, text)
		var kept []map[string]any
		for i := range plain {
			if defaulted[i] == nil {
				continue
			}
			kept = append(kept, plain[i])
		}
		defaulted = slices.DeleteFunc(defaulted, func(o map[string]any) bool { return o == nil })
		without, with := translate.Translate(inputOf(t, kept)), translate.Translate(inputOf(t, defaulted))
		if a, b := goldenOf(without), goldenOf(with); !bytes.Equal(a, b) {
			t.Errorf("%s: with the CRDs' defaults\n%s\nwithout\n%s", file, b, a)
		}
		tried += len(kept)
	}
	if tried < 100 {
		t.Errorf("only %d objects were tried", tried)
	}
}

// mutations are values that somebody might get past an API server. Empty strings
// and objects are not among them: here they are absent, which means the default.
func mutations() []any {
	return []any{"x", "*", "a b", "\x00", strings.Repeat("x", 5000), "-1s", "0s", "99999h", int64(-1), int64(1 << 30), true, false, []any{}}
}

// paths lists every place in a document below spec.
func paths(v any, path []any, visit func(path []any)) {
	if len(path) > 0 {
		visit(path)
	}
	switch x := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(x) {
			paths(x[k], append(slices.Clone(path), k), visit)
		}
	case []any:
		for i := range x {
			paths(x[i], append(slices.Clone(path), i), visit)
		}
	}
}

func sortedKeys(m map[string]any) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func put(v any, path []any, value any) {
	for _, p := range path[:len(path)-1] {
		v = at(v, p)
	}
	switch x := v.(type) {
	case map[string]any:
		x[path[len(path)-1].(string)] = value
	case []any:
		x[path[len(path)-1].(int)] = value
	}
}

func at(v, p any) any {
	switch x := v.(type) {
	case map[string]any:
		return x[p.(string)]
	case []any:
		return x[p.(int)]
	}
	return nil
}

func clone(v map[string]any) map[string]any {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := yaml.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}

// decodable says whether the API's Go types take a document at all.
func decodable(o map[string]any) bool {
	b, err := json.Marshal(o)
	if err != nil {
		return false
	}
	var into any
	switch o["kind"] {
	case "TokenService":
		into = &v1alpha1.TokenService{}
	case "TrustedIssuer":
		into = &v1alpha1.TrustedIssuer{}
	case "ExchangeClient":
		into = &v1alpha1.ExchangeClient{}
	case "ClientScope":
		into = &v1alpha1.ClientScope{}
	case "ExchangePolicy":
		into = &v1alpha1.ExchangePolicy{}
	default:
		return false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into) == nil
}

func TestWhatTheSchemaRefusesIsRefusedAgain(t *testing.T) {
	t.Parallel()
	v := newValidator(t)
	var tried atomic.Int64
	t.Cleanup(func() {
		if n := tried.Load(); n < 500 && !t.Failed() {
			t.Errorf("only %d objects were tried", n)
		}
	})
	for _, file := range []string{"the-main-job", "tokenservice-everything-set", "trustedissuer-everything-set", "policy-everything-set", "clientscopes", "client-service-accounts"} {
		t.Run("F256: an object that bypassed admission is held to the schema's rules ("+file+")", func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("testdata/" + file + ".in.yaml")
			if err != nil {
				t.Fatal(err)
			}
			tried.Add(refusedAgain(t, v, text))
		})
	}
}

// refusedAgain alters every object that is in force, in every place, and wants what the
// schema refuses of it refused. It returns how many it tried.
func refusedAgain(t *testing.T, v *schema.Validator, text []byte) (tried int64) {
	t.Helper()
	plain, _ := documents(t, v, text)
	before := translate.Translate(inputOf(t, plain))
	for n, o := range plain {
		kind, _ := o["kind"].(string)
		ref := refOf(o)
		if verdict(before, kind+" "+ref) != "ok" && verdict(before, kind+" "+ref) != v1alpha1.ReasonAudit {
			continue
		}
		paths(o["spec"], nil, func(path []any) {
			for _, value := range mutations() {
				bad := clone(o)
				put(bad["spec"], path, value)
				_, problems := v.Admit(bad, nil)
				if len(problems) == 0 || !decodable(bad) {
					continue
				}
				tried++
				docs := slices.Clone(plain)
				docs[n] = bad
				if got := verdict(translate.Translate(inputOf(t, docs)), kind+" "+ref); got == "ok" || got == v1alpha1.ReasonAudit {
					t.Errorf("%s %s with %s = %.20q is refused by the schema (%s), and accepted here", kind, ref, fmt.Sprint(path...), fmt.Sprint(value), problems[0])
				}
			}
		})
	}
	return tried
}

func refOf(o map[string]any) string {
	m, _ := o["metadata"].(map[string]any)
	name, _ := m["name"].(string)
	if ns, ok := m["namespace"].(string); ok {
		return ns + "/" + name
	}
	return name
}
