// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestResultsAreWhatDecodingJSONGives(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text string
		want any
		err  string
	}{
		"a boolean":               {`true`, true, ""},
		"a string":                {`'x'`, "x", ""},
		"an integer":              {`-5`, int64(-5), ""},
		"an unsigned integer":     {`5u`, int64(5), ""},
		"a decimal":               {`2.5`, 2.5, ""},
		"null":                    {`null`, nil, ""},
		"a list of strings":       {`subject.groups`, []any{"corp:dev", "corp:oncall", "corp:staff"}, ""},
		"an empty list":           {`[]`, []any{}, ""},
		"a map":                   {`{'a': [1, 'x', null], 'b': {'c': 2.5}}`, map[string]any{"a": []any{int64(1), "x", nil}, "b": map[string]any{"c": 2.5}}, ""},
		"claims":                  {`subject.claims.address`, map[string]any{"city": "Ulm"}, ""},
		"extra facts":             {`subject.extra`, map[string]any{"department": "toys", "tenants": []any{"a", "b"}}, ""},
		"labels":                  {`client.labels`, map[string]any{"app": "web"}, ""},
		"what a macro made":       {`subject.groups.map(g, g.substring(5)).filter(g, g != 'dev')`, []any{"oncall", "staff"}, ""},
		"one or the other":        {`has(actor.subject) ? actor.subject : null`, nil, ""},
		"a time as a string":      {`string(subject.issuedAt)`, "2026-01-02T03:04:05Z", ""},
		"a time in seconds":       {`int(subject.issuedAt)`, int64(1767323045), ""},
		"a time":                  {`dyn(subject.issuedAt)`, nil, "gave a timestamp, which JSON cannot say"},
		"a duration":              {`dyn(duration('1h'))`, nil, "gave a duration"},
		"bytes":                   {`[dyn(b'x')]`, nil, "gave bytes"},
		"a type":                  {`dyn(type(1))`, nil, "gave a type"},
		"a token":                 {`dyn(subject)`, nil, "gave a token"},
		"not a number":            {`0.0 / 0.0`, nil, "a number that JSON cannot say"},
		"infinity":                {`{'x': [1.0 / 0.0]}`, nil, "a number that JSON cannot say"},
		"too large a number":      {`18446744073709551615u`, nil, "too large"},
		"keys that are numbers":   {`dyn({1: 'x'})`, nil, "keys are not all strings"},
		"too large a result":      {`lists.range(9000).map(x, subject.claims)`, nil, "larger than 262144 bytes"},
		"too much work for it":    {`lists.range(9000).map(x, lists.range(1000))`, nil, "costs more than"},
		"too deep a result":       {strings.Repeat("[", 9) + strings.Repeat("]", 9) + ".map(x, " + strings.Repeat("[", 9) + "x" + strings.Repeat("]", 9) + ")", nil, ""},
		"a claim of another kind": {`subject.claims.odd`, nil, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := New().Compile(policy.EnvPolicy, policy.WantAny, c.text)
			if err != nil {
				if c.want == nil {
					return // refused earlier still
				}
				t.Fatal(err)
			}
			got, err := p.Eval(facts())
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("gives %#v, want %#v", got, c.want)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
	t.Run("a rule over claims that gives no boolean", func(t *testing.T) {
		t.Parallel()
		p := mustCompile(t, policy.EnvPolicy, policy.WantBool, `subject.claims.level`)
		if got, err := p.Eval(facts()); got != nil || err == nil || err.Error() != "gave a number where true or false was expected" {
			t.Errorf("got %v, %v", got, err)
		}
		p = mustCompile(t, policy.EnvPolicy, policy.WantBool, `subject.claims.flag`)
		if got, err := p.Eval(facts()); got != true || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("a claim of a Go type that JSON decoding does not give", func(t *testing.T) {
		t.Parallel()
		for _, odd := range []any{struct{}{}, make(chan int), new(int), []float32{1}, math.MaxInt8} {
			f := &policy.Facts{Claims: map[string]any{"odd": odd}}
			got, err := mustCompile(t, policy.EnvClaims, policy.WantBool, `claims.odd != 'x'`).Eval(f)
			if _, isInt := odd.(int); !isInt && err == nil {
				t.Errorf("%T gives %v", odd, got)
			}
		}
	})
}

func TestFactsAreNotChanged(t *testing.T) {
	t.Parallel()
	f := facts()
	for _, text := range []string{`subject.claims`, `subject.groups`, `subject.extra`, `[subject.claims.roles, subject.claims.address]`, `subject.groups + ['x']`, `subject.groups.sort()`, `subject.groups.reverse()`} {
		got, err := mustCompile(t, policy.EnvPolicy, policy.WantAny, text).Eval(f)
		if err != nil {
			t.Fatal(err)
		}
		scribble(got)
		if !reflect.DeepEqual(f, facts()) {
			t.Fatalf("%s: who changes the result changes the facts", text)
		}
	}
}

func scribble(v any) {
	switch x := v.(type) {
	case []any:
		for i := range x {
			scribble(x[i])
			x[i] = "scribbled"
		}
	case map[string]any:
		for k := range x {
			scribble(x[k])
			x[k] = "scribbled"
		}
	}
}

func TestNoErrorRepeatsWhatATokenSays(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	f := &policy.Facts{Claims: map[string]any{
		"s": secret, "list": []any{secret}, "map": map[string]any{secret: secret}, "odd": struct{ s string }{secret},
	}}
	for _, text := range []string{
		`claims[claims.s] == 'x'`, `claims.map[claims.s + 'x'] == 'x'`, `int(claims.s) == 1`, `timestamp(claims.s) == timestamp('2020-01-01T00:00:00Z')`,
		`duration(claims.s) == duration('1h')`, `double(claims.s) == 1.0`, `bool(claims.s)`, `claims.s.substring(99) == ''`, `claims.s.charAt(99) == ''`,
		`claims.s + 1 == 'x'`, `claims.s < 1`, `claims.list[claims.s] == 'x'`, `claims.s.matches(claims.s + '(')`, `'%d'.format([claims.s]) == ''`,
		`'%q'.format([claims.s]) == ''`, `claims.s`, `claims.map`, `claims.odd == 'x'`, `claims.s in claims.s`, `sets.contains(claims.s, [1])`,
		`claims.list.map(x, claims[x]) == []`, `claims.map.map(k, claims[k]) == []`, `claims.s.all(x, true)`, `-claims.s == 1`,
		`!claims.s`, `claims.s ? true : false`, `claims.s && true`, `claims.s || false`, `claims.s.getHours() == 1`, `claims.list.join(1) == ''`, `dyn(claims.list).nope == 1`, `claims.s.nope == 1`,
	} {
		p, err := New().Compile(policy.EnvClaims, policy.WantBool, text)
		if err != nil {
			continue
		}
		got, err := p.Eval(f)
		if err == nil {
			t.Errorf("%s gives %v, want an error", text, got)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error repeats the claim: %v", text, err)
		}
	}
}

func TestTheSameFactsGiveTheSame(t *testing.T) {
	t.Parallel()
	claims := func() map[string]any {
		m := map[string]any{}
		for i := range 20 {
			m[fmt.Sprint("k", i)] = map[string]any{"n": float64(i) / 3, "s": fmt.Sprint(i)}
		}
		return m
	}
	cases := map[string]string{
		"F217: the order of a map":             `claims.map(k, k)`,
		"F217: the first of a map":             `claims.filter(k, k.endsWith('7'))[0]`,
		"F217: a sum of decimals, in order":    `claims.map(k, claims[k].n)`,
		"F217: a map that the text makes":      `{'b': 1, 'a': 2, 'c': 3, 'd': 4}.map(k, k)`,
		"F217: a map with keys of many types":  `{true: 1, 2: 2, 'c': 3, 4u: 4, 1: 1}.map(k, string(k))`,
		"F217: a map as text":                  `'%s'.format([claims])`,
		"F217: which error of a map":           `claims.map(k, int(claims[k].s + (k == 'k3' ? 'x' : '')) / (k == 'k4' ? 0 : 1))`,
		"F217: which error of two":             `1 / (claims.k0.s == '0' ? 0 : 1) == 1 || claims.nope == 1`,
		"F217: an error for the cost":          `claims.map(a, lists.range(10001))`,
		"F217: a result that is a map":         `claims`,
		"F217: a key that is the wrong one":    `dyn({1: 1, 'a': 2, true: 3})`,
		"F217: exists over a map stops at one": `claims.exists(k, k == 'k5' || claims[k].nope == 1)`,
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var first any
			var firstErr string
			for i := range 1000 {
				p := mustCompileCached(t, text)
				got, err := p.Eval(&policy.Facts{Claims: claims()})
				said := ""
				if err != nil {
					said = err.Error()
				}
				if i == 0 {
					first, firstErr = got, said
				} else if !reflect.DeepEqual(got, first) || said != firstErr {
					t.Fatalf("run %d gives %v, %q; the first gave %v, %q", i, got, said, first, firstErr)
				}
			}
		})
	}
}

var shared = New()

func mustCompileCached(t *testing.T, text string) policy.Program {
	t.Helper()
	p, err := shared.Compile(policy.EnvClaims, policy.WantAny, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProgramsAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	c := New()
	texts := []string{`'corp:staff' in subject.groups`, `subject.groups.exists(g, g.fullMatch('corp:st.*'))`, `subject.nope`, `subject.claims.roles.map(r, r + 'x').join(',') == 'xx,yx'`, `subject.extra.nope == 'x' || true`}
	f := facts()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				for _, text := range texts {
					_, _ = c.Check(policy.EnvPolicy, policy.WantBool, text)
					p, err := c.Compile(policy.EnvPolicy, policy.WantBool, text)
					if err != nil {
						continue
					}
					if got, err := p.Eval(f); got != true || err != nil {
						t.Errorf("%s gives %v, %v", text, got, err)
					}
				}
			}
		})
	}
	wg.Wait()
}
