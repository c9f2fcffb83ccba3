// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	_ "embed"
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestWhatDoesNotCompileSaysWhy(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		want policy.ResultType
		text string
		err  []string
	}{
		"F211: an unknown field":             {policy.WantBool, `subject.usernme == 'x'`, []string{"column 8", `no field "usernme"`, "subject has issuer, origin, subject, username"}},
		"F211: an unknown field of a client": {policy.WantBool, `client.label == {}`, []string{`no field "label"`, "client has id, namespace, name, labels"}},
		"F211: an unknown name":              {policy.WantBool, `subjct.username == 'x'`, []string{"column 1", `"subjct" is unknown`, "actor, client, request, subject, target"}},
		"F211: an unknown function":          {policy.WantBool, `subject.username.like('x')`, []string{`"like" is unknown`}},
		"F211: types that do not compare":    {policy.WantBool, `subject.username == 1`, []string{"column 18", "== does not take (string, int)"}},
		"F211: a string for a list":          {policy.WantBool, `subject.username in subject.username`, []string{"in does not take (string, string)"}},
		"F211: a time for a string":          {policy.WantBool, `request.time.startsWith('x')`, []string{"startsWith does not take timestamp"}},
		"F211: a result that is no boolean":  {policy.WantBool, `subject.username`, []string{"gives string where true or false is expected"}},
		"F211: a list for a boolean":         {policy.WantBool, `subject.groups`, []string{"gives list(string) where true or false is expected"}},
		"F211: no end":                       {policy.WantBool, `subject.username == `, []string{"column 21", "Syntax error"}},
		"F211: in the second line":           {policy.WantBool, "subject.username == 'x' &&\n  subject.nope", []string{"line 2, column 10", `no field "nope"`}},
		"F211: nothing":                      {policy.WantBool, ``, []string{"the expression is empty"}},
		"F211: a constant that is no number": {policy.WantBool, `int('x') == 1`, []string{"constant"}},
		"F211: a key that is no key":         {policy.WantBool, `{dyn(b'a'): 1}.size() == 1`, []string{"cannot be compiled"}},
		"F211: tokens as a whole":            {policy.WantBool, `subject == actor`, []string{"a token cannot be compared as a whole"}},
		"F211: clients as a whole":           {policy.WantBool, `client in [target]`, []string{"a client cannot be compared as a whole"}},
		"F211: a token for JSON":             {policy.WantAny, `subject`, []string{"gives a token as a whole"}},
		"F211: a time for JSON":              {policy.WantAny, `{'t': [request.time]}`, []string{"gives timestamp, which JSON cannot say"}},
		"F211: bytes for JSON":               {policy.WantAny, `b'x'`, []string{"gives bytes, which JSON cannot say"}},
		"F211: a type for JSON":              {policy.WantAny, `type(1)`, []string{"gives a type"}},
		"F211: keys that JSON has not":       {policy.WantAny, `{1: 'x'}`, []string{"keys of type int"}},
		"F211: an unknown time zone":         {policy.WantBool, `request.time.getHours('Mars/Olympus') > 1`, []string{"column 22", `"Mars/Olympus" is not in the zone database`}},
		"F211: an unknown offset":            {policy.WantBool, `request.time.getHours('2:0') > 1`, []string{"an offset looks like +02:00"}},
		"F214: a pattern that is not RE2":    {policy.WantBool, `subject.username.matches('(?=x)')`, []string{"column 25", "the pattern is not RE2"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiler := New()
			for range 2 { // the cache keeps errors too
				_, err := compiler.Compile(policy.EnvPolicy, c.want, c.text)
				if err == nil {
					t.Fatalf("%s compiles", c.text)
				}
				for _, part := range c.err {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%s: error %q, want %q in it", c.text, err, part)
					}
				}
			}
			if _, err := compiler.Compile(policy.EnvPolicy, policy.WantBool, `subject.username == 'x'`); err != nil {
				t.Errorf("another expression is affected: %v", err)
			}
		})
	}
}

func TestCheckBoundsAnExpression(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ text, err string }{
		"F213: three loops over claims":       {`subject.claims.a.all(x, subject.claims.a.all(y, subject.claims.a.all(z, true)))`, "estimated cost"},
		"F213: a text that is repeated":       {`subject.username.replace('', subject.username).replace('', subject.username).size() > 3`, "estimated cost"},
		"F213: many loops":                    {strings.Repeat("[1].all(x, ", 9) + "true" + strings.Repeat(")", 9), "loops are nested 9 deep"},
		"F213: deep lists":                    {strings.Repeat("[", 17) + strings.Repeat("]", 17) + " == []", "nested 17 deep"},
		"F213: deep parentheses":              {strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300), "recursion limit"},
		"F213: 10 kB of comparisons":          {strings.Repeat("1==1||", 1700) + "true", "3400 operations"},
		"F213: more than 10,240 characters":   {"true" + strings.Repeat(" ", maxLength-3), "10241 characters; at most 10240"},
		"F213: 10,240 characters":             {"true" + strings.Repeat(" ", maxLength-4), ""},
		"F213: characters are not bytes":      {"'" + strings.Repeat("é", maxLength-7) + "'!=''", ""},
		"F213: two loops over claims":         {`subject.claims.a.all(x, subject.claims.b.exists(y, x == y))`, ""},
		"F213: a chain of filters":            {`subject.claims.scope.split(' ').filter(s, s.startsWith('x')).map(s, s + 'a').exists(s, s in subject.groups)`, ""},
		"F213: a range of unknown length":     {`lists.range(subject.claims.n).all(x, true)`, ""},
		"F213: 1,000 names":                   {"subject.username in [" + strings.Repeat("'alice', ", 1000) + "'bob']", ""},
		"F214: a pattern of 10 kB":            {"subject.username.matches('" + strings.Repeat("a", 10_000) + "')", "10000 bytes; at most 1024"},
		"F214: nested repeats":                {`subject.username.matches('(a{1000}){1000}')`, "not RE2"},
		"F214: repeats that are large":        {`subject.username.fullMatch('` + strings.Repeat("a{999}", 3) + `')`, "states; at most 2000"},
		"F214: repeats of large classes":      {`subject.username.fullMatch('(\\pL\\pN){1000}')`, "states; at most 2000"},
		"F214: many patterns":                 {strings.Repeat(`'a'.matches('a{999}') || `, 11) + "true", "more than 10000 states together"},
		"F214: a pattern that closes a group": {`subject.username.fullMatch('x)|(?:.*')`, "not RE2"},
		"F214: usual patterns":                {`subject.username.fullMatch('[a-z0-9._-]{1,64}@corp[.]example')`, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New().Check(policy.EnvPolicy, policy.WantBool, c.text)
			if c.err == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

func TestCheckWarnsOfPatternsThatMatchAnywhere(t *testing.T) {
	t.Parallel()
	warned := map[string]struct {
		text string
		want bool
	}{
		"F215: matches":               {`subject.username.matches('^alice$')`, true},
		"F215: matches as a function": {`matches(subject.username, 'alice')`, true},
		"F215: matches in a loop":     {`subject.groups.exists(g, g.matches('staff'))`, true},
		"F215: fullMatch":             {`subject.username.fullMatch('alice')`, false},
		"F215: the word in a text":    {`subject.username == 'matches('`, false},
	}
	for name, c := range warned {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiler := New()
			for range 2 {
				warnings, err := compiler.Check(policy.EnvPolicy, policy.WantBool, c.text)
				if err != nil || slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "fullMatch") }) != c.want {
					t.Errorf("warnings %q, error %v", warnings, err)
				}
			}
		})
	}
	matches := map[string]struct {
		text string
		want bool
	}{
		"F215: matches finds anywhere":                {`'evil-staff-x'.matches('staff')`, true},
		"F215: fullMatch wants the whole":             {`'evil-staff-x'.fullMatch('staff')`, false},
		"F215: fullMatch of a choice":                 {`'staffx'.fullMatch('x|staff')`, false},
		"F215: fullMatch of lines":                    {"'staff\\nx'.fullMatch('staff')", false},
		"F215: a flag cannot undo the anchors":        {"'x\\nstaff\\ny'.fullMatch('(?m)^staff$')", false},
		"F215: fullMatch tries all alternatives":      {`'ab'.fullMatch('a|ab')`, true},
		"F215: a pattern from a fact is anchored too": {`'alice-x'.fullMatch(subject.username)`, false},
	}
	for name, c := range matches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := mustCompile(t, policy.EnvPolicy, policy.WantBool, c.text).Eval(facts()); got != c.want || err != nil {
				t.Errorf("%s gives %v, %v; want %v", c.text, got, err, c.want)
			}
		})
	}
}

//go:embed testdata/language-v1alpha1.txt
var language string

// TestTheLanguageIsThatOfTheAPIVersion fails when a new release of the library
// adds or drops a function: replicas of two releases must agree on what
// compiles, so the list changes with the API version only.
func TestTheLanguageIsThatOfTheAPIVersion(t *testing.T) {
	t.Parallel()
	l, err := dialectOf(policy.EnvPolicy)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for name, f := range l.env.Functions() {
		for _, o := range f.OverloadDecls() {
			have = append(have, name+" "+o.ID())
		}
	}
	for _, m := range l.env.Macros() {
		have = append(have, "macro "+m.MacroKey())
	}
	slices.Sort(have)
	t.Run("F218: functions and macros are pinned", func(t *testing.T) {
		t.Parallel()
		if got := strings.Join(have, "\n"); got != strings.TrimSpace(language) {
			t.Errorf("the language has changed; it is now\n%s", got)
		}
	})
}
