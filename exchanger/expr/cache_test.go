// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	t.Run("by the number of expressions", func(t *testing.T) {
		t.Parallel()
		var c cache
		for i := range 3 * generationEntries {
			c.put(key{text: strconv.Itoa(i)}, entry{})
		}
		if n := len(c.young) + len(c.old); n > 2*generationEntries {
			t.Errorf("%d entries", n)
		}
	})
	t.Run("by what they take", func(t *testing.T) {
		t.Parallel()
		for name, e := range map[string]entry{"long texts": {}, "large patterns": {program: &program{states: maxAllStates}}} {
			var c cache
			long := strings.Repeat("x", maxLength)
			for i := range 2000 {
				c.put(key{text: long + strconv.Itoa(i)}, e)
			}
			if n := (len(c.young) + len(c.old)) * e.size(key{text: long}); n > 2*generationBytes {
				t.Errorf("%s: %d bytes", name, n)
			}
		}
	})
	t.Run("what is used stays", func(t *testing.T) {
		t.Parallel()
		var c cache
		c.put(key{text: "kept"}, entry{program: &program{}})
		for i := range 3 * generationEntries {
			c.put(key{text: strconv.Itoa(i)}, entry{})
			if i%1000 == 0 {
				if _, ok := c.get(key{text: "kept"}); !ok {
					t.Fatalf("gone after %d others", i)
				}
			}
		}
	})
	t.Run("a snapshot of 10,000 policies with three expressions fits", func(t *testing.T) {
		t.Parallel()
		var c cache
		for range 2 {
			for i := range 30_000 {
				c.put(key{text: "'corp:group-" + strconv.Itoa(i) + "' in subject.groups"}, entry{})
			}
		}
		if len(c.young) != 30_000 {
			t.Errorf("%d of them are there", len(c.young))
		}
	})
}

func TestTheCacheTellsExpressionsApart(t *testing.T) {
	t.Parallel()
	c := New()
	if _, err := c.Compile(policy.EnvPolicy, policy.WantAny, `subject.username`); err != nil {
		t.Error(err)
	}
	if _, err := c.Compile(policy.EnvPolicy, policy.WantBool, `subject.username`); err == nil {
		t.Error("a string is accepted as a boolean, because it was compiled for another use")
	}
	if _, err := c.Compile(policy.EnvClaims, policy.WantAny, `subject.username`); err == nil {
		t.Error("a subject is seen where there is none, because it was compiled for another environment")
	}
	one, _ := c.Compile(policy.EnvPolicy, policy.WantAny, `subject.username`)
	two, _ := c.Compile(policy.EnvPolicy, policy.WantAny, `subject.username`)
	if one != two {
		t.Error("the same expression is compiled twice")
	}
}

// FuzzCompile: no text makes the compiler or a program panic, none keeps them
// busy, none gives what is not JSON, and none gives one thing once and another
// thing the next time.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`'corp:staff' in subject.groups`, `subject.extra.tenant`, `request.time.getHours('UTC') < 18`, `{dyn(b'a'): 1}`, `dyn(b'a') in ['a']`,
		`subject.username.matches('(a|b)*')`, `[1, 2].map(x, x * 2)`, `subject.claims.map(k, subject.claims[k])`, `'%s %d'.format(['a', 1])`,
		`has(actor.subject) ? actor.subject : null`, `[[1]].flatten(3)`, `lists.range(9)`, `0.0/0.0`, `-9223372036854775808`, `"\u0000"`, `[subject, actor]`,
		`parameter.fullMatch(subject.username)`, `[[[[[[]]]]]]`, `a ? b : c`, `dyn([1])[dyn('x')]`, `type(type(1))`, `subject.groups.sortBy(g, size(g))`,
	} {
		f.Add(s)
	}
	c := New()
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		for _, want := range []policy.ResultType{policy.WantBool, policy.WantAny} {
			_, _ = c.Check(policy.EnvScope, want, text)
			p, err := c.Compile(policy.EnvScope, want, text)
			if err != nil {
				continue
			}
			in := facts()
			in.Parameter = "acme"
			got, err := p.Eval(in)
			if err == nil {
				isJSON(t, got)
			} else if got != nil {
				t.Errorf("an error with a value: %v, %v", got, err)
			}
			if _, ok := got.(bool); want == policy.WantBool && err == nil && !ok {
				t.Errorf("a rule gives %T", got)
			}
			_, again := p.Eval(in)
			if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
				t.Errorf("first %v, then %v", err, again)
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func isJSON(t *testing.T, v any) {
	t.Helper()
	switch x := v.(type) {
	case nil, bool, string, int64, float64:
	case []any:
		for _, e := range x {
			isJSON(t, e)
		}
	case map[string]any:
		for _, e := range x {
			isJSON(t, e)
		}
	default:
		t.Errorf("a result holds %T", v)
	}
}
